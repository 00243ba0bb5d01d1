//! Faults on purpose, with real processes: `mmstats-torture [OPTION...] [SCENARIO...]`.
//!
//! Prints a table with a row for each scenario: cases tried, survived and lost.
//! `tests/README.md` describes each row; `tests/torture` builds what is needed and starts this.
#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
mod churn;
#[cfg(target_os = "linux")]
mod damage;
#[cfg(target_os = "linux")]
mod disks;
#[cfg(target_os = "linux")]
mod forged;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod neighbours;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod planted;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod recovery;
#[cfg(target_os = "linux")]
mod removed;
#[cfg(target_os = "linux")]
mod room;
#[cfg(target_os = "linux")]
mod scenarios;
#[cfg(target_os = "linux")]
mod shown;
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
mod tools;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let plan = match plan::Plan::from_arguments(std::env::args().skip(1), &scenarios::names()) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}\n{}", plan::USAGE);
            return std::process::ExitCode::from(2);
        }
    };
    if plan.list {
        scenarios::names().iter().for_each(|name| println!("{name}"));
        return std::process::ExitCode::SUCCESS;
    }
    scenarios::run(&plan)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the scenarios are for Linux");
    std::process::exit(2);
}
