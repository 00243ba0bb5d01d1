//! Threads as JSON.

use std::io;
use std::time::SystemTime;

use mmstats_observe::Program;
use mmstats_threads::{Report, ReportDocument};
use serde::Serialize;

use crate::backend::ProcessState;
use crate::json::{self, FileHead};
use crate::model::life::Life;
use crate::output::Output;

#[derive(Serialize)]
struct Document<'a, H> {
    /// In seconds since 1970.
    time: f64,
    programs: Vec<ProgramDocument<'a, H>>,
}

/// A program with its threads; `H` is its identity.
#[derive(Serialize)]
pub(crate) struct ProgramDocument<'a, H> {
    /// Absent for a process that publishes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<H>,
    #[serde(flatten)]
    report: ReportDocument<'a>,
}

pub(super) fn write<'p>(
    shown: &[(Option<&'p Program<'p>>, &'p Report)],
    now: SystemTime,
    output: &mut Output,
) -> io::Result<()> {
    let file = |program: Option<&'p Program<'p>>| {
        program.and_then(|program| {
            let process = Life::new(program, now).process;
            FileHead::from_program(program, process.map(ProcessState::name))
        })
    };
    let one = |(program, report): &(Option<&'p Program<'p>>, &'p Report)| {
        ProgramDocument::new(file(*program), report)
    };
    write_programs(shown.iter().map(one).collect(), now, output)
}

/// Writes the document of these programs.
pub(super) fn write_programs<H: Serialize>(
    programs: Vec<ProgramDocument<'_, H>>,
    now: SystemTime,
    output: &mut Output,
) -> io::Result<()> {
    json::write_line(output, &Document { time: json::seconds(now), programs })
}

impl<'a, H> ProgramDocument<'a, H> {
    pub(crate) fn new(file: Option<H>, report: &'a Report) -> Self {
        Self { file, report: ReportDocument::new(report) }
    }
}
