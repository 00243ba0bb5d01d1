//! Core and one backend, without `mmstats`: a file that `mmstats ls` and `mmstats show PID` find.
//!
//! ```text
//! cargo run -p mmstats-unix --example embed &
//! mmstats show $!
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mmstats_core::{Constant, Counter, FieldSpec, Level, Schema};
use mmstats_unix::directory::{environment, publish_directory};
use mmstats_unix::{Access, Facts, Mapping, OwnedFile, create, name, process};

/// The published file, and a handle for each field that changes.
pub(crate) struct Published {
    pub(crate) file: OwnedFile,
    pub(crate) requests: Counter<Arc<Mapping>>,
}

/// Publishes the fields of one thread.
///
/// # Errors
///
/// If there is no directory for files, or no room in it.
pub(crate) fn publish() -> Result<Published, Box<dyn Error>> {
    let facts = process::facts();
    let mut schema = Schema::<16>::new();
    describe_process(&mut schema, &facts)?;
    let requests = schema.add(FieldSpec::counter("requests").help("Requests answered."))?;

    // The name has process id and instance, so that no two programs choose the same.
    let instance = process::random();
    let command = facts.command.as_deref().unwrap_or("embed");
    let values = name::Values { command, pid: facts.pid, tid: 0, id: instance };
    let name = name::fill(&environment().template(), &values)?;

    let size = schema.geometry(1).file_size().ok_or("the fields do not fit into a file")?;
    let file = create(&publish_directory()?.directory, &name, size, Access::Owner)?;
    let mut writer = schema.create(Arc::clone(file.mapping()), 1, instance)?;
    let requests = Counter::attach(&writer.lane()?, requests)?;
    // From here on observers see the file, complete and locked.
    Ok(Published { file: file.publish()?, requests })
}

/// Declares the fields by which the tools recognise a process: FILES.md, section 2.
fn describe_process<'a>(
    schema: &mut Schema<'a, 16>,
    facts: &'a Facts,
) -> Result<(), Box<dyn Error>> {
    let created = facts.created.duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
    let constants = [
        ("sys.pid", Some(Constant::U32(facts.pid))),
        ("sys.created", Some(Constant::F64(created))),
        ("sys.uid", facts.uid.map(Constant::U32)),
        ("sys.boot_id", facts.boot_id.as_deref().map(Constant::Text)),
        ("sys.start_time", facts.start_time.map(Constant::U64)),
        ("sys.pid_ns", facts.pid_ns.map(Constant::U64)),
        ("sys.command", facts.command.as_deref().map(Constant::Text)),
        ("sys.host", facts.host.as_deref().map(Constant::Text)),
    ];
    for (label, value) in constants {
        if let Some(value) = value {
            schema.add(FieldSpec::info(label, value).level(Level::Diagnostic))?;
        }
    }
    Ok(())
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<(), Box<dyn Error>> {
    let published = publish()?;
    println!("{}", published.file.path().display());
    for _ in 0..600 {
        published.requests.incr();
        std::thread::sleep(Duration::from_millis(100));
    }
    // Without this the file stays, as that of a dead program.
    published.file.remove()?;
    Ok(())
}
