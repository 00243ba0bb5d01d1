//! Builds the tree with all mutants, and finds out which do not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use serde_json::{Value, json};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutant::Mutant;
use crate::rewrite::rewrite;

/// A program of tests.
#[derive(Debug, Clone)]
pub struct Program {
    /// `core format1`.
    pub name: String,
    /// Its package: `core`.
    pub package: String,
    /// What to run.
    pub path: PathBuf,
    /// Where cargo would run it.
    pub folder: PathBuf,
    /// Whether it is one of a machine of 32 bits.
    pub narrow: bool,
}

/// What became of the list.
pub struct Built {
    /// All that could be run.
    pub programs: Vec<Program>,
    /// Do not compile.
    pub unviable: BTreeSet<u32>,
    /// Do not compile where words have 4 bytes: unviable if they are not compiled elsewhere.
    pub narrow: BTreeSet<u32>,
    /// Cannot be chosen at run time.
    pub other: BTreeSet<u32>,
    /// May be used at compile time.
    pub constant: BTreeSet<u32>,
}

/// The tracked files of the workspace, and what is new.
fn copy_tree(root: &Path, tree: &Path) {
    let list = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git");
    let list = String::from_utf8(list.stdout).expect("plain names");
    let names: BTreeSet<&str> = list.split('\0').filter(|name| !name.is_empty()).collect();
    for name in names {
        // Sources of the two are written by `put`.
        let other = !name.starts_with("core/src/") && !name.starts_with("observe/src/");
        if other && let Ok(bytes) = fs::read(root.join(name)) {
            write(&tree.join(name), &bytes);
            let mode = fs::metadata(root.join(name)).expect("it was read").permissions();
            fs::set_permissions(tree.join(name), mode).expect("ours");
        }
    }
}

