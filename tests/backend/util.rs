//! Helpers of the backends' tests.
#![allow(dead_code, unreachable_pub)] // each test file uses some of them
#![allow(unsafe_code)] // the bytes of a mapping

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;

use std::ptr::NonNull;

use mmstats_core::{Memory, ReadMemory};

use crate::backend::directory::Directory;
use crate::backend::{Access, Mapping, NewFile, ObservedMapping, OwnedFile, create};

/// Set in a process that [`child`] started: its path.
const CHILD: &str = "MMSTATS_TEST_CHILD";

/// The bytes of a mapping, of a writer or an observer.
pub trait Bytes {
    fn bytes(&self) -> (NonNull<u8>, usize);
}

impl Bytes for Mapping {
    fn bytes(&self) -> (NonNull<u8>, usize) {
        (self.base(), self.len())
    }
}

impl Bytes for ObservedMapping {
    fn bytes(&self) -> (NonNull<u8>, usize) {
        (self.base(), self.len())
    }
}

impl<T: Bytes> Bytes for std::sync::Arc<T> {
    fn bytes(&self) -> (NonNull<u8>, usize) {
        (**self).bytes()
    }
}

/// The word at `offset` of a mapping.
pub fn word(mapping: &impl Bytes, offset: usize) -> &AtomicU32 {
    let (base, len) = mapping.bytes();
    assert!(offset.is_multiple_of(4) && offset + 4 <= len);
    // SAFETY: inside the mapping, as just checked.
    let at = unsafe { base.add(offset) };
    // SAFETY: aligned and mapped; all accesses are atomic.
    unsafe { at.cast::<AtomicU32>().as_ref() }
}

pub fn new_file(directory: &Path, name: &str, size: u32) -> NewFile {
    create(&Directory::open(directory).unwrap(), name, size, Access::Owner).unwrap()
}

pub fn published(directory: &Path, name: &str, size: u32) -> OwnedFile {
    new_file(directory, name, size).publish().unwrap()
}

/// All names in a directory, sorted; on Windows without temporary names, which mapped files keep
/// for a while.
pub fn lasting_names(directory: &Path) -> Vec<String> {
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
#[cfg(unix)] // Windows has no such user
pub fn is_root() -> bool {
    // SAFETY: has no precondition.
    unsafe { libc::geteuid() == 0 }
}

/// Makes a symbolic link; `false`, with a note on stderr, if that is not permitted.
#[cfg(unix)] // always permitted
pub fn symlink(target: &Path, link: &Path) -> bool {
    std::os::unix::fs::symlink(target, link).unwrap();
    true
}

/// Makes a symbolic link; `false`, with a note on stderr, if that is not permitted.
#[cfg(windows)] // links to directories are of another type
pub fn symlink(target: &Path, link: &Path) -> bool {
    use std::os::windows::fs::{symlink_dir, symlink_file};
    let made = if target.is_dir() { symlink_dir(target, link) } else { symlink_file(target, link) };
    match made {
        Ok(()) if link.symlink_metadata().is_ok_and(|it| it.file_type().is_symlink()) => true,
        made => {
            if is_wine() {
                eprintln!("skipped: cannot make a symbolic link: {made:?}");
            } else {
                skip(&format!("cannot make a symbolic link: {made:?}"));
            }
            let _ = std::fs::remove_file(link);
            false
        }
    }
}

/// Whether the tests run under wine, which differs from Windows in some points.
pub fn is_wine() -> bool {
    cfg!(windows) && std::env::var_os("WINEPREFIX").is_some()
}

/// Starts a Linux program on a file, under wine. Does not wait for its end.
#[cfg(windows)] // wine
pub fn on_linux(program: &str, arguments: &[&str], path: &Path) {
    let unix = Command::new("winepath").arg("-u").arg(path).output().unwrap().stdout;
    let unix = String::from_utf8(unix).unwrap();
    let _ = Command::new(format!(r"Z:\usr\bin\{program}")).args(arguments).arg(unix.trim()).spawn();
}

/// Identity of a file by the standard library, as text.
pub fn identity(path: &Path) -> String {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        format!("{} {:o}", metadata.ino(), metadata.mode())
    }
    #[cfg(windows)] // the standard library does not provide the file index
    {
        use std::os::windows::fs::MetadataExt;
        format!("{} {:x}", metadata.creation_time(), metadata.file_attributes())
    }
}

/// Path for the child in a process that [`child`] started; `None` in the test run.
pub fn child_path() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD).map(Into::into)
}

/// Sends a line to the parent.
pub fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // On a separate line, after output of the test harness.
    writeln!(out, "\n{SAYS}{line}").unwrap();
    out.flush().unwrap();
}
const SAYS: &str = "child says: ";

/// Waits until the parent closes the pipe.
pub fn wait_for_end() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A process that runs one test, and the lines that it sends.
pub struct Process {
    pub child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// Starts a process that runs the test `name` of this file.
pub fn child(name: &str, path: impl AsRef<OsStr>) -> Process {
    // The module of the test is the parent of this one.
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
    /// Next line that the child sends.
    pub fn hear(&mut self) -> String {
        loop {
            let line = self.lines.next().expect("the child ended").unwrap();
            if let Some(said) = line.strip_prefix(SAYS) {
                return said.to_owned();
            }
        }
    }

    /// All lines that it sends until its end.
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

/// A file system mounted on a temporary directory, unmounted at drop.
#[cfg(unix)] // Windows mounts no files
pub struct Mounted(pub tempfile::TempDir);

#[cfg(unix)] // as `Mounted`
impl Mounted {
    /// `None`, with a note on stderr, if mounting is not permitted.
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

#[cfg(unix)] // as `Mounted`
impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "umount {:?}", self.0.path());
    }
}

/// Notes that a test cannot run here; a failure if `CI` is set.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be run here: {why}");
    eprintln!("skipped: {why}");
}
