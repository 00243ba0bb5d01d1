//! Ctrl-C on Windows ends commands cleanly, with the right exit code.
//!
//! Ctrl-C goes to all processes of a console, so this process makes its own, and the tests run one
//! by one. (A process group can only get Ctrl-Break, under wine 8 not even that.) The demo writes
//! to a pipe here, so the reset of a terminal is not tested.
#![cfg(windows)] // Unix has signals: see live.rs and events.rs
#![allow(unsafe_code)] // asks for a console, and sends the event

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{PATIENCE, Publisher, files, json, mmstats, wait_for};
use windows_sys::Win32::System::Console as win;

/// A command that runs until it is interrupted.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(_console: &Console, directory: &Path, arguments: &[&str]) -> Self {
        let mut command = mmstats(directory);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || out.lines().all(|line| sender.send(line.unwrap()).is_ok()));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    /// Ctrl-C. Returns the exit code, the last line and standard error.
    fn interrupt(mut self) -> (Option<i32>, Option<String>, String) {
        // SAFETY: has no precondition.
        let sent = unsafe { win::GenerateConsoleCtrlEvent(win::CTRL_C_EVENT, 0) };
        assert_ne!(sent, 0, "{}", std::io::Error::last_os_error());
        let status = wait_for(|| self.child.try_wait().unwrap());
        let mut messages = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
        (status.code(), self.lines.iter().last(), messages)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A console for this process and its children, locked by one test.
struct Console(#[allow(dead_code)] MutexGuard<'static, bool>); // held

impl Console {
    fn take() -> Self {
        static MADE: Mutex<bool> = Mutex::new(false);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *made, true) {
            Self::make();
        }
        Self(made)
    }

    fn make() {
        // The new console replaces the pipes of this process; they are restored below.
        let handles = [win::STD_INPUT_HANDLE, win::STD_OUTPUT_HANDLE, win::STD_ERROR_HANDLE]
            // SAFETY: has no precondition.
            .map(|which| (which, unsafe { win::GetStdHandle(which) }));
        // SAFETY: has no precondition. There may be none.
        unsafe { win::FreeConsole() };
        // SAFETY: has no precondition.
        let made = unsafe { win::AllocConsole() };
        assert_ne!(made, 0, "{}", std::io::Error::last_os_error());
        for (which, handle) in handles {
            // SAFETY: the handle was there before.
            unsafe { win::SetStdHandle(which, handle) };
        }
        // This process gets its own event.
        // SAFETY: the function is there as long as the process is.
        let heard = unsafe { win::SetConsoleCtrlHandler(Some(ignore), 1) };
        assert_ne!(heard, 0, "{}", std::io::Error::last_os_error());
    }
}

unsafe extern "system" fn ignore(_event: u32) -> i32 {
    1
}

#[test]
fn follow_ends_cleanly_on_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let console = Console::take();
    let _publisher = Publisher::start(dir.path());
    let running = Running::start(&console, dir.path(), &["events", "-f", "-d0.05"]);
    let line = running.line();
    assert!(line.contains("worker"), "{line}");
    let (code, _, messages) = running.interrupt();
    assert_eq!((code, messages.as_str()), (Some(0), ""));
}

/// The publisher gets the event too, and removes its file.
#[test]
fn demo_ends_cleanly_on_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--seconds", "60", "--threads", "2"];
    let running = Running::start(&Console::take(), dir.path(), &arguments);
    wait_for(|| json(dir.path(), &["ls", "--json"])["files"][0]["pid"].as_u64());
    while !running.line().contains("bytes_in=") {}
    let (code, last, messages) = running.interrupt();
    assert_eq!((code, messages.as_str()), (Some(0), ""));
    assert!(last.as_ref().is_some_and(|line| line.contains("ended cleanly")), "{last:?}");
    wait_for(|| files(dir.path()).is_empty().then_some(()));
}

#[test]
fn poll_ends_cleanly_on_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let console = Console::take();
    let _publisher = Publisher::start(dir.path());
    let running = Running::start(&console, dir.path(), &["poll", "-d0.05", "demo.blocks"]);
    assert_eq!(running.line().trim(), "demo.blocks/s");
    running.line();
    let (code, _, messages) = running.interrupt();
    assert_eq!((code, messages.as_str()), (Some(0), ""));
}
