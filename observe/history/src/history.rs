//! Programs with the past of their fields, in bounded memory.

use std::collections::{HashMap, HashSet};

use mmstats_observe::Problem;

use crate::clock::Moment;
use crate::field::Field;
use crate::program::{Condition, Program, ProgramKey};

/// Weight of the lines of events of a program in the division of memory; a field has 1.
const LINES: usize = 8;

/// All programs found so far, with the past of their fields.
#[derive(Debug)]
pub struct History {
    programs: Vec<Program>,
    by_key: HashMap<ProgramKey, usize>,
    problems: Problems,
    budget: usize,
    /// Maximum memory of the pasts, in bytes.
    past: usize,
    /// Memory of consumers, in bytes.
    consumers: usize,
    /// Number of programs that were dropped.
    dropped: usize,
}

/// Problems of the last look at all fields.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) first: Vec<Problem>,
    /// Number of further problems.
    pub(crate) more: usize,
}

impl History {
    /// A history of at most about `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        let (programs, by_key, problems) = (Vec::new(), HashMap::new(), Problems::default());
        Self { programs, by_key, problems, budget, past: usize::MAX, consumers: 0, dropped: 0 }
    }

    /// The programs, in the order in which they were first found.
    #[must_use]
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    pub(crate) fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program> {
        self.programs.iter_mut()
    }

    /// The program with this key.
    #[must_use]
    pub fn program(&self, key: ProgramKey) -> Option<&Program> {
        self.programs.get(*self.by_key.get(&key)?)
    }

    /// The program with this key, to prefer fields.
    pub fn program_mut(&mut self, key: ProgramKey) -> Option<&mut Program> {
        self.programs.get_mut(*self.by_key.get(&key)?)
    }

    /// Problems of files, directories and processes at the last look at all fields; the first ones, if
    /// there are many.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems.first
    }

    /// Number of problems beside [`problems`](Self::problems).
    #[must_use]
    pub const fn more_problems(&self) -> usize {
        self.problems.more
    }

    pub(crate) fn set_problems(&mut self, problems: Problems) {
        self.problems = problems;
    }

    /// Sets the memory that a consumer uses for a past of its own, in bytes, as part of the budget.
    pub const fn set_consumers(&mut self, bytes: usize) {
        self.consumers = bytes;
    }

    /// The program with this key, added at `at` if it is new.
    pub(crate) fn program_at(&mut self, key: ProgramKey, at: Moment) -> &mut Program {
        let next = self.programs.len();
        let index = *self.by_key.entry(key).or_insert(next);
        if index == next {
            self.programs.push(Program::new(key, at));
        }
        &mut self.programs[index]
    }

    /// Approximate memory of the pasts, of the descriptions and of consumers, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lines = self.programs.iter().map(|program| program.lines.bytes()).sum::<usize>();
        self.consumers
            + self.fixed_bytes()
            + lines
            + self.fields().map(Field::past_bytes).sum::<usize>()
    }

    /// Sets the maximum memory of the pasts, in bytes; by default the whole budget. A consumer of every look needs
    /// none.
    #[must_use]
    pub fn with_past(self, bytes: usize) -> Self {
        Self { past: bytes, ..self }
    }

    /// Number of programs without files that were dropped for want of memory.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Maximum memory, in bytes.
    #[must_use]
    pub const fn budget(&self) -> usize {
        self.budget
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.programs.iter().flat_map(Program::fields)
    }

    /// Makes the pasts fit the budget: drops programs that are gone or no longer recorded, while the descriptions
    /// exceed half of the memory left by consumers, then the oldest parts of the longest pasts.
    pub fn fit(&mut self) {
        let (all, fixed) = (self.bytes(), self.fixed_bytes());
        if all <= self.budget && all.saturating_sub(fixed) <= self.past {
            return;
        }
        self.drop_gone();
        // An eighth is left free for the next looks: shrinking at each of them would cost too much.
        let own = self.own_budget();
        let past = self.past - self.past / 8;
        let left = (own - own / 8).saturating_sub(self.fixed_bytes()).min(past);
        let fields = self.fields().map(|field| (field.past_bytes(), field.weight()));
        let lines = self.programs.iter().map(|program| (program.lines.bytes(), LINES));
        let share = share(fields.chain(lines), left);
        for program in &mut self.programs {
            program.lines.shrink_to(share.saturating_mul(LINES));
            for field in program.fields_mut() {
                field.shrink_to(share.saturating_mul(field.weight()));
            }
        }
    }

    /// Drops programs that are gone, the oldest first, while the descriptions exceed their half of the
    /// budget.
    fn drop_gone(&mut self) {
        let mut excess = self.fixed_bytes().saturating_sub(self.own_budget() / 2);
        let is_gone = |condition: Condition| condition.is_gone() || condition.is_unrecorded();
        let gone = self.programs.iter().filter(|program| is_gone(program.condition()));
        let mut gone: Vec<(Moment, ProgramKey, usize)> =
            gone.map(|program| (program.last, program.key, program.fixed_bytes())).collect();
        gone.sort_unstable_by_key(|(last, ..)| *last);
        let mut dropped = HashSet::new();
        for (_, key, bytes) in gone {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(bytes);
            dropped.insert(key);
        }
        if dropped.is_empty() {
            return;
        }
        self.dropped += dropped.len();
        self.programs.retain(|program| !dropped.contains(&program.key));
        let indexed = self.programs.iter().enumerate();
        self.by_key = indexed.map(|(index, program)| (program.key, index)).collect();
    }

    /// Maximum memory of further descriptions, in bytes.
    pub(crate) fn room(&self) -> usize {
        (self.own_budget() / 2).saturating_sub(self.fixed_bytes())
    }

    /// The budget without the memory of consumers, in bytes.
    const fn own_budget(&self) -> usize {
        self.budget.saturating_sub(self.consumers)
    }

    /// Approximate memory of the descriptions, in bytes.
    fn fixed_bytes(&self) -> usize {
        self.programs.iter().map(Program::fixed_bytes).sum()
    }
}

