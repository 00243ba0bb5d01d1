//! Processes that are frozen, limited and measured.
#![allow(unsafe_code)] // Calls of the C library; each block has its proof.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// One thread of a process, stopped as by a debugger until this is dropped.
///
/// Only the thread that froze it can let it go.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Frozen(libc::pid_t);

#[cfg(target_os = "linux")]
impl Frozen {
    /// Stops the thread `tid` of a process that this one started.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn thread(tid: u32) -> io::Result<Self> {
        let tid = libc::pid_t::try_from(tid).map_err(|_| io::ErrorKind::InvalidInput)?;
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: with this request the call takes numbers and a null pointer.
        if unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, none, none) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let this = Self(tid);
        // SAFETY: the same.
        if unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, tid, none, none) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut status = 0;
        // SAFETY: `status` is a place for one number that lives through the call.
        if unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) } != tid {
            return Err(io::Error::last_os_error());
        }
        Ok(this)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Frozen {
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: with this request the call takes numbers and null pointers; a thread that
        // has ended meanwhile is an error and no more.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

/// Sets the umask of this process.
pub fn set_umask(mask: u16) {
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(mask.into()) };
}

/// A limit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of the largest file that it may write.
    FileSize(u64),
    /// Bytes of private memory.
    Memory(u64),
    /// Number of open files.
    Files(u64),
}

impl Limit {
    /// Its name for the C library, and its value.
    #[allow(clippy::useless_conversion)] // 32 bits on machines of 32 bits.
    fn parts(self) -> (libc::__rlimit_resource_t, libc::rlim_t) {
        let (resource, value) = match self {
            Self::FileSize(bytes) => (libc::RLIMIT_FSIZE, bytes),
            Self::Memory(bytes) => (libc::RLIMIT_DATA, bytes),
            Self::Files(count) => (libc::RLIMIT_NOFILE, count),
        };
        (resource, libc::rlim_t::try_from(value).unwrap_or(libc::rlim_t::MAX))
    }
}

/// Sets a limit of a running process, which can be raised again.
///
/// # Errors
///
/// If the system refuses.
#[cfg(target_os = "linux")]
pub fn limit_running(pid: u32, limit: Limit) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let (resource, value) = limit.parts();
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a null pointer sets nothing; `now` is valid and lives through the call.
    if unsafe { libc::prlimit(pid, resource, std::ptr::null(), &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let new = libc::rlimit { rlim_cur: value.min(now.rlim_max), rlim_max: now.rlim_max };
    // SAFETY: `new` is valid and lives through the call, and a null pointer returns nothing.
    match unsafe { libc::prlimit(pid, resource, &raw const new, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Limits a process from its start.
pub fn limit(command: &mut Command, limit: Limit) -> &mut Command {
    let (resource, value) = limit.parts();
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    let apply = move || {
        // SAFETY: `limit` is valid and lives through the call.
        match unsafe { libc::setrlimit(resource, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call.
    unsafe { command.pre_exec(apply) }
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Exit code or signal; SIGKILL of this test if it took too long.
    pub status: ExitStatus,
    /// Peak of its memory, in bytes.
    pub peak: u64,
    /// Processor time, in user and system mode.
    pub processor: Duration,
    /// Whether it ended by itself.
    pub in_time: bool,
}

/// Waits for a child until `limit`, then kills it; returns its status and memory.
///
/// # Errors
///
/// If it is not a child of this process any more.
pub fn wait_with_usage(child: Child, limit: Duration) -> io::Result<Ended> {
    let pid = libc::pid_t::try_from(child.id()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let (start, mut in_time) = (Instant::now(), true);
    loop {
        let mut status = 0;
        // SAFETY: a `rusage` is plain numbers, of which all may be zero.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `status` and `usage` are places that live through the call.
        let found = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
        match found {
            0 if start.elapsed() < limit => std::thread::sleep(Duration::from_micros(500)),
            0 => {
                in_time = false;
                // SAFETY: takes two numbers; the child was not waited for, so it is still ours.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                std::thread::sleep(Duration::from_millis(1));
            }
            found if found == pid => {
                let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024);
                let processor = time(usage.ru_utime) + time(usage.ru_stime);
                let status = ExitStatus::from_raw(status);
                return Ok(Ended { status, peak, processor, in_time });
            }
            _ => return Err(io::Error::last_os_error()),
        }
    }
}

fn time(value: libc::timeval) -> Duration {
    let seconds = u64::try_from(value.tv_sec).unwrap_or(0);
    let micros = u64::try_from(value.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
