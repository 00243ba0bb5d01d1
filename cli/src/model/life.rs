//! Whether a program lives, in one word, and since when.

use std::time::{Duration, SystemTime};

use mmstats_observe::{FileState, Program};

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

/// When the files were changed last, as far as their times tell: that is set once a minute while the
/// program lives.
pub(crate) fn last_change(program: &Program<'_>) -> Option<SystemTime> {
    program.files().iter().map(|file| file.modified()).max()
}

/// Time since the last change.
pub(crate) fn changed(program: &Program<'_>, now: SystemTime) -> Option<Duration> {
    now.duration_since(last_change(program)?).ok()
}

/// When the program ended, to a minute; `None` if it may live.
pub(crate) fn died(program: &Program<'_>) -> Option<SystemTime> {
    let has_ended = matches!(program.state(), FileState::Dead | FileState::Closed);
    last_change(program).filter(|_| has_ended)
}

/// How long the program has been, or was, up; `None` without a credible start.
pub(crate) fn up(program: &Program<'_>, now: SystemTime) -> Option<Duration> {
    let age = super::age(program.identity(), now)?;
    match died(program) {
        Some(died) => Some(age.saturating_sub(now.duration_since(died).unwrap_or_default())),
        None => Some(age),
    }
}
