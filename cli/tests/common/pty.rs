//! Commands on a terminal of their own, whose screen is read by a terminal emulator.
#![allow(dead_code)] // Each test uses a part.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Maximum time of any step, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command that runs on a pseudo terminal.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    /// `None` after it was closed.
    master: Option<File>,
    slave: File,
    seen: Arc<Mutex<Seen>>,
    closed: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

/// Reads what the command writes until the terminal is closed, here or there.
struct Reader {
    master: File,
    seen: Arc<Mutex<Seen>>,
    closed: Arc<AtomicBool>,
}

impl Reader {
    fn run(mut self) {
        let mut buffer = [0; 4096];
        while !self.closed.load(Ordering::Relaxed) {
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let wait = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            if poll(&mut ready, Some(&wait)).unwrap_or(0) == 0 {
                continue;
            }
            let Ok(count @ 1..) = self.master.read(&mut buffer) else { return };
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.parser.process(&buffer[..count]);
            seen.bytes.extend_from_slice(&buffer[..count]);
        }
    }
}

/// What the command has written.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// A terminal of this size: this end, and that of a command.
pub(crate) fn pair(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    #[cfg(target_os = "linux")] // Other systems have no such flag.
    let flags = flags | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size).unwrap();
    (master, slave)
}

impl Terminal {
    /// Starts a command in a session of its own, with a terminal of `columns` and `rows`.
    pub(crate) fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let (master, slave) = pair(columns, rows);
        let slave = File::from(slave);
        // The program of util-linux makes the terminal that of the session, so that its end is a SIGHUP.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => session.env(key, value),
                None => session.env_remove(key),
            };
        }
        session.env("TERM", "xterm-256color");
        session.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
        session.stderr(slave.try_clone().unwrap());
        let child = session.spawn().unwrap();
        let master = File::from(master);
        let seen = Seen { parser: vt100::Parser::new(rows, columns, 0), bytes: Vec::new() };
        let (seen, closed) = (Arc::new(Mutex::new(seen)), Arc::new(AtomicBool::new(false)));
        let reader = Reader {
            master: master.try_clone().unwrap(),
            seen: Arc::clone(&seen),
            closed: Arc::clone(&closed),
        };
        let reader = Some(std::thread::spawn(move || reader.run()));
        Self { child, master: Some(master), slave, seen, closed, reader }
    }

    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) {
        self.master.as_ref().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        self.read(|seen| seen.parser.screen_mut().set_size(rows, columns));
        tcsetwinsize(self.master.as_ref().unwrap(), size).unwrap();
    }

    fn read<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        read(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The text on the screen.
    pub(crate) fn screen(&self) -> String {
        self.read(|seen| seen.parser.screen().contents())
    }

    /// All bytes that were written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.read(|seen| seen.bytes.clone())
    }

    /// Waits until `is` accepts the screen; returns it.
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "{what} is not on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a text on the screen.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Waits until `mmstats top` has handled all keys before: it shows its list of keys and hides it.
    pub(crate) fn settle(&self) {
        self.press("?");
        self.wait_for("Keys;");
        self.press("x");
        self.wait("all but the keys", |screen| !screen.contains("Keys;"));
    }

    /// Waits for the end of the command.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Closes the other end of the terminal, as a closed window does.
    pub(crate) fn close(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.master = None;
    }

    /// Asserts that the terminal is as it was before the command.
    pub(crate) fn assert_restored(&self, case: &str) {
        let is_restored = || {
            self.read(|seen| {
                let screen = seen.parser.screen();
                !screen.alternate_screen()
                    && !screen.hide_cursor()
                    && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
            })
        };
        let start = Instant::now();
        while !is_restored() {
            assert!(start.elapsed() < PATIENCE, "{case}: the screen is not given back");
            std::thread::sleep(Duration::from_millis(10));
        }
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{case}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
