//! Faults on purpose, with real processes: `mmstats-torture [OPTION...] [SCENARIO...]`.
//!
//! Prints a table with a row for each scenario: how often it was tried, survived and lost.
//! `tests/README.md` says what each row does; `tests/torture` builds what is needed and
//! starts this.
#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
mod damage;
#[cfg(target_os = "linux")]
mod disks;
#[cfg(target_os = "linux")]
mod explained;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod planted;
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod speed;
#[cfg(target_os = "linux")]
mod stops;
#[cfg(target_os = "linux")]
mod storms;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod tests;
#[cfg(target_os = "linux")]
mod tools;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let plan = match plan::Plan::of(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}\n{}", plan::USAGE);
            return std::process::ExitCode::from(2);
        }
    };
    if plan.list {
        plan::SCENARIOS.iter().for_each(|scenario| println!("{}", scenario.name));
        return std::process::ExitCode::SUCCESS;
    }
    plan::run(&plan)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the scenarios are for Linux");
    std::process::exit(2);
}

#[cfg(target_os = "linux")]
mod plan;
