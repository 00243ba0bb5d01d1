//! What the tests of the backends share.
#![allow(dead_code, unreachable_pub)] // each test file uses its part
#![allow(unsafe_code)] // the bytes of a mapping

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;

use mmstats_core::Memory;

use crate::backend::directory::Directory;
use crate::backend::{Access, Mapping, NewFile, OwnedFile, create};

/// Set for a test that plays another process; it says on what path.
const CHILD: &str = "MMSTATS_TEST_CHILD";

/// The word at `offset` of a mapping.
pub fn word(mapping: &Mapping, offset: usize) -> &AtomicU32 {
    assert!(offset.is_multiple_of(4) && offset + 4 <= mapping.len());
    // SAFETY: inside the mapping, as just seen.
    let at = unsafe { mapping.base().add(offset) };
    // SAFETY: aligned and mapped; everybody uses atomics.
    unsafe { at.cast::<AtomicU32>().as_ref() }
}

pub fn new_file(directory: &Path, name: &str, size: u32) -> NewFile {
    create(&Directory::open(directory).unwrap(), name, size, Access::Owner).unwrap()
}

pub fn published(directory: &Path, name: &str, size: u32) -> OwnedFile {
    new_file(directory, name, size).publish().unwrap()
}

/// All names in a directory, sorted, but for those that stay for a while: Windows keeps a file
/// that is mapped, under a temporary name.
pub fn lasting(directory: &Path) -> Vec<String> {
    let is_temporary = |name: &String| crate::backend::name::is_temporary(name.as_ref());
    names(directory).into_iter().filter(|name| !(cfg!(windows) && is_temporary(name))).collect()
}

/// All names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[cfg(unix)] // Windows has no pipes in directories
pub fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Whether this process may give files to other users.
#[cfg(unix)] // Windows has nobody who may do everything
pub fn is_root() -> bool {
    // SAFETY: has no precondition.
    unsafe { libc::geteuid() == 0 }
}

/// Makes a symbolic link; `false`, and a word on stderr, where this process may not.
#[cfg(unix)]
pub fn symlink(target: &Path, link: &Path) -> bool {
    std::os::unix::fs::symlink(target, link).unwrap();
    true
}

/// Makes a symbolic link; `false`, and a word on stderr, where this process may not.
#[cfg(windows)] // there a link knows whether it leads to a directory
pub fn symlink(target: &Path, link: &Path) -> bool {
    use std::os::windows::fs::{symlink_dir, symlink_file};
    let made = if target.is_dir() { symlink_dir(target, link) } else { symlink_file(target, link) };
    match made {
        Ok(()) if link.symlink_metadata().is_ok_and(|it| it.file_type().is_symlink()) => true,
        made => {
            eprintln!("skipped: cannot make a symbolic link: {made:?}");
            let _ = std::fs::remove_file(link);
            false
        }
    }
}

/// Whether Windows is played by wine, which differs in some points; each test says in which.
pub fn is_wine() -> bool {
    cfg!(windows) && std::env::var_os("WINEPREFIX").is_some()
}

/// Runs a program of the Linux side of wine on a file. It runs beside, and may take its time.
#[cfg(windows)]
pub fn on_linux(program: &str, arguments: &[&str], path: &Path) {
    let unix = Command::new("winepath").arg("-u").arg(path).output().unwrap().stdout;
    let unix = String::from_utf8(unix).unwrap();
    // wine starts it, but has nothing to wait for.
    let _ = Command::new(format!(r"Z:\usr\bin\{program}")).args(arguments).arg(unix.trim()).spawn();
}

/// What tells a file from others, as the standard library sees it: the identity where it is
/// to be had, and everything else it knows.
pub fn identity(path: &Path) -> String {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        format!("{} {:o}", metadata.ino(), metadata.mode())
    }
    #[cfg(windows)] // its number is not to be had from the standard library
    {
        use std::os::windows::fs::MetadataExt;
        format!("{} {:x}", metadata.creation_time(), metadata.file_attributes())
    }
}

/// The path for the child, in a process that [`child`] started; None in the test run.
pub fn child_path() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD).map(Into::into)
}

/// Says to the parent how far the child is.
pub fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // On a line of its own, whatever the test harness has written before.
    writeln!(out, "\n{SAYS}{line}").unwrap();
    out.flush().unwrap();
}
const SAYS: &str = "child says: ";

/// Waits for ever, or until the parent hangs up.
pub fn wait_for_end() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A process that runs the test `name` of this file, and what it says.
pub struct Process {
    pub child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

pub fn child(name: &str, path: impl AsRef<OsStr>) -> Process {
    // The module of the test, which has this one in it.
    let module = module_path!().trim_end_matches("util");
    let module = module.split_once("::").map_or("", |(_crate, module)| module);
    let name = &format!("{module}{name}");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Process { child, lines }
}

impl Process {
    /// The next thing that the child says.
    pub fn hear(&mut self) -> String {
        loop {
            let line = self.lines.next().expect("the child ended").unwrap();
            if let Some(said) = line.strip_prefix(SAYS) {
                return said.to_owned();
            }
        }
    }

    /// All that it says until it ends.
    pub fn rest(&mut self) -> String {
        self.lines.by_ref().map_while(Result::ok).filter(|line| line.starts_with(SAYS)).collect()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small file system in a directory of its own, unmounted at drop.
#[cfg(unix)] // Windows mounts no files
pub struct Mounted(pub tempfile::TempDir);

#[cfg(unix)] // as above
impl Mounted {
    /// None, and a word on stderr, where this process may not mount.
    pub fn new(kind: &str, options: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", kind, "-o", options, "mmstats-test"])
            .arg(place.path())
            .output();
        match output {
            Ok(output) if output.status.success() => return Some(Self(place)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                skip(&format!("cannot mount a {kind}: {}", why.trim()));
            }
            Err(error) => skip(&format!("cannot run mount: {error}")),
        }
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(unix)] // as above
impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "umount {:?}", self.0.path());
    }
}

/// Says that a test cannot be run here; where `CI` is set, that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be run here: {why}");
    eprintln!("skipped: {why}");
}
