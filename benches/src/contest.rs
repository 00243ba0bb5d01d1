//! Subjects measured against each other in interleaved rounds: ours, peers and hand-written floors.

use std::fmt;
use std::time::Duration;

use crate::columns::{Line, short_time, time, write};
use crate::pace::{BLOCK, FETCH_ADD_BLOCK, Paced, Word, fetch_adds};

/// The cost that a limit is a multiple of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Base {
    /// The hand-written code of the group.
    Floor,
    /// The fastest peer of the group.
    BestPeer,
    /// The row of the group with this name.
    Row(&'static str),
    /// A nanosecond.
    Nanos,
    /// A byte.
    Bytes,
}

/// A limit of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    times: f64,
    base: Base,
}

impl Limit {
    /// At most `times` times the base.
    #[must_use]
    pub const fn new(times: f64, base: Base) -> Self {
        Self { times, base }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = self.times;
        let of = match self.base {
            Base::Nanos => return f.write_str(&short_time(times)),
            Base::Bytes => return write!(f, "{} MiB", times / f64::from(1 << 20)),
            Base::Floor => "floor",
            Base::BestPeer => "peer",
            Base::Row(_) => "row",
        };
        if times < 0.95 && times > 0.0 {
            write!(f, "{of} / {:.0}", 1.0 / times)
        } else {
            write!(f, "{times} {of}")
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Ours,
    Peer,
    Floor,
    Part,
}

/// One way to do the work of a group.
pub struct Subject {
    name: &'static str,
    role: Role,
    per: f64,
    limits: Vec<Limit>,
    work: Box<dyn Work>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Timed iterations, and what is done after them untimed.
trait Work {
    fn run(&mut self, n: u64);
    fn clear(&mut self);
}

struct Parts<S, R, C> {
    state: S,
    run: R,
    clear: C,
}

impl<S, R: FnMut(&mut S, u64), C: FnMut(&mut S)> Work for Parts<S, R, C> {
    fn run(&mut self, n: u64) {
        (self.run)(&mut self.state, n);
    }
    fn clear(&mut self) {
        (self.clear)(&mut self.state);
    }
}

impl Subject {
    fn new<S: 'static>(
        name: &'static str,
        role: Role,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
    ) -> Self {
        Self::cleared(name, role, state, run, |_| ())
    }

    fn cleared<S: 'static>(
        name: &'static str,
        role: Role,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
        clear: impl FnMut(&mut S) + 'static,
    ) -> Self {
        let work = Box::new(Parts { state, run, clear });
        Self { name, role, per: 1.0, limits: Vec::new(), work }
    }

    /// Our way; the second argument of `run` is the number of iterations.
    pub fn ours<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
    ) -> Self {
        Self::new(name, Role::Ours, state, run)
    }

    /// As [`Subject::ours`]; `clear` runs after each block and is not timed.
    pub fn ours_cleared<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
        clear: impl FnMut(&mut S) + 'static,
    ) -> Self {
        Self::cleared(name, Role::Ours, state, run, clear)
    }

    /// The way of another library.
    pub fn peer<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
    ) -> Self {
        Self::new(name, Role::Peer, state, run)
    }

    /// As [`Subject::peer`]; `clear` runs after each block and is not timed.
    pub fn peer_cleared<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
        clear: impl FnMut(&mut S) + 'static,
    ) -> Self {
        Self::cleared(name, Role::Peer, state, run, clear)
    }

    /// Hand-written code: the same bytes, as visible to a reader, without checks.
    pub fn floor<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
    ) -> Self {
        Self::new(name, Role::Floor, state, run)
    }

    /// As [`Subject::floor`]; `clear` runs after each block and is not timed.
    pub fn floor_cleared<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
        clear: impl FnMut(&mut S) + 'static,
    ) -> Self {
        Self::cleared(name, Role::Floor, state, run, clear)
    }

    /// A part of the work, for comparison only.
    pub fn part<S: 'static>(
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S, u64) + 'static,
    ) -> Self {
        Self::new(name, Role::Part, state, run)
    }

    /// Divides the result by `things`, the number of fields in an iteration, for instance.
    #[must_use]
    pub fn per(mut self, things: u32) -> Self {
        self.per = f64::from(things);
        self
    }

    /// Replaces the name of the row.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Adds a limit: at most `times` times the base.
    #[must_use]
    pub fn at_most(mut self, times: f64, base: Base) -> Self {
        self.limits.push(Limit::new(times, base));
        self
    }
}

