//! Whether a program lives, in one word, and since when.

use std::time::{Duration, SystemTime};

use mmstats_observe::{FieldRef, File, FileState, Kind, Program};

use crate::backend::ProcessState;
use crate::backend::process::status;

/// State and times of a program at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    state: FileState,
    /// What the system says of the process; `None` if it is not known or not its own any more.
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
        let copied = copied(program).filter(|_| state.has_ended());
        let (last_change, end) = match copied {
            // The time of the file is that of the copy.
            Some(copied) => (event, Some(End::Before(copied))),
            None => {
                let change = modified.max(event);
                (change, change.filter(|_| state.has_ended()).map(End::About))
            }
        };
        let process = process_state(program);
        let age = super::age(program.identity(), now);
        Self { state, process, now, age, last_change, end }
    }

    /// `running`, `stopped`, `zombie`, `dead`, `closed` and so on; `live` if the system does not tell more.
    pub(crate) fn word(&self) -> &'static str {
        self.process.map_or_else(|| self.state.name(), ProcessState::name)
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

/// What the system says of the process of a program.
fn process_state(program: &Program<'_>) -> Option<ProcessState> {
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
/// began, and not modified before that. `None` if the system does not tell.
fn copied(program: &Program<'_>) -> Option<SystemTime> {
    let first = program.files().first()?;
    let began = Duration::try_from_secs_f64(program.identity().created?).ok()?;
    let began = SystemTime::UNIX_EPOCH.checked_add(began)?;
    let created = std::fs::metadata(first.path()).ok()?.created().ok()?;
    let is_later = created.duration_since(began).is_ok_and(|late| late > MAX_START);
    // `cp -p` keeps the time.
    (is_later && first.modified() >= created).then_some(created)
}

/// Maximum time between the start of a program and its file.
const MAX_START: Duration = Duration::from_secs(10);

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
