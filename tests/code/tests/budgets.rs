//! The machine code of each update keeps its budget: budgets.txt.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::{BTreeMap, BTreeSet};

use mmstats_code::{Code, Finding, measure, updates};

/// Budget of a function.
struct Budget<'a> {
    instructions: usize,
    /// Kind, and a part of the text of a property.
    allowed: Vec<(&'a str, &'a str)>,
}

/// Budgets by name.
fn budgets(text: &str) -> BTreeMap<&str, Budget<'_>> {
    let mut all = BTreeMap::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(line) = line.strip_prefix("    ") {
            let (what, reason) = line.split_once(": ").expect("KIND WORD: REASON");
            assert!(!reason.is_empty(), "{line}: a reason");
            let (kind, word) = what.split_once(' ').expect("KIND WORD");
            let budget: &mut Budget<'_> =
                last.and_then(|last| all.get_mut(last)).expect("a name first");
            budget.allowed.push((kind, word));
        } else {
            let (name, number) = line.split_once(' ').expect("NAME INSTRUCTIONS");
            let instructions = number.trim().parse().expect("a number");
            let budget = Budget { instructions, allowed: Vec::new() };
            assert!(all.insert(name, budget).is_none(), "{name} twice");
            last = Some(name);
        }
    }
    all
}

impl Budget<'_> {
    /// Violations of the budget.
    fn refuses(&self, code: &Code) -> Vec<String> {
        let too_many = (code.instructions > self.instructions)
            .then(|| format!("{} instructions, not {}", code.instructions, self.instructions));
        let allowed = |finding: &Finding| {
            let text = finding.to_string();
            let (kind, rest) = text.split_once(' ').unwrap_or((&text, ""));
            self.allowed.iter().any(|(k, word)| *k == kind && rest.contains(word))
        };
        let refused = code.findings.iter().filter(|finding| !allowed(finding));
        too_many.into_iter().chain(refused.map(Finding::to_string)).collect()
    }
}

fn read() -> BTreeMap<&'static str, Budget<'static>> {
    budgets(include_str!("../budgets.txt"))
}

#[test]
fn every_update_has_a_budget() {
    let names: BTreeSet<_> = updates::all().into_iter().map(|(name, _)| name).collect();
    let budgets: BTreeSet<_> = read().into_keys().collect();
    assert_eq!(names, budgets);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "of the release build: cargo test --release -p mmstats-code")]
fn every_update_keeps_its_budget() {
    let (budgets, codes) = (read(), measure(&updates::all()));
    let mut wrong = Vec::new();
    for (name, code) in &codes {
        let refused = budgets[name].refuses(code);
        wrong.extend(refused.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(codes.len(), budgets.len());
}

/// Shows that the test above can fail.
#[test]
#[cfg_attr(debug_assertions, ignore = "of the release build: cargo test --release -p mmstats-code")]
fn planted_faults_are_found() {
    let codes = measure(&updates::planted::all());
    let strict = Budget { instructions: 5, allowed: Vec::new() };
    let expected = [
        ("lock_prefix", "locked "),
        ("exchange", "locked xchg"),
        ("compare_exchange", "locked cmpxchg"),
        ("fence", "locked "), // on x86-64 a locked instruction
        ("panic_path", "panic "),
        ("call", "call "),
        ("tail_call", "call memcpy"),
        ("too_long", "instructions, not 5"),
    ];
    assert_eq!(codes.len(), expected.len());
    for (name, what) in expected {
        let refused = strict.refuses(&codes[name]);
        assert!(refused.iter().any(|found| found.contains(what)), "{name}: {refused:?}");
    }
}