/// Rows that are measured in the same rounds.
#[derive(Debug, Default)]
pub struct Group {
    subjects: Vec<Subject>,
    facts: Vec<(&'static str, f64, Limit)>,
}

impl Group {
    /// Adds a row.
    pub fn add(&mut self, subject: Subject) {
        self.subjects.push(subject);
    }

    /// Adds a number of bytes that was measured elsewhere.
    pub fn bytes(&mut self, name: &'static str, bytes: f64, limit: Limit) {
        self.facts.push((name, bytes, limit));
    }
}

/// Medians of a row.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    name: &'static str,
    role: Role,
    /// Nanoseconds of each round.
    nanos: Vec<f64>,
    /// The same in `fetch_add`s of that round.
    ratios: Vec<f64>,
    limits: Vec<Limit>,
}

/// One run: groups, then the table.
#[derive(Debug)]
pub struct Contest {
    /// Time for each group.
    budget: Duration,
    filter: Option<String>,
    smoke: bool,
    bare: Vec<f64>,
    lines: Vec<Line<7>>,
    missed: usize,
}

impl Contest {
    /// Reads the arguments: `--quick`, `--smoke` (each row once), and a part of the groups' names.
    #[must_use]
    pub fn from_args() -> Self {
        let mut contest = Self {
            budget: Duration::from_secs(2),
            filter: None,
            smoke: false,
            bare: Vec::new(),
            lines: Vec::new(),
            missed: 0,
        };
        for arg in std::env::args().skip(1) {
            match arg.as_str() {
                "--quick" => contest.budget = Duration::from_millis(300),
                "--smoke" => (contest.smoke, contest.budget) = (true, Duration::ZERO),
                _ => contest.filter = Some(arg),
            }
        }
        contest
    }

    /// `full`, or `small` in a run that only checks that rows work.
    #[must_use]
    pub const fn size(&self, full: u32, small: u32) -> u32 {
        if self.smoke { small } else { full }
    }

    /// Measures a group, unless it is filtered out.
    pub fn group(&mut self, title: &'static str, make: impl FnOnce(&mut Group)) {
        if self.filter.as_ref().is_some_and(|part| !title.contains(part.as_str())) {
            return;
        }
        eprintln!("{title}");
        let mut group = Group::default();
        make(&mut group);
        self.lines.push(Line::Section(title));
        let rows = self.rounds(group.subjects);
        for row in &rows {
            let cells = self.cells(row, &rows);
            self.lines.push(Line::Row(cells));
        }
        for (name, bytes, limit) in group.facts {
            let mib = bytes / f64::from(1 << 20);
            let met = bytes <= limit.times;
            self.missed += usize::from(!met);
            let empty = String::new;
            self.lines.push(Line::Row([
                format!("  {name}"),
                format!("{mib:.1} MiB"),
                empty(),
                empty(),
                empty(),
                limit.to_string(),
                if met { "yes" } else { "NO" }.to_owned(),
            ]));
        }
    }

    fn rounds(&mut self, mut subjects: Vec<Subject>) -> Vec<Measured> {
        let word = Word::default();
        let fetch_add = Paced::find(FETCH_ADD_BLOCK, |n| fetch_adds(&word.0, n));
        let mut round = Duration::ZERO;
        let paced: Vec<Paced> = subjects
            .iter_mut()
            .map(|subject| {
                let paced = Paced::find(if self.smoke { Duration::ZERO } else { BLOCK }, |n| {
                    subject.work.run(n);
                    subject.work.clear();
                });
                round += paced.run(|n| subject.work.run(n)).0;
                subject.work.clear();
                paced
            })
            .collect();
        let mut measured: Vec<Measured> = subjects
            .iter()
            .map(|subject| Measured {
                name: subject.name,
                role: subject.role,
                nanos: Vec::new(),
                ratios: Vec::new(),
                limits: subject.limits.clone(),
            })
            .collect();
        let rounds = (self.budget.as_nanos() / round.as_nanos().max(1)).clamp(11, 501);
        let rounds = if self.smoke { 1 } else { usize::try_from(rounds).unwrap_or(11) };
        for turn in 0..rounds {
            let count = subjects.len();
            for i in 0..count {
                // Each round begins with another subject.
                let i = (i + turn) % count;
                let (subject, row) = (&mut subjects[i], &mut measured[i]);
                let (_, bare) = fetch_add.run(|n| fetch_adds(&word.0, n));
                let (_, nanos) = paced[i].run(|n| subject.work.run(n));
                subject.work.clear();
                let nanos = nanos / subject.per;
                self.bare.push(bare);
                row.nanos.push(nanos);
                row.ratios.push(nanos / bare);
            }
        }
        measured
    }

