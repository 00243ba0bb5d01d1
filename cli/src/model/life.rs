//! Whether a program lives, in one word, and since when.

use std::time::{Duration, SystemTime};

use mmstats_observe::{FieldRef, File, FileState, Kind, OwnedValue, Program};

use crate::backend::ProcessState;
use crate::backend::process::status;

/// State and times of a program at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    state: FileState,
    /// State of the process, as the system tells it; `None` if it is unknown or the id has another process now.
    pub(crate) process: Option<ProcessState>,
    /// When it was looked at.
    now: SystemTime,
    /// Time since the program began to publish; `None` without a credible start.
    age: Option<Duration>,
    /// The last sign of a change: the time of the files, or that of the last line of events.
    last_change: Option<SystemTime>,
    end: Option<End>,
}

/// When a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The last sign of life, which is within a minute of the end.
    About(SystemTime),
    /// The file is a copy that was made then.
    Before(SystemTime),
}

impl Life {
    pub(crate) fn new(program: &Program<'_>, now: SystemTime) -> Self {
        let state = program.state();
        let modified = modified(program).filter(|time| is_past(*time, now));
        let event = last_event(program).filter(|time| is_past(*time, now));
        let ended = Some(program).filter(|_| state.has_ended());
        let mirrored = ended.and_then(last_mirrored).filter(|time| is_past(*time, now));
        let copied = ended.and_then(|program| copied(program, event.max(mirrored)));
        let (last_change, end) = match copied {
            // The time of the file is that of the copy.
            Some(copied) => (event, Some(End::Before(copied))),
            None => {
                let change = modified.max(event);
                (change, ended.and(change.max(mirrored)).map(End::About))
            }
        };
        let process = process_state(program);
        let age = super::age(program.identity(), now);
        Self { state, process, now, age, last_change, end }
    }

    /// Life of a program of a recording, as of `now`; `head` has the state of its process.
    #[cfg(feature = "record")]
    pub(crate) fn from_recorded(
        look: &mmstats_history::ProgramLook,
        head: &str,
        now: SystemTime,
    ) -> Self {
        let head: serde_json::Value = serde_json::from_str(head).unwrap_or_default();
        let word = head.get("process").and_then(serde_json::Value::as_str);
        let all = [ProcessState::Running, ProcessState::Stopped, ProcessState::Zombie];
        let state = look.condition.state();
        // A program that has ended has no process but its zombie.
        let fits = |process: &ProcessState| {
            (*process == ProcessState::Zombie) == state.has_ended() && Some(process.name()) == word
        };
        let process = all.into_iter().find(fits);
        let modified = look.modified.filter(|time| is_past(*time, now));
        let end = modified.filter(|_| state.has_ended()).map(End::About);
        let age = super::age(&look.identity, now);
        Self { state, process, now, age, last_change: modified, end }
    }

    /// See [`word`].
    pub(crate) fn word(&self) -> &'static str {
        word(self.state, self.process)
    }

    /// When it was looked at.
    #[cfg(feature = "record")]
    pub(crate) const fn now(&self) -> SystemTime {
        self.now
    }

    /// Time since the last change.
    pub(crate) fn changed(&self) -> Option<Duration> {
        self.last_change.map(|time| self.now.duration_since(time).unwrap_or_default())
    }

    /// When the program ended; `None` if it may live, and if the time is not known.
    pub(crate) const fn end(&self) -> Option<End> {
        self.end
    }

    /// How long the program has been, or was, up; `None` without a credible start, and if it does not
    /// live and its end is not known.
    pub(crate) fn up(&self) -> Option<Duration> {
        match self.end {
            Some(End::About(end)) => {
                Some(self.age?.saturating_sub(self.now.duration_since(end).unwrap_or_default()))
            }
            Some(End::Before(_)) => None,
            None => self.age.filter(|_| self.state == FileState::Live),
        }
    }

    /// Time since the program began to publish, or if that is unknown since its newest file was modified.
    pub(crate) fn age(&self, program: &Program<'_>) -> Option<Duration> {
        self.age.or_else(|| self.now.duration_since(modified(program)?).ok())
    }
}

impl End {
    /// The moment: of the end, or of the copy.
    pub(crate) const fn time(self) -> SystemTime {
        match self {
            Self::About(time) | Self::Before(time) => time,
        }
    }
}

/// The state of a program in one word, the same in all commands: `running`, `stopped`, `zombie`, `dead`, `closed`
/// and so on; `live` if the system does not tell more.
pub(crate) fn word(state: FileState, process: Option<ProcessState>) -> &'static str {
    process.map_or_else(|| state.name(), ProcessState::name)
}

