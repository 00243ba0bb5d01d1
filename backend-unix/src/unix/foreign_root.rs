//! Paths through the root of another process: `/proc/PID/root/…`.
//!
//! The names below that root are made by that process and its neighbours. An absolute link there leads
//! to a directory of this process if the kernel follows it as usual. These functions resolve each
//! component inside that root, and never through a link of `/proc`.

use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::{Errno, Result};

use std::os::fd::OwnedFd;

/// A path below the root of another process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inside {
    root: PathBuf,
    /// Below the root.
    path: PathBuf,
}

impl Inside {
    /// `None` for a path that does not lead through the root of a process.
    pub(super) fn new(path: &Path) -> Option<Self> {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return None;
        }
        let mut components = path.components();
        let is = |found: Option<Component<'_>>, name: &str| {
            found.is_some_and(|found| found.as_os_str() == name)
        };
        if !is(components.next(), "/") || !is(components.next(), "proc") {
            return None;
        }
        let process = components.next()?.as_os_str().to_str()?;
        let is_process = process.bytes().all(|byte| byte.is_ascii_digit());
        if !is_process || !is(components.next(), "root") {
            return None;
        }
        let below = components.as_path();
        let path = if below == Path::new("") { Path::new(".") } else { below };
        Some(Self { root: format!("/proc/{process}/root").into(), path: path.to_owned() })
    }

    /// Opens it. An `O_PATH` descriptor does not touch what it names.
    pub(super) fn open(&self, flags: OFlags) -> Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &self.root, directory, Mode::empty())?;
        let mut tries = 0;
        loop {
            match open_below(&root, &self.path, flags | OFlags::CLOEXEC) {
                // A name was changed meanwhile.
                Err(Errno::AGAIN) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// Opens a regular file to be read: what was judged is opened, not its name again.
    pub(super) fn open_regular(
        &self,
        judge: impl Fn(&Stat) -> bool,
    ) -> Result<(Stat, Option<OwnedFd>)> {
        let handle = self.open(OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(&handle)?;
        if !judge(&stat) {
            return Ok((stat, None));
        }
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&handle));
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, link, flags, Mode::empty())?;
        Ok((stat, Some(file)))
    }
}

/// Properties of the file at `path`; a link at its end is not followed.
pub(super) fn stat(path: &Path) -> Result<Stat> {
    match Inside::new(path) {
        Some(inside) => rustix::fs::fstat(inside.open(OFlags::PATH | OFlags::NOFOLLOW)?),
        None => rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))] // openat2
fn open_below(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))] // no path leads there
fn open_below(_root: &OwnedFd, _path: &Path, _flags: OFlags) -> Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// Number of times that a path is resolved again.
const TRIES: usize = 8;

#[cfg(all(test, target_os = "linux"))] // /proc
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn inside_is_a_path_through_the_root_of_a_process() {
        let inside =
            |path: &str| Inside::new(Path::new(path)).map(|inside| (inside.root, inside.path));
        let some = |root: &str, path: &str| Some((root.into(), path.into()));
        assert_eq!(inside("/proc/12/root/a/b.mmst"), some("/proc/12/root", "a/b.mmst"));
        assert_eq!(inside("/proc/12/root/a/../../b"), some("/proc/12/root", "a/../../b"));
        assert_eq!(inside("//proc/./12/root/a"), some("/proc/12/root", "a"));
        assert_eq!(inside("/proc/12/root"), some("/proc/12/root", "."));
        for other in
            ["/proc/12/cwd/a", "proc/12/root/a", "/proc/self/root/a", "/a/12/root/b", "/", ""]
        {
            assert_eq!(inside(other), None, "{other}");
        }
    }

    #[test]
    fn stat_below_a_root_follows_no_link_of_proc() {
        let directory = tempfile::tempdir().unwrap();
        let root = format!("/proc/{}/root", std::process::id());
        let below =
            |name: &str| PathBuf::from(format!("{root}{}/{name}", directory.path().display()));
        std::fs::write(directory.path().join("file"), "x").unwrap();
        symlink(directory.path(), directory.path().join("same")).unwrap();
        symlink("/proc/self/root", directory.path().join("magic")).unwrap();
        symlink("loop", directory.path().join("loop")).unwrap();
        assert!(stat(&below("file")).is_ok() && stat(&below("same/file")).is_ok());
        assert_eq!(stat(&below("magic/etc")).unwrap_err(), Errno::LOOP);
        assert_eq!(stat(&below("loop/file")).unwrap_err(), Errno::LOOP);
        // More steps upwards than there are directories.
        let up = "../".repeat(40);
        assert!(stat(&below(&format!("{up}proc"))).is_ok());
    }
}
