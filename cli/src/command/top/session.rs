//! The terminal, from the first frame until it is given back.

use std::io::{self, Stdout, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::app::App;
use super::{draw, keys};

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(250);
/// Maximum time until a signal is noticed: it does not wake the wait for keys.
const SIGNAL: Duration = Duration::from_millis(100);
/// Maximum number of keys between two frames.
const MAX_KEYS: usize = 100;

/// Whether the terminal is to be given back.
static OPEN: AtomicBool = AtomicBool::new(false);
/// Whether a thread has panicked while the terminal was open.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// The terminal in raw mode and on its alternate screen, until it is dropped, or a thread panics.
pub(super) struct Session {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    keys: Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
}

impl Session {
    /// Takes the terminal; the session ends when `stop` is set.
    pub(super) fn open(stop: Arc<AtomicBool>) -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.store(true, Ordering::Relaxed);
            restore();
            before(info);
        }));
        OPEN.store(true, Ordering::Relaxed);
        let terminal = enable_raw_mode().and_then(|()| {
            execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture)?;
            let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
            Ok((terminal, read_keys()?))
        });
        match terminal {
            Ok((terminal, keys)) => Ok(Self { terminal, keys, stop }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws frames and takes keys until the user, a signal or `is_over` ends it.
    pub(super) fn run(
        &mut self,
        app: &mut App,
        mut is_over: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let mut next = Instant::now();
        while !app.is_done() && !self.stop.load(Ordering::Relaxed) && !is_over() {
            if PANICKED.load(Ordering::Relaxed) || !app.sampler.is_running() {
                return Err(io::Error::other("a thread has panicked"));
            }
            let now = Instant::now();
            if now >= next {
                self.terminal.draw(|frame| draw::frame(frame, app))?;
                next = now + FRAME;
            }
            let mut wait = next.saturating_duration_since(Instant::now()).min(SIGNAL);
            // All keys that are waiting, then one frame.
            for _ in 0..MAX_KEYS {
                match self.keys.recv_timeout(wait) {
                    Ok(event) => match event? {
                        Event::Key(key) => keys::key(app, key),
                        Event::Mouse(mouse) => keys::mouse(app, mouse),
                        _ => {}
                    },
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(io::Error::other("the terminal cannot be read"));
                    }
                }
                (wait, next) = (Duration::ZERO, Instant::now());
            }
            if let Some(text) = app.take_copied() {
                execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text))?;
            }
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        restore();
    }
}

/// Reads keys in a thread: a read of a terminal that is gone may never return.
fn read_keys() -> io::Result<Receiver<io::Result<Event>>> {
    let (sender, receiver) = sync_channel(MAX_KEYS);
    let thread = std::thread::Builder::new().name("mmstats-keys".to_owned());
    thread.spawn(move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if sender.send(event).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// Gives the terminal back, once; a terminal that is gone cannot be given back.
fn restore() {
    if !OPEN.swap(false, Ordering::Relaxed) {
        return;
    }
    let _ = disable_raw_mode();
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture, LeaveAlternateScreen, Show);
    let _ = out.flush();
}

#[cfg(all(test, target_os = "linux"))] // a pseudo terminal
#[path = "../../../tests/common/pty.rs"]
mod pty;

#[cfg(all(test, target_os = "linux"))] // as above
mod tests {
    use std::process::Command;

    use mmstats_history::{Options, Sampler};
    use mmstats_observe::Sources;

    use super::pty::Terminal;
    use super::*;
    use crate::live::looks::Looks;

    /// Runs in a process and on a terminal of its own, for the test below.
    #[test]
    #[ignore = "is run by panic_gives_the_terminal_back"]
    fn panics_on_its_screen() {
        let mut session = Session::open(Arc::default()).unwrap();
        let sources = Sources::new().path("/no/such/directory");
        let mut app =
            App::new(Sampler::start(Options::new(sources)).unwrap(), Looks::default(), true);
        let start = Instant::now();
        let mut other = None;
        let result = session.run(&mut app, || {
            let is_here = std::env::var_os("MMSTATS_TEST_PANIC").is_some_and(|v| v == "here");
            if start.elapsed() > Duration::from_millis(500) {
                assert!(!is_here, "on purpose");
                other.get_or_insert_with(|| std::thread::spawn(|| panic!("on purpose")));
            }
            false
        });
        drop(session);
        panic!("{result:?}");
    }

    #[test]
    fn panic_gives_the_terminal_back() {
        for place in ["here", "another thread"] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "--nocapture"]);
            command.arg("command::top::session::tests::panics_on_its_screen");
            // A backtrace would push the message off the screen.
            command.env("MMSTATS_TEST_PANIC", place).env("RUST_BACKTRACE", "0");
            let mut terminal = Terminal::start(&command, 80, 50);
            terminal.wait_for("mmstats top");
            assert_eq!(terminal.end().code(), Some(101), "{place}");
            terminal.assert_restored(place);
            // The message stands on the restored screen.
            terminal.wait_for("on purpose");
        }
    }
}
