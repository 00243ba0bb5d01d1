//! Programs with the past of their fields, in bounded memory.

use crate::clock::Moment;
use crate::field::Field;
use crate::program::{Program, ProgramKey};

/// All programs that were seen, with the past of their fields.
#[derive(Debug)]
pub struct History {
    programs: Vec<Program>,
    budget: usize,
}

impl History {
    /// A history that takes about `budget` bytes of memory at most.
    #[must_use]
    pub const fn new(budget: usize) -> Self {
        Self { programs: Vec::new(), budget }
    }

    /// The programs, in the order in which they were first seen.
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
        self.programs.iter().find(|program| program.key == key)
    }

    /// The program with this key, to prefer fields.
    pub fn program_mut(&mut self, key: ProgramKey) -> Option<&mut Program> {
        self.programs.iter_mut().find(|program| program.key == key)
    }

    /// The program with this key, added at `at` if it is new.
    pub(crate) fn program_at(&mut self, key: ProgramKey, at: Moment) -> &mut Program {
        let found = self.programs.iter().position(|program| program.key == key);
        let index = found.unwrap_or_else(|| {
            self.programs.push(Program::new(key, at));
            self.programs.len() - 1
        });
        &mut self.programs[index]
    }

    /// Memory of the pasts and of the descriptions, in bytes, nearly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fixed_bytes() + self.fields().map(Field::past_bytes).sum::<usize>()
    }

    /// The memory that it takes at most, in bytes.
    #[must_use]
    pub const fn budget(&self) -> usize {
        self.budget
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.programs.iter().flat_map(Program::fields)
    }

    /// Makes the pasts fit the budget: programs that are gone are dropped first where the
    /// descriptions alone exceed half of it, then the oldest parts of the longest pasts.
    pub(crate) fn fit(&mut self) {
        if self.bytes() <= self.budget {
            return;
        }
        while self.fixed_bytes() > self.budget / 2 {
            let programs = self.programs.iter().enumerate();
            let gone = programs.filter(|(_, program)| program.condition().is_gone());
            let Some((oldest, _)) = gone.min_by_key(|(_, program)| program.last) else { break };
            self.programs.remove(oldest);
        }
        // An eighth is left for the next looks, so that not each of them moves everything.
        let budget = self.budget - self.budget / 8;
        let left = budget.saturating_sub(self.fixed_bytes());
        let demands = self.fields().map(|field| (field.past_bytes(), field.weight()));
        let share = share(demands, left);
        for field in self.programs.iter_mut().flat_map(Program::fields_mut) {
            field.shrink_to(share.saturating_mul(field.weight()));
        }
    }

    /// Room for descriptions, in bytes.
    pub(crate) fn room(&self) -> usize {
        (self.budget / 2).saturating_sub(self.fixed_bytes())
    }

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
    use super::*;

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
