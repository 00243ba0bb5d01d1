//! What the user named on the command line, and which files that is.

use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_observe::{Identity, Observer, Program, Sources, State};

use crate::escape;
use crate::output::Output;

/// The arguments `PATH|PID|DIR`, in their parts.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub(crate) sources: Sources,
    pids: Vec<u32>,
}

impl Targets {
    /// A run of digits is a process id (a file of such a name is `./1234`), all else a path.
    pub(crate) fn parse(arguments: &[OsString]) -> Self {
        let mut targets = Self::default();
        for argument in arguments {
            let digits = argument.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            match argument.to_str().filter(|_| digits).and_then(|text| text.parse().ok()) {
                Some(pid) => {
                    targets.sources = targets.sources.pid(pid);
                    targets.pids.push(pid);
                }
                None => targets.sources = targets.sources.path(argument),
            }
        }
        targets
    }

    /// Whether nothing was named.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether a program is to be shown: live ones are; others if `all` is asked for, or
    /// the file was named, or the process id was and has no live file.
    pub(crate) fn wants(&self, program: &Program<'_>, all: bool, programs: &[Program<'_>]) -> bool {
        let state = program.state();
        if !state.is_readable() {
            return false;
        }
        if is_active(state) || all || program.files().iter().any(|file| file.named()) {
            return true;
        }
        let pid = program.identity().pid;
        pid.is_some_and(|pid| self.pids.contains(&pid))
            && !programs.iter().any(|p| p.identity().pid == pid && is_active(p.state()))
    }
}

/// Whether the program may still publish.
pub(crate) const fn is_active(state: State) -> bool {
    matches!(state, State::Live | State::Unknown)
}

/// Complains of everything that could not be read: files, and fields of good files.
pub(crate) fn complain(observer: &Observer, output: &mut Output) {
    let mut say = |named: bool, text: &str| {
        if named { output.fail(text) } else { output.note(text) }
    };
    for problem in observer.problems() {
        say(problem.named, &problem.to_string());
    }
    for file in observer.files() {
        let path = escape::path(file.path());
        let damaged = file.fields().filter_map(|field| field.damage().map(|d| (field, d)));
        for (said, (field, damage)) in damaged.enumerate() {
            if said == MOST_DAMAGED {
                say(file.named(), &format!("{path}: and more damaged fields"));
                break;
            }
            let (index, code, offset) = (field.index(), damage.code, damage.offset);
            let text = format!("{path}: field {index} is damaged ({code} at byte {offset})");
            say(file.named(), &text);
        }
    }
}

/// As many damaged fields of one file are complained of.
pub(crate) const MOST_DAMAGED: usize = 10;

/// `in DIR and DIR`, for messages.
pub(crate) fn places(observer: &Observer) -> String {
    let names: Vec<String> = observer.directories().iter().map(|d| escape::path(d)).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" or ")) }
}

/// How long ago the program began to publish. The file may say anything.
pub(crate) fn age(identity: &Identity, now: SystemTime) -> Option<Duration> {
    let created = Duration::try_from_secs_f64(identity.created?).ok()?;
    now.duration_since(UNIX_EPOCH.checked_add(created)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_process_ids() {
        let parse =
            |words: &[&str]| Targets::parse(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(parse(&[]).is_empty());
        assert_eq!(parse(&["17", "a", "4"]).sources, Sources::new().pid(17).path("a").pid(4));
        // Too large for a process id, or not only digits.
        for path in ["99999999999", "./17", "-1", ""] {
            assert_eq!(parse(&[path]).sources, Sources::new().path(path), "{path}");
        }
    }

    #[test]
    fn a_wild_creation_time_has_no_age() {
        for created in [f64::NAN, -1.0, 1e300, f64::INFINITY] {
            let mut identity = Identity::default();
            identity.created = Some(created);
            assert_eq!(age(&identity, SystemTime::now()), None);
        }
        let mut identity = Identity::default();
        identity.created = Some(0.0);
        assert!(age(&identity, SystemTime::now()).is_some());
    }
}
