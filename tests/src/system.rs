//! System calls without a Rust form: fork, sessions, seccomp, users, signals.
#![allow(unsafe_code)] // Calls of the C library; each block has its proof.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whether qemu-user runs the test: see `.ci/targets`.
#[must_use]
pub fn is_emulated() -> bool {
    std::env::var_os("MMSTATS_EMULATED").is_some()
}

/// Splits this process; `None` in the child, else the process id of the child.
///
/// Only for a process of one thread, besides the one that looks for files: then the child may do all
/// that the parent may.
///
/// # Errors
///
/// If there cannot be another process.
///
/// # Panics
///
/// If the process has other threads, for 5 seconds: a new one has no name yet.
pub fn fork() -> io::Result<Option<u32>> {
    // An emulator has one more thread.
    let emulator = usize::from(is_emulated());
    let begin = Instant::now();
    loop {
        let threads = threads()? - emulator;
        if threads == 1 {
            break;
        }
        let waits = begin.elapsed() < Duration::from_secs(5);
        assert!(waits, "a fork of a process of {threads} threads");
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: with one thread, no lock and no half-made state of another thread is copied, so the
    // child may run like any program. The library's own thread works under locks that a fork waits
    // for; handlers of the C library release those of its allocator.
    let pid = unsafe { libc::fork() };
    match u32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(child) => Ok(Some(child)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Number of threads without those that look for files.
fn threads() -> io::Result<usize> {
    let mut threads = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread can end meanwhile.
        let name = std::fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        threads += usize::from(name.trim() != "mmstats-watch");
    }
    Ok(threads)
}

/// As [`fork`], in a process that may have other threads.
///
/// The child has this thread alone. It may use the publishers that it inherited, which is tested, and
/// ends by [`exit_now`]. The C library keeps its allocator usable.
///
/// # Errors
///
/// If there cannot be another process.
pub fn fork_among_threads() -> io::Result<Option<u32>> {
    // SAFETY: the callers' children do only that; handlers of the C library release the locks of its
    // allocator in the child.
    let pid = unsafe { libc::fork() };
    match u32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(child) => Ok(Some(child)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Waits for a child of this process up to `time`, then kills it; true if it ended by itself with exit
/// code 0.
#[must_use]
pub fn wait_for_up_to(pid: u32, time: Duration) -> bool {
    let Ok(child) = libc::pid_t::try_from(pid) else { return false };
    let start = Instant::now();
    loop {
        let mut status = 1;
        // SAFETY: `status` is a place for one number that lives through the call.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if start.elapsed() < time => std::thread::sleep(Duration::from_millis(1)),
            0 => {
                let _ = signal(pid, Signal::Kill);
                let _ = wait_for(pid);
                return false;
            }
            found => return found == child && status == 0,
        }
    }
}

/// Ends this process at once: no destructor, no exit handler.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Waits for a child of this process; true if it ended with exit code 0.
#[must_use]
pub fn wait_for(pid: u32) -> bool {
    let mut status = 1;
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: `status` is a place for one number that lives through the call.
    let found = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    found == pid && status == 0
}

/// Sends a signal to a process that this test started.
///
/// # Errors
///
/// If there is no such process.
pub fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Kill => libc::SIGKILL,
        Signal::Stop => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    };
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 1);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: takes two numbers; the process id is of one process.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A signal to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, without a chance to react.
    Kill,
    /// Stop until [`Signal::Continue`].
    Stop,
    /// Continue a stopped process.
    Continue,
}

/// Ends this process with the one that forked it, also by a signal that cannot be caught.
///
/// # Errors
///
/// If the system refuses.
#[cfg(target_os = "linux")]
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: with this argument the call takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes this process the leader of a new session, without a terminal.
///
/// # Errors
///
/// If it is the leader of a group already.
pub fn new_session() -> io::Result<()> {
    // SAFETY: takes nothing.
    match unsafe { libc::setsid() } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes a command fork before `exec`; else the C library may start it without the handlers that
/// programs register for a fork.
pub fn by_fork(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure does nothing at all.
    unsafe { command.pre_exec(|| Ok(())) }
}

/// Whether this process is of the super-user.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Makes this process one of the user `id` for good, without other groups.
///
/// # Errors
///
/// If this process is not of the super-user.
pub fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: a list of no groups needs no memory.
    let groups = unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: takes a number.
    let group = unsafe { libc::setgid(id) };
    // SAFETY: takes a number.
    let user = unsafe { libc::setuid(id) };
    match (groups, group, user) {
        (0, 0, 0) => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Allows this thread to read, write and exit; any other system call kills it.
///
/// # Errors
///
/// If the system has no such mode, or this process is in another one already.
#[cfg(target_os = "linux")]
pub fn enter_strict_mode() -> io::Result<()> {
    // SAFETY: with these two arguments the call takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes any system call but exit kill this process.
///
/// The strict mode disables the time stamp counter too; in this one, clocks of the vDSO can be read.
///
/// # Errors
///
/// If the system has no such mode.
#[cfg(target_os = "linux")]
pub fn enter_exit_only_mode() -> io::Result<()> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};
    let code = |code: u32| u16::try_from(code).expect("a code of 16 bits");
    let step = |what, jt, jf, k| sock_filter { code: code(what), jt, jf, k };
    let exit = u32::try_from(libc::SYS_exit).expect("a small number");
    let mut steps = [
        // The number of the system call is the first word of a filter's input.
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, exit),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let program = sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: with these arguments the call takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `program` and the four steps that it points to live through the call, which
    // copies them.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this thread by the one system call for it that both modes allow.
#[cfg(target_os = "linux")]
pub fn exit_in_strict_mode() -> ! {
    loop {
        // SAFETY: takes a number and does not return.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// A system call that both modes forbid.
#[cfg(target_os = "linux")]
pub fn harmless_system_call() {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::syscall(libc::SYS_getpid) };
}
