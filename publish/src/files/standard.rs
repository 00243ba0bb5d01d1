//! The standard fields: FORMAT.md section 11.

use std::time::SystemTime;

use mmstats_core::{Aggregation, Kind, Level};

use crate::backend::Facts;
use crate::backend::ledger::MEMBER;
use crate::handles::{Gauge, Info};
use crate::schema::Schema;
use crate::schema::key::Key;
use crate::schema::options::FieldOptions;
use crate::schema::options::Value;

/// Declares the fields `sys.*`; returns the one for the thread id of a lane's owner.
pub(crate) fn declare(
    schema: &mut Schema,
    facts: &Facts,
    command: &str,
    memory_backed: Option<bool>,
) -> Key<Gauge<u64>> {
    let created = facts.created.duration_since(SystemTime::UNIX_EPOCH);
    let mut info = |label: &str, unit: &str, help: &str, value: Option<Value>| {
        if let Some(value) = value {
            let options = FieldOptions::new().help(help).value(value);
            let options = if unit.is_empty() { options } else { options.unit(unit) };
            let shown_first =
                matches!(label, "sys.pid" | "sys.command" | "sys.created" | "sys.host");
            let level = if shown_first { Level::Info } else { Level::Diagnostic };
            let options = options.level(level);
            schema.add::<Info>(label, options);
        }
    };
    info("sys.pid", "", "Process id in its own namespace.", Some(facts.pid.into()));
    info("sys.uid", "", "Effective user id.", facts.uid.map(Into::into));
    info("sys.gid", "", "Effective group id.", facts.gid.map(Into::into));
    let created = created.map_or(0.0, |since| since.as_secs_f64());
    info("sys.created", "seconds", "When publishing began, since 1970.", Some(created.into()));
    info("sys.boot_id", "", "Identity of this boot.", text(facts.boot_id.as_deref()));
    let start = facts.start_time.map(Into::into);
    info("sys.start_time", "ticks", "Start of the process since boot.", start);
    info("sys.pid_ns", "", "Inode of the pid namespace.", facts.pid_ns.map(Into::into));
    info("sys.command", "", "Base name of the program.", text(Some(command)));
    info("sys.host", "", "Host name.", text(facts.host.as_deref()));
    let help = "Whether the file is in memory; if not, writeback can stall the program.";
    info("sys.memory_backed", "", help, memory_backed.map(Into::into));
    schema.add::<Gauge<u64>>(
        "sys.tid",
        FieldOptions::new()
            .help("Thread id of the lane's owner.")
            .aggregation(Aggregation::Each)
            .kind(Kind::Info)
            .level(Level::Diagnostic),
    )
}

/// Declares the constant that an instance of an application has.
pub(crate) fn declare_application(schema: &mut Schema, application: &str) {
    let options = FieldOptions::new().help("Application that keeps the sums of ended programs.");
    let options = options.level(Level::Diagnostic).value(application.to_owned());
    schema.add::<Info>(MEMBER, options);
}

fn text(text: Option<&str>) -> Option<Value> {
    text.map(|text| text.to_owned().into())
}
