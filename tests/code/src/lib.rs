//! The machine code of each handle's updates, on x86-64: number of instructions, calls, locked
//! instructions, fences, ways to a panic.
//!
//! ```text
//! cargo run --release -p mmstats-code       prints the code in numbers, in the form of budgets.txt
//! cargo test --release -p mmstats-code      compares it with budgets.txt
//! ```
//!
//! All reachable instructions of a function count, rare ones too.
#![forbid(unsafe_code)]

pub mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SymbolKind};

/// A property of code that needs a reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It calls a function, or ends by jumping to one.
    Call(String),
    /// A lock prefix, or an exchange with memory, which is locked without one.
    Locked(String),
    /// A fence instruction.
    Fence(String),
    /// A system call or interrupt.
    System(String),
    /// A panic, or an instruction that traps.
    Panic(String),
    /// A jump to an address that is not known here.
    Jump(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(what) => write!(f, "call {what}"),
            Self::Locked(what) => write!(f, "locked {what}"),
            Self::Fence(what) => write!(f, "fence {what}"),
            Self::System(what) => write!(f, "system {what}"),
            Self::Panic(what) => write!(f, "panic {what}"),
            Self::Jump(what) => write!(f, "jump {what}"),
        }
    }
}

/// Code of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    /// Instructions that can be reached.
    pub instructions: usize,
    /// Their properties, each once.
    pub findings: BTreeSet<Finding>,
}

