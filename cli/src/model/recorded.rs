//! Recordings on the command line, and moments in them.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mmstats_history::Moment;
use mmstats_recording::{RecordedProgram, Recording, State, is_recording};

use super::{is_active, unrecorded};
use crate::text::{escape, human, time};

/// A moment as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum When {
    /// A date and time, or seconds since 1970.
    At(SystemTime),
    /// A local time of day, the last one that the recording has.
    TimeOfDay(jiff::civil::Time),
    /// This long before the end of the recording.
    BeforeEnd(Duration),
}

impl When {
    /// `2026-11-29T21:35:10Z`, the same without an offset (local), `21:35:10`, `21:35`, `-5m`, `@1796000000.5`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || "not a time like 2026-11-29T21:35:10Z, 21:35:10, -5m or @1796000000".to_owned();
        if let Some(seconds) = text.strip_prefix('@') {
            let at = exact_seconds(seconds).and_then(|since| UNIX_EPOCH.checked_add(since));
            return at.map(Self::At).ok_or_else(wrong);
        }
        if let Some(ago) = text.strip_prefix('-') {
            return before(ago).map(Self::BeforeEnd).ok_or_else(wrong);
        }
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(at.into()));
        }
        if !text.contains('-')
            && let Ok(time) = text.parse::<jiff::civil::Time>()
        {
            return Ok(Self::TimeOfDay(time));
        }
        let local: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
        let zoned = local.to_zoned(jiff::tz::TimeZone::system()).map_err(|_| wrong())?;
        Ok(Self::At(zoned.timestamp().into()))
    }

    /// The moment in a recording. One that counts from the end is that of the nearest look, if that is within a
    /// tenth of the pace: looks are a little before or after their times.
    pub(crate) fn resolve(self, recording: &Recording) -> Option<SystemTime> {
        let at = self.in_span(recording.span().1)?;
        match self {
            Self::BeforeEnd(_) => Some(nearest(recording, at).unwrap_or(at)),
            _ => Some(at),
        }
    }

    /// The moment in a recording whose last look is at `end`.
    fn in_span(self, end: SystemTime) -> Option<SystemTime> {
        match self {
            Self::At(at) => Some(at),
            Self::BeforeEnd(ago) => end.checked_sub(ago),
            Self::TimeOfDay(time) => {
                let zone = jiff::tz::TimeZone::system();
                let end = jiff::Timestamp::try_from(end).ok()?;
                let mut date = end.to_zoned(zone.clone()).date();
                loop {
                    let at = date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp();
                    if at <= end {
                        return Some(at.into());
                    }
                    date = date.yesterday().ok()?;
                }
            }
        }
    }
}

/// Seconds with decimals, to a nanosecond: a double would be a little before the look of `@1796000000.504`.
fn exact_seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let decimals = format!("{decimals:0<9}");
    Some(Duration::new(whole.parse().ok()?, decimals.get(..9)?.parse().ok()?))
}

/// The time of the look nearest to `at`, if it is within a tenth of the pace.
fn nearest(recording: &Recording, at: SystemTime) -> Option<SystemTime> {
    let mut frames = recording.frames_from(at).ok()?;
    let mut found: Option<(Duration, SystemTime)> = None;
    // The one before, and the one after.
    for _ in 0..2 {
        let Some(state) = frames.next().ok()? else { break };
        let time = state.time();
        let away = at.duration_since(time).or_else(|_| time.duration_since(at)).unwrap_or_default();
        if away <= state.every() / 10 && found.is_none_or(|(least, _)| away < least) {
            found = Some((away, time));
        }
    }
    Some(found?.1)
}

/// `1h30m`, `5m`, `90s`, `1.5s`: at least one number with a unit.
fn before(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, unit) = rest.split_at(at);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, more) = unit.split_at(end);
        let factor = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = more;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

/// Whether a path is a recording, or has the name of one: that may be missing, empty or damaged.
pub(crate) fn is_meant(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "gz") || is_recording(path)
}

/// What to do with a recording, for a command that reads none.
pub(crate) fn readers(path: &Path) -> Option<String> {
    let is = match (is_recording(path), is_meant(path)) {
        (true, _) => "it is a recording",
        (false, true) => "it has the name of a recording",
        _ => return None,
    };
    let commands = if cfg!(feature = "threads") { "`poll`, `threads`" } else { "`poll`" };
    Some(format!(
        "{is} of `mmstats record`: `show`, {commands}, `diff`, `replay` and `convert` read it"
    ))
}