/// Only what differs, lest all is built again.
fn write(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return;
    }
    fs::create_dir_all(path.parent().expect("below the tree")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Writes the sources of both crates; says which mutants have no place, which are in a
/// `const fn`, and which never compile.
fn put(root: &Path, tree: &Path, mutants: &[Mutant], out: &BTreeSet<u32>) -> [BTreeSet<u32>; 3] {
    let [mut lost, mut constant, mut refused] = [const { BTreeSet::new() }; 3];
    for package in ["core", "observe"] {
        for path in sources(&root.join(package).join("src")).expect("sources") {
            let name = path.strip_prefix(root).expect("below it");
            let here: Vec<&Mutant> =
                mutants.iter().filter(|mutant| Path::new(&mutant.file) == name).collect();
            let text = fs::read_to_string(&path).expect("text");
            let is_root = path.ends_with("src/lib.rs");
            if here.is_empty() && !is_root {
                write(&tree.join(name), text.as_bytes());
                continue;
            }
            let written = rewrite(&text, is_root, &here, out);
            lost.extend(written.lost);
            constant.extend(written.constant);
            refused.extend(written.refused);
            write(&tree.join(name), written.text.as_bytes());
        }
    }
    [lost, constant, refused]
}

/// The branches of one file.
#[derive(Default)]
struct Branches {
    /// What runs instead.
    changed: Vec<(Range<usize>, u32)>,
    /// That with the original.
    whole: Vec<(Range<usize>, u32)>,
    /// What is matched, and the arms that may go.
    matches: Vec<(Range<usize>, Vec<u32>)>,
}

fn number(condition: &syn::Expr) -> Option<u32> {
    let syn::Expr::Call(call) = condition else { return None };
    let syn::Expr::Path(path) = &*call.func else { return None };
    let (Some(last), Some(syn::Expr::Lit(literal))) =
        (path.path.segments.last(), call.args.first())
    else {
        return None;
    };
    let syn::Lit::Int(number) = &literal.lit else { return None };
    (last.ident == "mutant").then(|| number.base10_parse().expect("ours"))
}

impl<'ast> Visit<'ast> for Branches {
    fn visit_expr_if(&mut self, expr: &'ast syn::ExprIf) {
        if let Some(number) = number(&expr.cond) {
            self.changed.push((expr.then_branch.span().byte_range(), number));
            self.whole.push((expr.span().byte_range(), number));
        }
        visit::visit_expr_if(self, expr);
    }

    fn visit_expr_match(&mut self, found: &'ast syn::ExprMatch) {
        let mut arms = Vec::new();
        for arm in &found.arms {
            if let syn::Pat::Guard(syn::PatGuard { guard, .. }) = &arm.pat {
                let first = match &**guard {
                    syn::Expr::Binary(both) => &*both.left,
                    one => one,
                };
                if let syn::Expr::Unary(not) = first {
                    arms.extend(number(&not.expr));
                }
            }
        }
        self.matches.push((found.expr.span().byte_range(), arms));
        visit::visit_expr_match(self, found);
    }
}

fn innermost(ranges: &[(Range<usize>, u32)], at: usize) -> Option<u32> {
    let around = ranges.iter().filter(|(range, _)| range.contains(&at));
    around.min_by_key(|(range, _)| range.len()).map(|(_, number)| *number)
}

/// Compiles one library: the mutants that the compiler refuses, and those it takes offence at
/// without being within them.
fn refused(
    tree: &Path,
    target: &Path,
    package: &str,
    how: &str,
    narrow: bool,
) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let output = cargo(tree, target, narrow)
        .args([how, "--lib", "--message-format=json", "-p", package])
        .args(["--features", "mmstats-core/std"])
        .args(machine(narrow))
        .output()
        .expect("cargo");
    let (mut changed, mut whole) = (BTreeSet::new(), BTreeSet::new());
    let mut files: BTreeMap<String, Branches> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let message = &value["message"];
        if value["reason"] != "compiler-message" || message["level"] != "error" {
            continue;
        }
        let spans = message["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
        for span in spans.iter().filter(|span| span["is_primary"] == true) {
            let mut span = span;
            while !span["expansion"].is_null() {
                span = &span["expansion"]["span"];
            }
            let name = span["file_name"].as_str().expect("a name");
            let at = usize::try_from(span["byte_start"].as_u64().expect("a place")).expect("small");
            let branches = files.entry(name.to_owned()).or_insert_with(|| {
                let text = fs::read_to_string(tree.join(name)).expect("a source");
                let file = syn::parse_file(&text).expect("it was written by us");
                let mut branches = Branches::default();
                branches.visit_file(&file);
                branches
            });
            // An arm with a guard does not count: only the compiler knows whether one may go.
            let partial = message["code"]["code"] == "E0004";
            let found = branches.matches.iter().find(|(range, _)| partial && range.start == at);
            if let Some((_, arms)) = found {
                whole.extend(arms);
            } else if let Some(number) = innermost(&branches.changed, at) {
                changed.insert(number);
            } else if let Some(number) = innermost(&branches.whole, at) {
                println!("around {number}: {}", message["message"]);
                whole.insert(number);
            } else {
                panic!("not a mutant: {name} {at} {}", message["message"]);
            }
        }
    }
    assert!(
        output.status.success() || !changed.is_empty() || !whole.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (changed, whole)
}

/// A machine whose words have 4 bytes: what is for such is compiled nowhere else.
const NARROW: [&str; 2] = ["--target", "i686-unknown-linux-gnu"];

fn machine(narrow: bool) -> &'static [&'static str] {
    if narrow { &NARROW } else { &[] }
}