/// The code of functions of this process: [`updates::all`], for instance.
///
/// # Panics
///
/// If the executable of this process is no ELF file for x86-64 with symbols, or has no such
/// functions.
#[must_use]
pub fn measure(functions: &[(&'static str, usize)]) -> BTreeMap<&'static str, Code> {
    let executable = std::env::current_exe().expect("this process has an executable");
    let bytes = std::fs::read(executable).expect("the executable");
    let file = object::File::parse(&*bytes).expect("an object file");
    assert_eq!(file.architecture(), object::Architecture::X86_64);
    let names = Names::of(&file);
    // Distance between the addresses of the file and of the process, by one function.
    let anchor = updates::all as fn() -> Vec<(&'static str, usize)> as usize as u64;
    let there = names.functions.iter().find(|(_, name)| *name == "mmstats_code::updates::all");
    let base = anchor.wrapping_sub(*there.expect("symbols in the executable").0);
    let mut all = BTreeMap::new();
    for &(name, at) in functions {
        let at = (at as u64).wrapping_sub(base);
        let here = |symbol: &object::Symbol<'_, '_>| {
            symbol.kind() == SymbolKind::Text && symbol.address() == at && symbol.size() > 0
        };
        let symbol =
            file.symbols().find(here).unwrap_or_else(|| panic!("{name} is not at {at:#x}"));
        let index = symbol.section_index().expect("a function lies in a section");
        let section = file.section_by_index(index).expect("its section");
        let code = section.data_range(at, symbol.size()).ok().flatten();
        all.insert(name, walk(code.expect("its bytes"), at, &names));
    }
    all
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Functions by address, and by the address of a pointer to them.
struct Names {
    functions: BTreeMap<u64, String>,
    pointers: BTreeMap<u64, String>,
}

impl Names {
    fn of(file: &object::File<'_>) -> Self {
        let named = |symbol: object::Symbol<'_, '_>| demangled(symbol.name().unwrap_or("?"));
        let functions: BTreeMap<_, _> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text)
            .map(|symbol| (symbol.address(), named(symbol)))
            .collect();
        let mut pointers = BTreeMap::new();
        let table = file.dynamic_symbol_table();
        for (at, relocation) in file.dynamic_relocations().into_iter().flatten() {
            let name = match relocation.target() {
                RelocationTarget::Symbol(index) => table
                    .as_ref()
                    .and_then(|table| object::ObjectSymbolTable::symbol_by_index(table, index).ok())
                    .map(named),
                // Relative: the pointer is an address in this file.
                _ => {
                    let relative = matches!(relocation.flags(), RelocationFlags::Elf { .. });
                    let address = relocation.addend().cast_unsigned();
                    relative.then(|| functions.get(&address).cloned()).flatten()
                }
            };
            if let Some(name) = name {
                pointers.insert(at, name);
            }
        }
        Self { functions, pointers }
    }

    fn function(&self, address: u64) -> String {
        self.functions.get(&address).cloned().unwrap_or_else(|| "a nameless function".to_owned())
    }

    /// Target of an indirect call or jump.
    fn pointed(&self, instruction: &Instruction) -> Option<String> {
        let direct = instruction.op0_kind() == OpKind::Memory
            && instruction.memory_base() == Register::RIP
            && instruction.memory_index() == Register::None;
        direct.then(|| self.pointers.get(&instruction.memory_displacement64()).cloned()).flatten()
    }
}

/// Parts of the names of functions that end in a panic.
const PANICS: [&str; 6] = ["panic", "unwrap_failed", "expect_failed", "_fail", "abort", "unwind"];

fn call(name: String) -> Finding {
    if PANICS.iter().any(|part| name.to_lowercase().contains(part)) {
        Finding::Panic(name)
    } else {
        Finding::Call(name)
    }
}

/// Follows every path through the code of a function at `address`.
fn walk(code: &[u8], address: u64, names: &Names) -> Code {
    let inside = address..address + code.len() as u64;
    let (mut seen, mut found) = (BTreeSet::new(), Code::default());
    let mut ways = vec![address];
    while let Some(at) = ways.pop() {
        if !seen.insert(at) {
            continue;
        }
        if !inside.contains(&at) {
            found.findings.insert(call(names.function(at)));
            continue;
        }
        let offset = usize::try_from(at - address).expect("inside");
        let instruction = Decoder::with_ip(64, &code[offset..], at, DecoderOptions::NONE).decode();
        found.instructions += 1;
        found.findings.extend(special(&instruction));
        let (next, target) = (instruction.next_ip(), instruction.near_branch_target());
        match instruction.flow_control() {
            FlowControl::Next => ways.push(next),
            FlowControl::UnconditionalBranch => ways.push(target),
            FlowControl::ConditionalBranch => ways.extend([next, target]),
            FlowControl::Call | FlowControl::IndirectCall => {
                let name = match instruction.flow_control() {
                    FlowControl::Call if !instruction.is_call_near() => None, // A system call.
                    FlowControl::Call => Some(names.function(target)),
                    _ => {
                        Some(names.pointed(&instruction).unwrap_or_else(|| "a pointer".to_owned()))
                    }
                };
                let finding = name.map(call);
                // A panic does not come back.
                if !matches!(finding, Some(Finding::Panic(_))) {
                    ways.push(next);
                }
                found.findings.extend(finding);
            }
            FlowControl::IndirectBranch => {
                let jump = || Finding::Jump("to an address in a register or table".to_owned());
                found.findings.insert(names.pointed(&instruction).map_or_else(jump, call));
            }
            FlowControl::Exception => {
                found.findings.insert(Finding::Panic(name_of(&instruction)));
            }
            _ => {}
        }
    }
    found
}

fn name_of(instruction: &Instruction) -> String {
    format!("{:?}", instruction.mnemonic()).to_lowercase()
}

/// Properties of one instruction.
fn special(instruction: &Instruction) -> Option<Finding> {
    let memory = (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory);
    let name = || name_of(instruction);
    match instruction.mnemonic() {
        _ if instruction.has_lock_prefix() => Some(Finding::Locked(name())),
        Mnemonic::Xchg | Mnemonic::Xadd | Mnemonic::Cmpxchg if memory => {
            Some(Finding::Locked(name()))
        }
        Mnemonic::Cmpxchg8b | Mnemonic::Cmpxchg16b => Some(Finding::Locked(name())),
        Mnemonic::Mfence | Mnemonic::Lfence | Mnemonic::Sfence => Some(Finding::Fence(name())),
        Mnemonic::Syscall | Mnemonic::Sysenter | Mnemonic::Int | Mnemonic::Int3 => {
            Some(Finding::System(name()))
        }
        _ => None,
    }
}