/// The bytes for a weight of 1, so that all demands, each cut to its weight times that, add up to at
/// most `budget`. Small demands are met whole, and leave the rest to the larger ones.
fn share(demands: impl Iterator<Item = (usize, usize)>, budget: usize) -> usize {
    let mut demands: Vec<_> = demands.collect();
    demands.sort_unstable_by_key(|(bytes, weight)| bytes / weight);
    let mut weights: usize = demands.iter().map(|(_, weight)| weight).sum();
    let mut left = budget;
    for (bytes, weight) in demands {
        if bytes.saturating_mul(weights) > left.saturating_mul(weight) {
            return left / weights.max(1);
        }
        left -= bytes;
        weights -= weight;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use mmstats_observe::FileState;

    use super::*;
    use crate::events::Line;

    fn lines(count: usize) -> Vec<Line> {
        let line = |time: usize| Line {
            time: time as u64,
            label: "log".to_owned(),
            text: Ok("x".repeat(1_000)),
        };
        (0..count).map(line).collect()
    }

    #[test]
    fn fit_shrinks_lines_from_the_oldest_and_leaves_room_to_consumers() {
        let mut history = History::new(1 << 20);
        for number in 0..10 {
            let program = history.program_at(ProgramKey::File(1, number), Moment::default());
            program.lines.add(lines(500));
        }
        assert!(history.bytes() > 5 << 20);
        history.fit();
        assert!(history.bytes() <= 1 << 20, "{}", history.bytes());
        let newest = |history: &History| {
            let lines = history.programs()[7].lines.iter();
            (lines.len(), lines.last().map(|line| line.time))
        };
        let (kept, last) = newest(&history);
        assert!(kept > 50 && last == Some(499), "{kept}");
        history.set_consumers(512 << 10);
        history.fit();
        assert!(history.bytes() <= 1 << 20, "{}", history.bytes());
        assert!(newest(&history).0 < kept);
    }

    #[test]
    fn fit_drops_programs_that_are_gone_and_finds_the_others() {
        let mut history = History::new(1_000);
        for number in 0..100 {
            let at = Moment::from_milliseconds(number);
            let program = history.program_at(ProgramKey::File(1, number), at);
            let state = FileState::Dead;
            let is_gone = number % 2 == 1;
            let condition = if is_gone { Condition::Gone(state) } else { Condition::Seen(state) };
            program.set_condition(at, condition);
        }
        history.fit();
        assert_eq!((history.programs().len(), history.dropped()), (50, 50));
        for number in 0..100 {
            let key = ProgramKey::File(1, number);
            let found = history.program(key).map(|program| program.key);
            assert_eq!(found, (number % 2 == 0).then_some(key));
        }
    }

    #[test]
    fn fit_keeps_programs_that_are_gone_beside_a_large_consumer() {
        let mut history = History::new(1 << 20);
        let program = history.program_at(ProgramKey::File(1, 1), Moment::default());
        program.set_condition(Moment::default(), Condition::Gone(FileState::Dead));
        program.lines.add(lines(1_000));
        history.set_consumers(768 << 10);
        history.fit();
        assert_eq!(history.programs().len(), 1);
        assert!(history.bytes() <= 1 << 20, "{}", history.bytes());
        assert!(history.room() > 0);
    }

    #[test]
    fn share_meets_small_demands_whole() {
        assert_eq!(share([(10, 1), (10, 1)].into_iter(), 100), usize::MAX);
        // 10 is met; the two others have 45 each.
        assert_eq!(share([(90, 1), (10, 1), (80, 1)].into_iter(), 100), 45);
        // Of 90, one part of five, and four.
        assert_eq!(share([(90, 1), (10, 1), (800, 4)].into_iter(), 100), 18);
        assert_eq!(share([].into_iter(), 0), usize::MAX);
    }
}
