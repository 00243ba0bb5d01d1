//! The writer of CONFORMANCE.md section 4, of level 2, around `mmstats-core`.
#![forbid(unsafe_code)]

mod description;
mod values;

#[cfg(not(windows))] // the backend of the system
use mmstats_unix as backend;
#[cfg(windows)] // as above
use mmstats_windows as backend;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use backend::directory::Directory;
use description::{Kind, Line, Refusal, parse, wrong};
use mmstats_core::{FieldId, FieldSpec, Geometry, Memory, SpecError, WriteError, Writer};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [description, file] = arguments.as_slice() else {
        eprintln!("usage: conform-writer DESCRIPTION FILE");
        return ExitCode::from(3);
    };
    match write(Path::new(description), Path::new(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal::Wrong(why)) => {
            eprintln!("{why}");
            ExitCode::from(1)
        }
        Err(Refusal::NotSupported(what)) => {
            eprintln!("not supported: {what}");
            ExitCode::from(2)
        }
    }
}

fn write(description: &Path, file: &Path) -> Result<(), Refusal> {
    let text = std::fs::read_to_string(description).map_err(wrong)?;
    let lines = parse(&text)?;
    let groups = groups(&lines)?;
    let mut geometry = Geometry::new(1);
    for group in &groups {
        reserve(&mut geometry, group).map_err(wrong)?;
    }
    let size = geometry.file_size().ok_or_else(|| wrong("the image is too large"))?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = Directory::open(parent.unwrap_or(Path::new("."))).map_err(wrong)?;
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| wrong("the file has no name"))?;
    let new = backend::create(&directory, name, size, backend::Access::Owner).map_err(wrong)?;
    let instance = backend::process::random();
    let memory = Arc::clone(new.mapping());
    let mut writer = Writer::create_zeroed(memory, &geometry, instance, 0).map_err(wrong)?;
    let mut firsts = Vec::new();
    for group in &groups {
        firsts.push(add(&mut writer, group).map_err(wrong)?);
    }
    let lane = writer.lane().map_err(wrong)?;
    for (group, first) in groups.iter().zip(firsts) {
        values::set(&lane, first, group)?;
    }
    writer.go_live();
    let _owned = new.publish().map_err(|unpublished| wrong(unpublished.error))?;
    writer.close();
    Ok(())
}

/// Lines that are added together: the members of a group, or one line alone.
fn groups<'a, 'b>(lines: &'b [Line<'a>]) -> Result<Vec<&'b [Line<'a>]>, Refusal> {
    let together = |before: &Line<'_>, line: &Line<'_>| {
        matches!(before.kind, Kind::Group(..) | Kind::Member(..))
            && matches!(line.kind, Kind::Member(..))
    };
    let groups: Vec<_> = lines.chunk_by(together).collect();
    if groups.iter().any(|group| matches!(group, [Line { kind: Kind::Member(..), .. }, ..])) {
        return Err(wrong("a member without a group"));
    }
    Ok(groups)
}

fn specs<'a>(group: &'a [Line<'_>]) -> Vec<FieldSpec<'a>> {
    group.iter().map(Line::spec).collect()
}

fn is_group(group: &[Line<'_>]) -> bool {
    matches!(group, [Line { kind: Kind::Group(..), .. }, ..])
}

fn reserve(geometry: &mut Geometry, group: &[Line<'_>]) -> Result<(), SpecError> {
    let specs = specs(group);
    if is_group(group) { geometry.add_group(&specs) } else { geometry.add_all(&specs) }
}

/// Adds the fields; the first of them.
fn add<M: Memory>(writer: &mut Writer<M>, group: &[Line<'_>]) -> Result<FieldId, WriteError> {
    let specs = specs(group);
    if is_group(group) { writer.add_group(&specs) } else { writer.add_all(&specs) }
}