/// Opens recordings.
///
/// # Errors
///
/// The message, escaped.
pub(crate) fn open<P: AsRef<Path>>(files: &[P]) -> Result<Recording, String> {
    Recording::open(files).map_err(|error| {
        let (text, path) = (error.to_string(), escape::path(&error.path));
        let is_missing = !is_meant(&error.path) && !error.path.exists();
        let help = match is_missing && error.path.file_name().is_some() {
            true => format!("; `mmstats record -o FILE {path}` makes a recording of a program"),
            false => String::new(),
        };
        format!("{}{help}", escape::text(&text))
    })
}

/// The recordings among arguments, and the programs of them that are meant: ids and names; all without one.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    pub(crate) files: Vec<OsString>,
    programs: Vec<String>,
}

/// Maximum number of programs that are named in a message.
pub(crate) const MAX_NAMED: usize = 5;

impl Recordings {
    /// `None` if no argument is a recording.
    pub(crate) fn find(arguments: &[OsString]) -> Option<Self> {
        let (files, others): (Vec<_>, Vec<_>) =
            arguments.iter().cloned().partition(|argument| is_meant(Path::new(argument)));
        let programs = others.iter().map(|text| text.to_string_lossy().into_owned()).collect();
        (!files.is_empty()).then_some(Self { files, programs })
    }

    /// Why [`find`](Self::find) has none: the first argument is no file, or another one; escaped.
    pub(crate) fn why_none(arguments: &[OsString]) -> String {
        let opened = open(arguments.get(..1).unwrap_or_default());
        opened.err().unwrap_or_else(|| "no recording is named".to_owned())
    }

    fn names(&self, program: &RecordedProgram) -> bool {
        let look = program.look();
        let pids = [look.process, look.identity.pid];
        let texts = [&look.identity.command, &look.identity.application];
        self.programs.is_empty()
            || self.programs.iter().any(|name| {
                let pid = name.parse().ok();
                pid.is_some_and(|pid: u32| pids.contains(&Some(pid)))
                    || texts.iter().any(|text| text.as_ref() == Some(name))
            })
    }

    /// The programs that are meant: those that lived then, and ledgers; with `all`, and if none of them lived, the
    /// others too.
    pub(crate) fn select<'s>(&self, state: &'s State, all: bool) -> Vec<&'s RecordedProgram> {
        // A file that is none, as one of another kind that was named, has nothing to show.
        let is_readable =
            |program: &&RecordedProgram| program.look().condition.state().is_readable();
        let named = state.programs().filter(|program| self.names(program)).filter(is_readable);
        let named: Vec<_> = named.collect();
        let counted: Vec<_> = named.iter().copied().filter(|program| counts(program)).collect();
        if all || counted.is_empty() { named } else { counted }
    }

    /// The number of named programs that had ended and are not `selected`: `2 ended programs of web: --all`.
    pub(crate) fn ended(&self, state: &State, selected: usize) -> Option<String> {
        let count = self.select(state, true).len().saturating_sub(selected);
        let programs = if count == 1 { "program" } else { "programs" };
        let names = escape::text(&self.programs.join(", ")).into_owned();
        (count > 0 && !self.programs.is_empty())
            .then(|| format!("{count} ended {programs} of {names}: --all"))
    }

    /// Why [`select`](Self::select) finds no program: the names, the moment and the programs of then, escaped.
    pub(crate) fn no_program(&self, state: &State) -> String {
        let at = date(state.time());
        let names = self.programs.join(", ");
        if names.is_empty() {
            return format!("the recording has no program at {at}");
        }
        let names = escape::text(&names);
        let mut there: Vec<String> = state.programs().take(MAX_NAMED).map(name).collect();
        let more = state.programs().len().saturating_sub(MAX_NAMED);
        if more > 0 {
            there.push(format!("{more} more"));
        }
        let there = match &*there.join(", ") {
            "" => "none".to_owned(),
            there => there.to_owned(),
        };
        format!("the recording has no such program at {at}: {names}; it has {there} then")
    }

    /// The programs that are meant, of those that lived then, and ledgers.
    pub(crate) fn live<'s>(&self, state: &'s State) -> Vec<&'s RecordedProgram> {
        let mut selected = self.select(state, false);
        selected.retain(|program| counts(program));
        selected
    }

    /// The recordings as one argument of an example.
    pub(crate) fn example(&self) -> String {
        match &self.files[..] {
            [file] => escape::os(file),
            _ => "FILE".to_owned(),
        }
    }

    /// Opens the recording.
    ///
    /// # Errors
    ///
    /// The message, escaped.
    pub(crate) fn open(&self) -> Result<Recording, String> {
        open(&self.files)
    }
}

/// Whether a program lived then, or is a ledger.
fn counts(program: &RecordedProgram) -> bool {
    let condition = program.look().condition;
    let is_ledger = condition.state() == mmstats_observe::FileState::Ledger;
    !condition.is_gone() && (is_active(condition.state()) || is_ledger)
}

