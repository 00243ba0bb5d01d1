//! The rule by which dead programs are kept, as post-mortems. Sweeps of both backends and
//! `mmstats clean` use it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

/// Number of programs that are kept in all, as a multiple of those of one command.
const COMMANDS: usize = 16;

/// A dead program: an instance with all its files.
#[derive(Debug, Clone, Copy)]
pub struct DeadProgram<'a> {
    /// Name of the program; programs without one are of the same command.
    pub command: Option<&'a str>,
    /// Last moment at which it was seen alive: the latest modification of its files.
    pub died: SystemTime,
    /// Name of one of its files, which decides where the times are equal.
    pub name: &'a OsStr,
}

/// Which of the programs are kept, in their order: of each command the `keep` that died last, but
/// not more than 16 times `keep` in all, and none that died longer than `max_age` ago.
///
/// So a command that crashes again and again does not displace the last words of another one. If
/// there are more commands, the last program of each comes before the last but one of any.
///
/// Programs that died in the future, before the clock was set back, are counted apart: as many of
/// them are kept besides.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use mmstats_system::{DeadProgram, kept_programs};
/// let died = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
/// let dead = |command, seconds, name: &'static str| {
///     DeadProgram { command: Some(command), died: died(seconds), name: name.as_ref() }
/// };
/// let programs = [dead("web", 3, "a"), dead("web", 5, "b"), dead("db", 1, "c")];
/// assert_eq!(kept_programs(&programs, 1, None), [false, true, true]);
/// ```
#[must_use]
pub fn kept_programs(
    programs: &[DeadProgram<'_>],
    keep: usize,
    max_age: Option<Duration>,
) -> Vec<bool> {
    let now = SystemTime::now();
    let is_old = |died: SystemTime| {
        let age = now.duration_since(died).unwrap_or_default();
        max_age.is_some_and(|max| age > max)
    };
    let mut order: Vec<usize> = (0..programs.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&programs[a], &programs[b]);
        b.died.cmp(&a.died).then_with(|| a.name.cmp(b.name))
    });
    // The rank of each program in its command.
    let mut counts = BTreeMap::new();
    let mut ranked: Vec<(usize, usize)> = Vec::new();
    for &index in &order {
        let program = &programs[index];
        if is_old(program.died) {
            continue;
        }
        let rank = counts.entry((program.died > now, program.command)).or_insert(0_usize);
        ranked.push((*rank, index));
        *rank += 1;
    }
    // Stable, so that the latest come first in each rank.
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut kept = vec![false; programs.len()];
    for future in [false, true] {
        let of_time = ranked.iter().filter(|(_, index)| (programs[*index].died > now) == future);
        let most = keep.saturating_mul(COMMANDS);
        of_time.filter(|(rank, _)| *rank < keep).take(most).for_each(|(_, at)| kept[*at] = true);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead<'a>(command: &'a str, seconds_ago: i64, name: &'a str) -> DeadProgram<'a> {
        let distance = Duration::from_secs(seconds_ago.unsigned_abs());
        let now = SystemTime::now();
        let died = if seconds_ago < 0 { now + distance } else { now - distance };
        DeadProgram { command: Some(command), died, name: name.as_ref() }
    }

    #[test]
    fn kept_programs_of_a_crash_loop_spare_another_command() {
        let mut programs: Vec<_> = (0..100).map(|at| dead("loop", at, "x")).collect();
        programs.push(dead("service", 1_000_000, "y"));
        let kept = kept_programs(&programs, 8, None);
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 9);
        assert!(kept[100] && kept[..8].iter().all(|kept| *kept));
    }

    #[test]
    fn kept_programs_of_many_commands_are_the_last_of_each() {
        let names: Vec<_> = (0..100).map(|at| format!("worker-{at}")).collect();
        let mut programs: Vec<_> = names.iter().zip(0..).map(|(n, at)| dead(n, at, "x")).collect();
        programs.extend((0..100).map(|at| dead("loop", at, "y")));
        let kept = kept_programs(&programs, 2, None);
        // 32 in all: the last of `loop` and of the 31 commands that died last.
        assert_eq!(kept.iter().filter(|kept| **kept).count(), 32);
        assert_eq!(kept[100..].iter().filter(|kept| **kept).count(), 1);
        assert!(kept[100] && kept[..31].iter().all(|kept| *kept));
        assert!(kept_programs(&programs, 0, None).iter().all(|kept| !kept));
    }

    #[test]
    fn kept_programs_of_the_future_are_counted_apart() {
        let programs =
            [dead("a", -500, "1"), dead("a", -400, "2"), dead("a", 10, "3"), dead("a", 20, "4")];
        assert_eq!(kept_programs(&programs, 1, None), [true, false, true, false]);
        let age = Some(Duration::from_secs(15));
        assert_eq!(kept_programs(&programs, 4, age), [true, true, true, false]);
    }

    #[test]
    fn kept_programs_of_equal_times_are_chosen_by_name() {
        let now = SystemTime::UNIX_EPOCH;
        let at = |name: &'static str| DeadProgram { command: None, died: now, name: name.as_ref() };
        assert_eq!(kept_programs(&[at("b"), at("a"), at("c")], 1, None), [false, true, false]);
    }
}
