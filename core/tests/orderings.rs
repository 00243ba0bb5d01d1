//! All orderings are explored by loom: each Release and Acquire of this crate is in `region`, in a
//! function with a [`Site`] parameter, and each site has a mutant in the loom tests (which compare
//! their lists with those of `Site`).

use std::fs;
use std::path::{Path, PathBuf};

use mmstats_core::protocol::{Bound, Site};

const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");

/// All sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The code of a line.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

const ORDERS: [&str; 4] = ["Release", "Acquire", "AcqRel", "SeqCst"];

/// Lines that name atomics.
fn names_atomics(text: &str) -> Vec<usize> {
    let names = ["sync::atomic", "portable_atomic", "compiler_fence"];
    let named = |(_, line): &(usize, &str)| names.iter().any(|name| code(line).contains(name));
    (1..).zip(text.lines()).filter(named).map(|(number, _)| number).collect()
}

/// Uses of an ordering in functions with a site, and in others.
fn uses(text: &str) -> (Vec<usize>, Vec<usize>) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut signature = String::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = code(line);
        if line.trim_start().starts_with("use ") {
            continue;
        }
        if has_word(line, "fn") {
            signature.clear();
            open = true;
        }
        if open {
            signature.push_str(line);
            open = !line.contains('{') && !line.contains(';');
        }
        if ORDERS.iter().any(|order| has_word(line, order)) {
            let list = if has_word(&signature, "Site") { &mut with } else { &mut without };
            list.push(number);
        }
    }
    (with, without)
}

#[test]
fn atomics_named_only_in_region() {
    let root = Path::new(MANIFEST).join("src");
    let mut seen = 0;
    for path in sources(&root) {
        let lines = names_atomics(&fs::read_to_string(&path).unwrap());
        if path.starts_with(root.join("region")) {
            seen += lines.len();
        } else {
            assert!(lines.is_empty(), "{}: {lines:?}", path.display());
        }
    }
    assert!(seen > 0, "region names none");
}

#[test]
fn orderings_have_a_site() {
    let mut sites = 0;
    for path in sources(&Path::new(MANIFEST).join("src/region")) {
        let (with, without) = uses(&fs::read_to_string(&path).unwrap());
        assert!(without.is_empty(), "{}: {without:?} order memory without a site", path.display());
        sites += with.len();
    }
    // Fence and seq of a latch, element of a journal, two words with their fences, two shared words,
    // claim and return of a row, fence of a reader.
    assert_eq!(sites, 12, "a new place that orders memory: is it one that loom runs?");
}

#[test]
fn sites_and_bounds_are_used() {
    let folder = Path::new(MANIFEST).join("src/protocol");
    let files = sources(&folder).into_iter().filter(|path| !path.ends_with("mod.rs"));
    let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let sites = [Site::LATCH, Site::JOURNAL, Site::IMAGE, Site::TABLE].concat();
    let bounds = [Bound::LATCH, Bound::JOURNAL].concat();
    let names = sites.iter().map(|site| format!("Site::{site:?}"));
    for name in names.chain(bounds.iter().map(|bound| format!("Bound::{bound:?}"))) {
        assert!(text.contains(&name), "{name} is used nowhere");
    }
    // All lists: a new list needs a loom test.
    let text = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let lists = text.lines().filter(|line| line.starts_with("    ") && line.ends_with(" {"));
    let lists: Vec<_> = lists.map(|line| line.trim().trim_end_matches(" {")).collect();
    let lists: Vec<_> =
        lists.into_iter().filter(|list| list.bytes().all(|b| b.is_ascii_uppercase())).collect();
    assert_eq!(lists, ["LATCH", "JOURNAL", "IMAGE", "TABLE", "LATCH", "JOURNAL"]);
}

/// Faults that the tests above must find.
#[test]
fn planted_faults_are_found() {
    assert_eq!(names_atomics("//! sync::atomic\nuse core::sync::atomic::fence;\n"), [2]);
    assert_eq!(names_atomics("    portable_atomic::fence(x);"), [1]);
    let with =
        "    fn publish(&self,\n        value: u32, _site: Site) {\n  w.store(1, Release);\n}";
    assert_eq!(uses(with), (vec![3], vec![]));
    let without = "fn a(_site: Site) {}\nfn b(&self) {\n    // Acquire\n    fence(Acquire);\n}";
    assert_eq!(uses(without), (vec![], vec![4]));
    assert_eq!(uses("use x::Release;\nfn a() { s(Ordering::SeqCst) }"), (vec![], vec![2]));
}
