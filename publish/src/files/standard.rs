//! The standard fields: FILES.md section 2.

use std::time::SystemTime;

use mmstats_core::{Aggregation, Kind, Level};

use crate::backend::Facts;
use crate::backend::ledger::MEMBER;
use crate::handles::kinds::Timestamp;
use crate::handles::{Gauge, Info, Text};
use crate::schema::Schema;
use crate::schema::declaration::LANE_FIELDS;
use crate::schema::options::FieldOptions;
use crate::schema::options::Value;

/// The handle of a thread's name.
pub(crate) type ThreadName = Text<24>;

/// Declares the fields `sys.*`.
pub(crate) fn declare(
    schema: &mut Schema,
    facts: &Facts,
    command: &str,
    memory_backed: Option<bool>,
) {
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
    let [tid, thread, mirrored] = LANE_FIELDS;
    schema.add::<Gauge<u64>>(tid, lane_field("Thread id of the lane's owner."));
    schema.add::<ThreadName>(thread, lane_field("Name of the thread that owns the lane."));
    let options = FieldOptions::new().aggregation(Aggregation::Min).level(Level::Diagnostic);
    let help =
        "Last copy of the lane from memory that no observer sees; none if this is its memory.";
    schema.add::<Timestamp>(mirrored, options.help(help));
}

fn lane_field<H>(help: &str) -> FieldOptions<H> {
    FieldOptions::new()
        .help(help)
        .aggregation(Aggregation::Each)
        .kind(Kind::Info)
        .level(Level::Diagnostic)
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
