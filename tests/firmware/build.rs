//! Linker script with the memory of each board.

use std::path::PathBuf;
use std::{env, fs};

/// Address and size of FLASH, RAM and RETAINED. RETAINED is RAM that start-up code and loader do
/// not touch, so it survives a reset.
type Memory = [(u32, u32); 3];

/// QEMU's mps2-an386: Cortex-M4F.
const MPS2: Memory = [(0, 4 << 20), (0x2000_0000, 2 << 20), (0x2020_0000, 64 << 10)];
/// QEMU's microbit: Cortex-M0.
const MICROBIT: Memory = [(0, 256 << 10), (0x2000_0000, 12 << 10), (0x2000_3000, 4 << 10)];
/// QEMU's virt: its flash is RAM too.
const VIRT: Memory = [(0x8000_0000, 1 << 20), (0x8010_0000, 1 << 20), (0x8020_0000, 64 << 10)];

fn main() {
    let target = env::var("TARGET").expect("cargo sets it");
    let memory = match target.as_str() {
        "thumbv7em-none-eabihf" => MPS2,
        "thumbv6m-none-eabi" => MICROBIT,
        "riscv32imc-unknown-none-elf" => VIRT,
        other => panic!("no board for {other}"),
    };
    let mut script = String::from("MEMORY {\n");
    for (name, (origin, length)) in ["FLASH", "RAM", "RETAINED"].into_iter().zip(memory) {
        script += &format!("    {name} : ORIGIN = {origin:#x}, LENGTH = {length}\n");
    }
    script += "}\n_retained_start = ORIGIN(RETAINED);\n";
    script += "_retained_end = ORIGIN(RETAINED) + LENGTH(RETAINED);\n";
    // Handles of `updates`.
    script += "PROVIDE(HANDLES = ORIGIN(RAM));\n";
    if target.starts_with("riscv") {
        for (region, place) in [
            ("TEXT", "FLASH"),
            ("RODATA", "FLASH"),
            ("DATA", "RAM"),
            ("BSS", "RAM"),
            ("HEAP", "RAM"),
            ("STACK", "RAM"),
        ] {
            script += &format!("REGION_ALIAS(\"REGION_{region}\", {place});\n");
        }
    }
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("memory.x"), script).expect("a file");
    println!("cargo:rustc-link-search={}", out.display());
    if target.starts_with("riscv") {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=build.rs");
}
