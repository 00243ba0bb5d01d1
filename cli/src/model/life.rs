//! Whether a program lives, in one word, and since when.

use std::time::{Duration, SystemTime};

use mmstats_observe::{FieldRef, File, FileState, Kind, Program};

use crate::backend::ProcessState;
use crate::backend::process::status;

/// What the system says of the process of a program; `None` if the process is not known or not its own
/// any more.
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

/// `running`, `stopped`, `zombie`, `dead`, `closed` and so on; `live` if the system does not tell more.
pub(crate) fn word(program: &Program<'_>) -> &'static str {
    process_state(program).map_or_else(|| program.state().name(), ProcessState::name)
}

/// The time of the files, which is set once a minute while the program lives. An image that was extracted
/// by `scan` has none.
pub(crate) fn modified(program: &Program<'_>) -> Option<SystemTime> {
    let modified = program.files().iter().map(|file| file.modified()).max();
    modified.filter(|modified| *modified > SystemTime::UNIX_EPOCH)
}

/// The last sign of a change: the time of the files, or that of the last line of events.
pub(crate) fn last_change(program: &Program<'_>) -> Option<SystemTime> {
    let files = program.files();
    let size = files.iter().map(|file| file.size()).fold(0, u64::saturating_add);
    let event = files.iter().filter(|_| size <= MAX_SIZE).filter_map(|file| last_event(file)).max();
    // A time in the future is no sign.
    modified(program).max(event.filter(|event| *event <= SystemTime::now()))
}

/// Maximum size of programs whose events are looked at, in bytes.
const MAX_SIZE: u64 = 4 << 20;
/// Maximum number of lanes whose events are looked at.
const MAX_LANES: u32 = 64;

fn last_event(file: &File) -> Option<SystemTime> {
    let is_events = |field: &FieldRef<'_>| field.properties().kind() == Some(Kind::Events);
    let times = file.fields().filter(is_events).flat_map(|field| {
        let lanes = 0..file.lanes().used.min(MAX_LANES);
        lanes.filter_map(move |lane| Some(file.events(field.index(), lane, 0)?.last()?.time))
    });
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(times.max()?))
}

/// Time since the last change.
pub(crate) fn changed(program: &Program<'_>, now: SystemTime) -> Option<Duration> {
    now.duration_since(last_change(program)?).ok()
}

/// The last sign of life of a program that ended, which is within a minute of its end; `None` if it may
/// live.
pub(crate) fn died(program: &Program<'_>) -> Option<SystemTime> {
    last_change(program).filter(|_| has_ended(program))
}

fn has_ended(program: &Program<'_>) -> bool {
    matches!(program.state(), FileState::Dead | FileState::Closed)
}

/// How long the program has been, or was, up; `None` without a credible start, and if it does not
/// live and its end is not known.
pub(crate) fn up(program: &Program<'_>, now: SystemTime) -> Option<Duration> {
    let age = super::age(program.identity(), now)?;
    match died(program) {
        Some(died) => Some(age.saturating_sub(now.duration_since(died).unwrap_or_default())),
        None => Some(age).filter(|_| program.state() == FileState::Live),
    }
}