/// `web[1234]`, escaped.
pub(crate) fn name(program: &RecordedProgram) -> String {
    let look = program.look();
    let command = escape::text(look.identity.command.as_deref().unwrap_or("?"));
    let pid = human::or_dash(look.process.or(look.identity.pid));
    format!("{command}[{pid}]")
}

/// What the recording does not have of these programs.
pub(crate) fn left_out(programs: &[&RecordedProgram]) -> Vec<String> {
    let text = |program: &&RecordedProgram| {
        let text = unrecorded(program.look().unrecorded)?;
        Some(format!("{}: {text}", name(program)))
    };
    programs.iter().filter_map(text).collect()
}

/// Why there is no report about the threads of a program, escaped.
#[cfg(feature = "threads")]
pub(crate) fn no_threads(threads: &mmstats_recording::Threads) -> String {
    use mmstats_recording::Threads;
    match threads {
        Threads::NotRecorded => {
            "threads are not recorded: the recorder had --no-threads, or is an \
                                 earlier version"
                .to_owned()
        }
        Threads::Unreadable(problem) => escape::text(problem).into_owned(),
        _ => "the threads had not been looked at then".to_owned(),
    }
}

/// The local date and time of a moment.
pub(crate) fn date(at: SystemTime) -> String {
    let [text] = dates([at]);
    text
}

/// The local dates and times of moments, with as many digits of the second as tell them apart.
pub(crate) fn dates<const N: usize>(times: [SystemTime; N]) -> [String; N] {
    let nanoseconds = times.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
    let tells_apart = |unit: u128| {
        let differ = |a: u128, b: u128| a == b || a / unit != b / unit;
        nanoseconds.iter().all(|a| nanoseconds.iter().all(|b| differ(*a, *b)))
    };
    let units = [(0, 1_000_000_000), (1, 100_000_000), (3, 1_000_000), (6, 1_000)];
    let digits = units.into_iter().find(|(_, unit)| tells_apart(*unit)).map_or(9, |(n, _)| n);
    nanoseconds.map(|at| {
        let at = i128::try_from(at).unwrap_or(i128::MAX);
        time::date_with_digits(at, digits).unwrap_or_default()
    })
}

/// A remark about the time since the look before, if nothing was recorded for long.
pub(crate) fn gap(state: &State, (before, at): (SystemTime, Moment)) -> Option<String> {
    let [from, to] = [before, state.time()].map(date);
    if let Some(gap) = state.gap() {
        let reason = escape::text(&gap.reason);
        return Some(format!("nothing was recorded from {from} to {to}: {reason}"));
    }
    let passed = || match state.time() < before {
        true => "for how long is not known: the clock was set back".to_owned(),
        false => human::age(state.at().since(at)),
    };
    state
        .is_after_gap(at)
        .then(|| format!("nothing was recorded from {from} to {to}, {}", passed()))
}

/// The message that no look is between these times.
pub(crate) fn no_look(
    recording: &Recording,
    from: Option<SystemTime>,
    to: Option<SystemTime>,
) -> String {
    let (begin, end) = recording.span();
    let [from, to, begin, end] = dates([from.unwrap_or(begin), to.unwrap_or(end), begin, end]);
    format!("no look from {from} to {to}: the recording is from {begin} to {end}")
}

/// The times from which and to which a recording is read; all looks without one, also if the clock was set back.
///
/// # Errors
///
/// The message that one is out of range, or that no look is between them, escaped.
pub(crate) fn range(
    recording: &Recording,
    from: Option<When>,
    to: Option<When>,
) -> Result<(Option<SystemTime>, Option<SystemTime>), String> {
    let resolve = |when: Option<When>| {
        let resolved = |when: When| {
            when.resolve(recording).ok_or_else(|| "the time is out of range".to_owned())
        };
        when.map(resolved).transpose()
    };
    let (from, to) = (resolve(from)?, resolve(to)?);
    let (begin, end) = recording.span();
    if from.is_some_and(|from| from > end)
        || to.is_some_and(|to| to < begin)
        || from.zip(to).is_some_and(|(from, to)| from > to)
    {
        return Err(no_look(recording, from, to));
    }
    Ok((from, to))
}

