//! The programs that the command line selects.

use std::ffi::OsString;

use mmstats_observe::{Program, Sources};

use super::is_active;

/// The arguments `PATH|PID|DIR`.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) sources: Sources,
    pids: Vec<u32>,
}

impl Selection {
    /// Digits are a process id (a file of such a name is `./1234`), all else is a path.
    pub(crate) fn parse(arguments: &[OsString]) -> Self {
        let mut selection = Self::default();
        for argument in arguments {
            let digits = argument.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            match argument.to_str().filter(|_| digits).and_then(|text| text.parse().ok()) {
                Some(pid) => {
                    selection.sources = selection.sources.pid(pid);
                    selection.pids.push(pid);
                }
                None => selection.sources = selection.sources.path(argument),
            }
        }
        selection
    }

    /// Whether there were no arguments.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The programs that are shown: always those that count now, which live, are a ledger, or ended
    /// and are not in the ledger of their application yet; another one if `all`, if its file was
    /// named, or if its process id was and has no live file.
    pub(crate) fn select<'p, 'a>(
        &self,
        programs: &'p [Program<'a>],
        all: bool,
    ) -> impl Iterator<Item = &'p Program<'a>> {
        programs.iter().filter(move |program| self.includes(program, all, programs))
    }

    fn includes(&self, program: &Program<'_>, all: bool, programs: &[Program<'_>]) -> bool {
        let state = program.state();
        if !state.is_readable() {
            return false;
        }
        if program.is_counted() || all || program.files().iter().any(|file| file.named()) {
            return true;
        }
        let pid = program.identity().pid;
        pid.is_some_and(|pid| self.pids.contains(&pid))
            && !programs.iter().any(|p| p.identity().pid == pid && is_active(p.state()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_digits_as_process_ids() {
        let parse = |words: &[&str]| {
            Selection::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
        };
        assert!(parse(&[]).is_empty());
        assert_eq!(parse(&["17", "a", "4"]).sources, Sources::new().pid(17).path("a").pid(4));
        // Too large for a process id, or not only digits.
        for path in ["99999999999", "./17", "-1", ""] {
            assert_eq!(parse(&[path]).sources, Sources::new().path(path), "{path}");
        }
    }
}
