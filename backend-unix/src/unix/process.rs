//! Properties of processes.

use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use mmstats_system::docs;
use rustix::io::Errno;
use rustix::process::{Pid, Resource};

pub use super::auxiliary::ignores_environment;
use super::os_error::os_error;
pub use super::process_table::{all, mapped_files, status};
pub use super::random::random;
use crate::{Facts, Result};

#[doc = docs!(process::facts)]
#[must_use]
pub fn facts() -> Facts {
    let mut facts = Facts::new(std::process::id(), SystemTime::now());
    facts.uid = uid();
    facts.gid = Some(rustix::process::getegid().as_raw());
    facts.boot_id = boot_id();
    facts.start_time = start_time();
    facts.pid_ns = pid_ns();
    facts.command = command();
    facts.host = host();
    facts
}

#[doc = docs!(process::uid)]
#[must_use]
pub fn uid() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

#[doc = docs!(process::thread_id)]
#[must_use]
pub fn thread_id() -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))] // have thread ids in rustix
    return u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).ok();
    #[cfg(not(any(target_os = "linux", target_os = "android")))] // rustix has none there
    None
}

#[doc = docs!(process::coarse_time)]
#[inline]
#[must_use]
pub fn coarse_time() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))] // have a coarse clock
    {
        use rustix::time::{ClockId, DynamicClockId, clock_gettime_dynamic};
        // The plain call panics if the system has no such clock; updates of a rate never panic.
        let clock = DynamicClockId::Known(ClockId::RealtimeCoarse);
        let Ok(now) = clock_gettime_dynamic(clock) else { return 0 };
        let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
        seconds.unwrap_or(0).wrapping_mul(1_000_000_000).wrapping_add(nanos.unwrap_or(0))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))] // have no coarse clock
    {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[doc = docs!(process::raise_open_files)]
pub fn raise_open_files() -> Result<Option<u64>> {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(limit.current);
    }
    let mut wanted = limit.maximum;
    // macOS refuses "unlimited".
    if cfg!(target_vendor = "apple") {
        let most = limit.maximum.unwrap_or(u64::MAX).min(APPLE_OPEN_MAX);
        if limit.current.is_none_or(|current| current >= most) {
            return Ok(limit.current);
        }
        wanted = Some(most);
    }
    limit.current = wanted;
    rustix::process::setrlimit(Resource::Nofile, limit)
        .map_err(|errno| os_error("raise the limit of open files", None, errno.into()))?;
    Ok(limit.current)
}

#[doc = docs!(process::open_files)]
#[must_use]
pub fn open_files() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

#[doc = docs!(process::exists)]
#[must_use]
pub fn exists(pid: u32) -> Option<bool> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    match rustix::process::test_kill_process(pid) {
        // A process of another user.
        Ok(()) | Err(Errno::PERM) => Some(true),
        Err(Errno::SRCH) => Some(false),
        Err(_) => None,
    }
}

#[doc = docs!(process::is_running)]
#[must_use]
pub fn is_running(pid: u32, start: u64, boot: &str) -> Option<bool> {
    if boot_id()? != boot {
        return Some(false);
    }
    match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => Some(parse_start_time(&stat)? == start),
        Err(error) if is_gone(&error) => Some(false),
        // No permission, or no descriptor: the process may be the one.
        Err(_) => exists(pid),
    }
}

/// Whether a read of a file below `/proc/PID` failed because there is no such process, or because it ended
/// after the file was opened.
fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

fn boot_id() -> Option<String> {
    if !LINUX {
        return None;
    }
    let mut buffer = [0; 64];
    let text = read_once("/proc/sys/kernel/random/boot_id", &mut buffer)?;
    Some(std::str::from_utf8(text).ok()?.trim().to_owned()).filter(|id| !id.is_empty())
}

fn start_time() -> Option<u64> {
    if !LINUX {
        return None;
    }
    // Maximum: 52 numbers of at most 20 digits, and a name of 64 bytes.
    let mut buffer = [0; 2048];
    parse_start_time(read_once("/proc/self/stat", &mut buffer)?)
}

/// The start of a file of `/proc`, in one read: `std::fs::read` takes several system calls and allocates.
fn read_once<'b>(path: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let len = std::fs::File::open(path).ok()?.read(buffer).ok()?;
    buffer.get(..len)
}

/// Field 22 of `stat`, counted from 1. Field 2 is the command in parentheses, which may contain
/// parentheses and spaces.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

fn pid_ns() -> Option<u64> {
    if !LINUX {
        return None;
    }
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").ok().map(|metadata| metadata.ino())
}

/// Base name of the first argument, else of the executable.
fn command() -> Option<String> {
    let base = |path: &Path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(name).filter(|name| !name.is_empty())
    };
    std::env::args_os()
        .next()
        .and_then(|argument| base(Path::new(&argument)))
        .or_else(|| base(&std::env::current_exe().ok()?))
}

fn host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// Whether the system has the /proc of Linux.
const LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// `OPEN_MAX` of macOS.
const APPLE_OPEN_MAX: u64 = 10_240;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_describe_this_process() {
        let facts = facts();
        assert_eq!(facts.pid, std::process::id());
        assert!(facts.command.unwrap().starts_with("mmstats_unix"));
        assert!(facts.host.is_some());
        if LINUX {
            assert_eq!(facts.boot_id.unwrap().len(), 36);
            assert!(facts.start_time.unwrap() > 0);
            assert!(facts.pid_ns.unwrap() > 0);
        }
    }

    #[cfg(target_os = "linux")] // see `thread_id`
    #[test]
    fn thread_id_differs_between_threads() {
        assert!(std::thread::spawn(thread_id).join().unwrap().is_some());
        assert_ne!(std::thread::spawn(thread_id).join().unwrap(), thread_id());
    }

    #[test]
    fn is_running_needs_id_start_and_boot() {
        let facts = facts();
        let (Some(start), Some(boot)) = (facts.start_time, facts.boot_id) else { return };
        assert_eq!(is_running(facts.pid, start, &boot), Some(true));
        assert_eq!(is_running(facts.pid, start + 1, &boot), Some(false));
        assert_eq!(is_running(facts.pid, start, "another boot"), Some(false));
        assert_eq!(is_running(u32::MAX, start, &boot), Some(false));
    }

    #[test]
    fn parse_start_time_of_command_with_parentheses_is_found() {
        let stat = b"12 (a) b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_start_time(b"12 (a) R 1 2"), None);
        assert_eq!(parse_start_time(b""), None);
    }

    #[test]
    fn raise_open_files_sets_the_limit() {
        let limit = raise_open_files().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Nofile).current, limit);
        assert_eq!(raise_open_files().unwrap(), limit);
    }
}