    fn cells(&mut self, row: &Measured, rows: &[Measured]) -> [String; 7] {
        let [low, middle, high] = quartiles(&row.nanos);
        let floor = rows.iter().find(|other| other.role == Role::Floor);
        let over = floor.filter(|_| row.role == Role::Ours || row.role == Role::Peer);
        let mut met = None;
        for limit in &row.limits {
            let ratio = match limit.base {
                Base::Nanos => Some(middle),
                Base::Bytes => None,
                Base::Floor => floor.map(|base| times(row, base)),
                Base::BestPeer => best_peer(rows).map(|base| times(row, base)),
                Base::Row(name) => {
                    rows.iter().find(|other| other.name == name).map(|base| times(row, base))
                }
            };
            if let Some(ratio) = ratio {
                met = Some(met.unwrap_or(true) && ratio <= limit.times);
            }
        }
        self.missed += usize::from(met == Some(false));
        let [_, ratio, _] = quartiles(&row.ratios);
        [
            format!("  {}", row.name),
            time(middle),
            format!("{:.0} %", (high - low) / 2.0 / middle * 100.0),
            short(ratio),
            over.map_or_else(String::new, |base| short(times(row, base))),
            row.limits.iter().map(Limit::to_string).collect::<Vec<_>>().join(", "),
            match met {
                _ if cfg!(debug_assertions) || self.smoke => "",
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            }
            .to_owned(),
        ]
    }

    /// Prints the table; returns the number of limits that were missed.
    pub fn finish(self) -> usize {
        let [_, bare, _] = quartiles(&self.bare);
        println!("One fetch_add: {bare:.1} ns.\n\n{}", Printed(&self.lines));
        if self.smoke { 0 } else { self.missed }
    }
}

struct Printed<'a>(&'a [Line<7>]);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "median", "spread", "fetch_adds", "x floor", "at most", "met"];
        write(f, head, self.0)
    }
}

fn short(ratio: f64) -> String {
    let digits = if ratio < 10.0 { 2 } else { 0 };
    format!("{ratio:.digits$}")
}

/// How many times `base` a row takes: the median over the rounds.
fn times(row: &Measured, base: &Measured) -> f64 {
    let ratios: Vec<f64> = row.ratios.iter().zip(&base.ratios).map(|(a, b)| a / b).collect();
    quartiles(&ratios)[1]
}

fn best_peer(rows: &[Measured]) -> Option<&Measured> {
    let peers = rows.iter().filter(|row| row.role == Role::Peer);
    peers.min_by(|a, b| quartiles(&a.ratios)[1].total_cmp(&quartiles(&b.ratios)[1]))
}

/// The quartiles: a quarter, half and three quarters of the numbers are below.
fn quartiles(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |quarter: usize| {
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * quarter / 4).copied().unwrap_or(f64::NAN)
    };
    [at(1), at(2), at(3)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, role: Role, ratios: &[f64]) -> Measured {
        Measured { name, role, nanos: ratios.to_vec(), ratios: ratios.to_vec(), limits: Vec::new() }
    }

    #[test]
    fn times_compares_within_a_round() {
        // The machine was twice as slow in the second round.
        let (ours, floor) =
            (row("a", Role::Ours, &[2.0, 4.0, 2.0]), row("b", Role::Floor, &[1.0, 2.0, 1.0]));
        assert_eq!(times(&ours, &floor).to_bits(), 2.0_f64.to_bits());
    }

    #[test]
    fn best_peer_is_the_fastest_of_the_peers() {
        let rows = [
            row("ours", Role::Ours, &[1.0]),
            row("slow", Role::Peer, &[9.0]),
            row("fast", Role::Peer, &[3.0]),
        ];
        assert_eq!(best_peer(&rows).map(|row| row.name), Some("fast"));
    }

    #[test]
    fn limit_below_one_is_a_fraction() {
        assert_eq!(Limit::new(1.0 / 6.0, Base::BestPeer).to_string(), "peer / 6");
        assert_eq!(Limit::new(2.0, Base::Floor).to_string(), "2 floor");
        assert_eq!(Limit::new(15e7, Base::Nanos).to_string(), "150 ms");
        assert_eq!(Limit::new(62_914_560.0, Base::Bytes).to_string(), "60 MiB");
    }
}