/// What a program with this state did: it died, or it ended cleanly.
pub(crate) const fn end_word(state: FileState) -> &'static str {
    if matches!(state, FileState::Dead) { "died" } else { "ended" }
}

/// State of the process of a program, as the system tells it.
pub(crate) fn process_state(program: &Program<'_>) -> Option<ProcessState> {
    let status = status(program.process()?)?;
    match program.state() {
        // It holds the lock. A process whose first thread has ended counts as a zombie.
        FileState::Live => Some(match status.state {
            ProcessState::Stopped => ProcessState::Stopped,
            _ => ProcessState::Running,
        }),
        // Its process id may be that of another process by now.
        FileState::Dead => Some(status.state).filter(|state| {
            *state == ProcessState::Zombie
                && program.identity().start_time == Some(status.start_time)
        }),
        _ => None,
    }
}

/// The time of the files, which is set once a minute while the program lives. An image that was extracted
/// by `scan` has none.
pub(crate) fn modified(program: &Program<'_>) -> Option<SystemTime> {
    let modified = program.files().iter().map(|file| file.modified()).max();
    modified.filter(|modified| *modified > SystemTime::UNIX_EPOCH)
}

/// A time in the future is no sign; clocks of other machines may be a little ahead.
fn is_past(time: SystemTime, now: SystemTime) -> bool {
    time.duration_since(now).is_ok_and(|ahead| ahead <= MAX_AHEAD) || time <= now
}

const MAX_AHEAD: Duration = Duration::from_secs(60);

/// When the file was copied, if it is a copy that has its own time: it was created after its program
/// began, modified when it was created, and has no later time inside. `None` if the system does not tell.
///
/// A program also creates files after its begin: late, if it was held up, and again, if the name is lost. It
/// touches them once a minute. `written` is the last time inside the files.
fn copied(program: &Program<'_>, written: Option<SystemTime>) -> Option<SystemTime> {
    let first = program.files().first()?;
    let began = Duration::try_from_secs_f64(program.identity().created?).ok()?;
    let began = SystemTime::UNIX_EPOCH.checked_add(began)?;
    let created = std::fs::metadata(first.path()).ok()?.created().ok()?;
    let is_later = created.duration_since(began).is_ok_and(|late| late > MAX_START);
    // `cp -p` keeps the time, which is earlier.
    let is_untouched = first.modified().duration_since(created).is_ok_and(|late| late < TOUCH);
    let is_written = written
        .is_some_and(|time| time.duration_since(created).is_ok_and(|late| late > MAX_COPYING));
    (is_later && is_untouched && !is_written).then_some(created)
}

/// Maximum time between the start of a program and its file.
const MAX_START: Duration = Duration::from_secs(10);
/// Time after which a program has touched its file.
const TOUCH: Duration = Duration::from_secs(60);
/// Maximum time to copy a file, whose program may be writing to it.
const MAX_COPYING: Duration = Duration::from_secs(1);

/// Maximum size of programs whose events are looked at, in bytes.
const MAX_SIZE: u64 = 4 << 20;
/// Maximum number of lanes whose events are looked at.
const MAX_LANES: u32 = 64;

/// The time of the last line of events.
fn last_event(program: &Program<'_>) -> Option<SystemTime> {
    let files = program.files();
    let size = files.iter().map(|file| file.size()).fold(0, u64::saturating_add);
    files.iter().filter(|_| size <= MAX_SIZE).filter_map(|file| last_event_of(file)).max()
}

/// The last time at which a file was brought up to date from memory that no reader sees.
fn last_mirrored(program: &Program<'_>) -> Option<SystemTime> {
    let time = |file: &File| match file.value(file.find("sys.mirrored")?.index()).value? {
        OwnedValue::Unsigned(nanos) => u64::try_from(nanos).ok(),
        _ => None,
    };
    let last = program.files().iter().filter_map(|file| time(file)).max()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(last))
}

fn last_event_of(file: &File) -> Option<SystemTime> {
    let is_events = |field: &FieldRef<'_>| field.properties().kind() == Some(Kind::Events);
    let times = file.fields().filter(is_events).flat_map(|field| {
        let lanes = 0..file.lanes().used.min(MAX_LANES);
        lanes.filter_map(move |lane| Some(file.events(field.index(), lane, 0)?.last()?.time))
    });
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(times.max()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_past_accepts_clock_that_is_a_little_ahead() {
        let now = SystemTime::now();
        let second = Duration::from_secs(1);
        assert!(is_past(now, now) && is_past(now - second, now) && is_past(now + second, now));
        assert!(!is_past(now + MAX_AHEAD + second, now));
    }
}
