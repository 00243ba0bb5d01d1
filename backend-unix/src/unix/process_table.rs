//! Other processes, as `/proc` of Linux shows them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mmstats_system::docs;

use super::foreign_root;
use super::os_error::os_error;
use super::stat::file_id;
use crate::name::final_name;
use crate::{Error, ErrorKind, MappedFiles, ProcessState, ProcessStatus, Result};

/// Names of operations, for errors.
const LOOK: &str = "look at the mappings of a process";
/// Whether the system has the /proc of Linux.
const LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// Maximum size of the list of mappings that is read, in bytes: a process chooses their number.
const MAX_MAPS: u64 = 64 << 20;
/// Maximum number of files of one process.
const MAX_FILES: usize = 4_096;

#[doc = docs!(process::all)]
#[must_use]
pub fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").ok().filter(|_| LINUX);
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).collect()
}

#[doc = docs!(process::status)]
#[must_use]
pub fn status(pid: u32) -> Option<ProcessStatus> {
    if !LINUX {
        return None;
    }
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 2, 3, 4 and 22 of `stat`, counted from 1. Field 2 is the command in parentheses, which may
/// contain parentheses and spaces.
fn parse_stat(stat: &[u8]) -> Option<ProcessStatus> {
    let start = stat.iter().position(|byte| *byte == b'(')?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let command = String::from_utf8_lossy(stat.get(start + 1..end)?).into_owned();
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut words = rest.split_ascii_whitespace();
    let state = match words.next()? {
        "T" | "t" => ProcessState::Stopped,
        "Z" | "X" | "x" => ProcessState::Zombie,
        _ => ProcessState::Running,
    };
    let parent = words.next()?.parse().ok()?;
    let start_time = words.nth(22 - 5)?.parse().ok()?;
    Some(ProcessStatus::new(state, parent, start_time, command))
}

#[doc = docs!(process::mapped_files)]
pub fn mapped_files(pid: u32) -> Result<MappedFiles> {
    if !LINUX {
        return Err(Error::without_path(LOOK, ErrorKind::Unsupported));
    }
    let process = PathBuf::from(format!("/proc/{pid}"));
    let maps = process.join("maps");
    let failed = |error: std::io::Error| os_error(LOOK, Some(&maps), error);
    let file = File::open(&maps).map_err(failed)?;
    let mut lines = BufReader::new(file.take(MAX_MAPS));
    let (mut found, mut seen) = (MappedFiles::default(), HashSet::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let Some(mapping) = parse_mapping(&line) else { continue };
        if seen.len() == MAX_FILES {
            break;
        }
        if !seen.insert(mapping.path.clone()) {
            continue;
        }
        match reachable(&process, &mapping) {
            Some(path) => found.paths.push(path),
            None => found.removed.push(mapping.path),
        }
    }
    Ok(found)
}

/// A file that is mapped shared and to be written.
#[derive(Debug, PartialEq, Eq)]
struct Mapped {
    /// Path with the final name.
    path: PathBuf,
    device: u64,
    index: u64,
}

/// The published file of a line of `maps`. The kernel keeps the name by which a file was opened, and
/// that is the one from before it was published:
/// `7f00-7f01 rw-s 00000000 00:1c 4242    /dev/shm/.x.mmst.tmp-00112233 (deleted)`.
fn parse_mapping(line: &[u8]) -> Option<Mapped> {
    let mut rest = line.strip_suffix(b"\n").unwrap_or(line);
    let mut word = || {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let (word, after) = rest.split_at(end);
        rest = after;
        std::str::from_utf8(word).ok()
    };
    let _addresses = word()?;
    let rights = word()?.as_bytes();
    let (_offset, device, index) = (word()?, word()?, word()?);
    let is_written = rights.get(1) == Some(&b'w') && rights.get(3) == Some(&b's');
    let path = rest.trim_ascii_start();
    // A line end in a path is written as \012.
    if !is_written || path.contains(&b'\\') {
        return None;
    }
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let slash = path.iter().rposition(|byte| *byte == b'/').filter(|_| path.starts_with(b"/"))?;
    let (directory, name) = path.split_at(slash + 1);
    let name = OsStr::from_bytes(name);
    let is_format1 = name.as_bytes().ends_with(b".mmstats") && !name.as_bytes().starts_with(b".");
    let name = final_name(name).map(OsStr::new).or(is_format1.then_some(name))?;
    let path = PathBuf::from(OsStr::from_bytes(directory)).join(name);
    let (major, minor) = device.split_once(':')?;
    let device = rustix::fs::makedev(
        u32::from_str_radix(major, 16).ok()?,
        u32::from_str_radix(minor, 16).ok()?,
    );
    // Narrower, or signed, on some systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    let device = device.try_into().ok()?;
    Some(Mapped { path, device, index: index.parse().ok()? })
}

/// The path by which this process can open a file of another one; `None` if there is none, or
/// another file has its name now.
fn reachable(process: &Path, mapping: &Mapped) -> Option<PathBuf> {
    let namespace =
        |process: &Path| std::fs::metadata(process.join("ns/mnt")).ok().map(|m| m.ino());
    // A process that changed its root has the same names for its mappings.
    let is_here =
        namespace(process).is_some_and(|theirs| Some(theirs) == namespace(Path::new("/proc/self")));
    let path = if is_here {
        mapping.path.clone()
    } else {
        process.join("root").join(mapping.path.strip_prefix("/").ok()?)
    };
    let found = file_id(&foreign_root::stat(&path).ok()?);
    // Some file systems have another device in `maps`, and then perhaps another number.
    let is_same = found.device != mapping.device || found.index == mapping.index;
    is_same.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_mapping_takes_shared_writable_files_of_ours() {
        let path = |rights: &str, path: &str| {
            let line = format!("7f00-7f01 {rights} 00000000 00:1c 42   {path}\n");
            let mapped = parse_mapping(line.as_bytes())?;
            assert_eq!((mapped.device, mapped.index), (0x1c, 42));
            Some(mapped.path)
        };
        for (shown, want) in [
            ("/a b/x.mmst", "/a b/x.mmst"),
            ("/x.mmstats", "/x.mmstats"),
            ("/x.mmst (deleted)", "/x.mmst"),
            ("/d/.x-1.mmst.tmp-6a29575a37019b00 (deleted)", "/d/x-1.mmst"),
        ] {
            assert_eq!(path("rw-s", shown), Some(PathBuf::from(want)), "{shown}");
        }
        for (rights, name) in [
            ("r--s", "/x.mmst"),
            ("rw-p", "/x.mmst"),
            ("rw-s", "/x.so"),
            ("rw-s", "/.x.mmst"),
            ("rw-s", "/a\\012b/x.mmst"),
            ("rw-s", "x.mmst"),
            ("rw-s", ""),
        ] {
            assert_eq!(path(rights, name), None, "{rights} {name}");
        }
        assert_eq!(parse_mapping(b""), None);
        assert_eq!(parse_mapping(b"7f00-7f01 rw-s"), None);
    }

    #[test]
    fn parse_stat_reads_state_parent_and_start() {
        let stat = b"12 (a) b) T 7 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
        let found = parse_stat(stat).unwrap();
        assert_eq!((found.state, found.parent), (ProcessState::Stopped, 7));
        assert_eq!((found.start_time, found.command.as_str()), (4242, "a) b"));
        assert_eq!(parse_stat(b"12 (a R"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[cfg(target_os = "linux")] // has /proc
    #[test]
    fn mapped_files_are_those_of_this_process() {
        use crate::Access;
        let directory = tempfile::tempdir().unwrap();
        let open = crate::directory::Directory::open(directory.path()).unwrap();
        let mut file = crate::create(&open, "mapped.mmst", 4_096, Access::Owner).unwrap();
        file.set_name("mapped.mmst").unwrap();
        let Ok(file) = file.publish() else { panic!("cannot publish") };
        let this = std::process::id();
        assert!(mapped_files(this).unwrap().paths.contains(&file.path().to_owned()));
        file.remove().unwrap();
        let path = directory.path().join("mapped.mmst");
        assert!(mapped_files(this).unwrap().removed.contains(&path));
        assert!(all().contains(&this));
        assert_eq!(status(this).unwrap().state, ProcessState::Running);
        assert_eq!(mapped_files(u32::MAX).unwrap_err().kind(), &ErrorKind::NotFound);
        assert_eq!(status(u32::MAX), None);
    }
}
