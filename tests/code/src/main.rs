//! Prints the machine code of all updates in numbers, in the form of budgets.txt.
#![forbid(unsafe_code)]

use mmstats_code::{measure, updates};

fn main() {
    let functions = updates::all();
    let codes = measure(&functions);
    for (name, _) in functions {
        let code = &codes[name];
        println!("{name:<28}{:>4}", code.instructions);
        code.findings.iter().for_each(|finding| println!("    {finding}"));
    }
}