fn cargo(tree: &Path, target: &Path, narrow: bool) -> Command {
    let mut command = Command::new("cargo");
    if narrow {
        // Without libraries of that machine: its programs run here as they are.
        command
            .env("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER", "i686-linux-gnu-gcc")
            .env("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    }
    command
        .arg("+nightly")
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_TEST_DEBUG", "0")
        // With all checks of a debug build, but the tests run often.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_TEST_OPT_LEVEL", "1")
        .stderr(Stdio::piped());
    command
}

/// A number for the sources of both crates and their mutants.
fn stamp(root: &Path, mutants: &[Mutant]) -> u64 {
    let mut hasher = DefaultHasher::new();
    mutants.iter().for_each(|mutant| mutant.name.hash(&mut hasher));
    for package in ["core", "observe"] {
        let mut paths = sources(&root.join(package).join("src")).expect("sources");
        paths.sort();
        paths.iter().for_each(|path| fs::read(path).expect("a source").hash(&mut hasher));
    }
    hasher.finish()
}

/// What the compiler said of the mutants.
#[derive(Default)]
struct Judged {
    /// Do not compile.
    unviable: BTreeSet<u32>,
    /// Make something else not compile.
    other: BTreeSet<u32>,
    /// In a `const fn`.
    constant: BTreeSet<u32>,
}

impl Judged {
    /// Rewrites and compiles one library until the compiler agrees.
    fn judge(
        &mut self,
        [root, tree, target]: [&Path; 3],
        mutants: &[Mutant],
        package: &str,
        narrow: bool,
    ) {
        // Some errors come late: an overflow that is certain.
        let mut hows = ["check", "build"].into_iter();
        let mut how = hows.next();
        while let Some(command) = how {
            let out = self.unviable.union(&self.other).copied().collect();
            let [lost, in_constant, never] = put(root, tree, mutants, &out);
            self.other.extend(lost);
            self.unviable.extend(never);
            self.constant = in_constant;
            let (changed, whole) = refused(tree, target, package, command, narrow);
            println!(
                "{command} {package}{}: {} do not compile, {} around",
                if narrow { " (32 bits)" } else { "" },
                changed.len(),
                whole.len()
            );
            // An error in the original may come from one of the changed ones.
            if changed.is_empty() {
                self.other.extend(&whole);
                if whole.is_empty() {
                    how = hows.next();
                }
            }
            self.unviable.extend(changed);
        }
    }
}

/// Copies, rewrites, and builds until the compiler agrees.
pub fn build(
    root: &Path,
    work: &Path,
    mutants: &[Mutant],
    crates: &[&str],
    packages: &[&str],
) -> Built {
    let (tree, target) = (work.join("tree"), work.join("build"));
    copy_tree(root, &tree);
    // What the compiler said of these very sources and mutants.
    let stamp = stamp(root, mutants);
    let known = fs::read_to_string(work.join("known.json")).unwrap_or_default();
    let known: Value = serde_json::from_str(&known).unwrap_or_default();
    let numbers = |name: &str| -> BTreeSet<u32> {
        let known = if known["stamp"] == stamp { known[name].as_array() } else { None };
        let numbers = known.into_iter().flatten().filter_map(Value::as_u64);
        numbers.filter_map(|number| u32::try_from(number).ok()).collect()
    };
    let mut wide = Judged {
        unviable: numbers("unviable"),
        other: numbers("other"),
        constant: BTreeSet::new(),
    };
    for package in crates {
        wide.judge([root, &tree, &target], mutants, &format!("mmstats-{package}"), false);
    }
    let mut programs = programs(&tree, &target, packages, false);
    // In a tree of its own, from which more is left out.
    let tree = work.join("tree32");
    copy_tree(root, &tree);
    let mut narrow = Judged {
        unviable: wide.unviable.union(&numbers("narrow")).copied().collect(),
        other: wide.other.clone(),
        constant: BTreeSet::new(),
    };
    if crates.contains(&"core") {
        narrow.judge([root, &tree, &target], mutants, "mmstats-core", true);
        programs.extend(self::programs(&tree, &target, &["mmstats-core"], true));
    }
    let Judged { unviable, mut other, constant } = wide;
    let narrow: BTreeSet<u32> = narrow.unviable.difference(&unviable).copied().collect();
    let known = json!({ "stamp": stamp, "unviable": unviable, "other": other, "narrow": narrow });
    fs::write(work.join("known.json"), known.to_string()).expect("a file");
    other.retain(|number| !unviable.contains(number));
    Built { programs, unviable, narrow, other, constant }
}

fn programs(tree: &Path, target: &Path, packages: &[&str], narrow: bool) -> Vec<Program> {
    let mut command = cargo(tree, target, narrow);
    command.args(["test", "--no-run", "--lib", "--bins", "--tests", "--message-format=json"]);
    command.args(["--features", "mmstats-core/std"]).args(machine(narrow));
    for package in packages {
        command.args(["-p", package]);
    }
    let output = command.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(path), true) = (value["executable"].as_str(), value["profile"]["test"] == true)
        else {
            continue;
        };
        let manifest = Path::new(value["manifest_path"].as_str().expect("a manifest"));
        let folder = manifest.parent().expect("in a folder");
        let target = value["target"]["name"].as_str().expect("a name");
        let package = folder.strip_prefix(tree).expect("in the tree").display().to_string();
        found.push(Program {
            name: format!("{package} {target}{}", if narrow { " (32 bits)" } else { "" }),
            package,
            path: PathBuf::from(path),
            folder: folder.to_owned(),
            narrow,
        });
    }
    found
}