/// The name of the last program that was recorded before a moment, and when it was, escaped. Looks at few
/// moments: each takes a segment of the recording.
fn last_program(recording: &Recording, at: SystemTime) -> Option<String> {
    let programs = |at: SystemTime| {
        let state = recording.at(at).ok().flatten()?;
        let names: Vec<String> = state.programs().take(MAX_NAMED).map(name).collect();
        (!names.is_empty()).then(|| (state.time(), names.join(", ")))
    };
    let (begin, _) = recording.span();
    let (mut back, mut without) = (Duration::from_secs(1), at);
    let mut last = loop {
        let before = at.checked_sub(back).unwrap_or(begin).max(begin);
        if let Some(found) = programs(before) {
            break found;
        }
        if before <= begin {
            return None;
        }
        (without, back) = (before, back * 2);
    };
    while let Ok(left) = without.duration_since(last.0)
        && left > Duration::from_secs(1)
    {
        let middle = last.0 + left / 2;
        match programs(middle) {
            Some(found) if found.0 > last.0 => last = found,
            _ => without = middle,
        }
    }
    Some(format!("until {} it had {}", date(last.0), last.1))
}

/// The look that a moment is about.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) state: State,
    /// Remarks about it for standard error.
    pub(crate) notes: Vec<String>,
}

/// Messages about the incomplete ends of files.
pub(crate) fn cuts(recording: &Recording) -> Vec<String> {
    let text = |(path, cut): (&Path, &mmstats_recording::Cut)| {
        let (path, bytes) = (escape::path(path), cut.bytes);
        format!("{path}: the last {bytes} bytes are no whole block, and left out")
    };
    recording.cuts().map(text).collect()
}

/// The programs as of a moment; `None` for the end.
///
/// # Errors
///
/// The message, escaped.
pub(crate) fn state_at(recording: &Recording, when: Option<When>) -> Result<Found, String> {
    let (from, to) = recording.span();
    let at = match when {
        None => to,
        Some(when) => when.resolve(recording).ok_or("the time is out of range")?,
    };
    let state = recording.at(at).map_err(|error| escape::text(&error.to_string()).into_owned())?;
    let Some(state) = state else {
        let [at, from] = dates([at, from]);
        return Err(format!("{at} is before the recording, which begins at {from}"));
    };
    let mut notes = cuts(recording);
    if state.programs().len() == 0 {
        notes.extend(last_program(recording, state.time()));
    }
    let late = at.duration_since(state.time()).unwrap_or_default();
    if late > state.every() * 2 + Duration::from_secs(1) {
        let [at, look] = dates([at, state.time()]);
        notes.push(format!("the last look before {at} was at {look}"));
    }
    Ok(Found { state, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_digits_that_differ() {
        let at = |milliseconds: u64| UNIX_EPOCH + Duration::from_millis(milliseconds);
        let second = |times: [SystemTime; 2]| dates(times).map(|text| text[17..].to_owned());
        let zone = date(at(0))[19..].to_owned();
        let texts = |texts: [&str; 2]| texts.map(|text| format!("{text}{zone}"));
        assert_eq!(second([at(1_000), at(2_900)]), texts(["01", "02"]));
        assert_eq!(second([at(1_000), at(1_900)]), texts(["01.0", "01.9"]));
        assert_eq!(second([at(1_001), at(1_002)]), texts(["01.001", "01.002"]));
        assert_eq!(second([at(1_001), at(1_001)]), texts(["01", "01"]));
    }

    #[test]
    fn when_has_four_forms() {
        let at = |seconds: f64| UNIX_EPOCH + Duration::from_secs_f64(seconds);
        assert_eq!(When::parse("@1796000000.5"), Ok(When::At(at(1_796_000_000.5))));
        let exact = UNIX_EPOCH + Duration::from_millis(1_796_000_000_504);
        assert_eq!(When::parse("@1796000000.504"), Ok(When::At(exact)));
        assert_eq!(When::parse("1970-01-01T00:00:10Z"), Ok(When::At(at(10.0))));
        assert_eq!(When::parse("1970-01-01T01:00:10+01:00"), Ok(When::At(at(10.0))));
        let seconds = |text| When::parse(text).unwrap().in_span(at(10_000.0));
        assert_eq!(seconds("-5m"), Some(at(9_700.0)));
        assert_eq!(seconds("-1h30m"), Some(at(4_600.0)));
        assert_eq!(When::parse("21:35:10"), Ok(When::TimeOfDay(jiff::civil::time(21, 35, 10, 0))));
        // The last one that the recording has.
        let end = at(10.0 * 86_400.0);
        for text in ["00:00:00", "12:34:56", "23:59:59"] {
            let found = When::parse(text).unwrap().in_span(end).unwrap();
            assert!(
                found <= end && end.duration_since(found).unwrap() < Duration::from_secs(90_000)
            );
        }
        for bad in ["", "-", "-5", "-5x", "@", "@x", "@-1", "25:00", "yesterday", "1796000000"] {
            assert!(When::parse(bad).is_err(), "{bad}");
        }
    }
}
