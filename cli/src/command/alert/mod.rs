//! `mmstats alert`: the exit code of a monitoring plugin.

mod bounds;
mod condition;
mod finding;
mod group;
mod look;
mod measure;
mod report;
mod threshold;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;
use mmstats_observe::NotFound;

use self::condition::{Condition, Severity, Test};
use self::look::{Looked, Reader};
use self::report::{Answer, Document, Held, Status};
use self::threshold::duration;
use super::args::{interrupt, live_program, seconds};
use crate::json::write_line;
use crate::model::rates::subject::Subject;
use crate::model::selection::Selection;
use crate::output::Output;
use crate::render::paths::Paths;
use crate::render::problems::{in_directories, problem_text, report_help};

#[derive(Debug, Args)]
#[command(after_long_help = concat!(
    "Conditions:\n",
    "  'queue.depth >= 100'           a field: > >= < <= == != and a number\n",
    "  'rate(http.errors) > 10'       its increase per second, since the look before\n",
    "  'age(worker.beat) > 5s'        time since a timestamp, the last line of events, or the begin\n",
    "                                 of what is in progress for longest\n",
    "  'p99(http.latency) > 250ms'    a quantile of a histogram: of all its values, with --recent of\n",
    "                                 those since the look before\n",
    "  dead                           the program died; one that ended cleanly did not. Of a directory it\n",
    "                                 is about all that have left a file, until `mmstats clean`\n",
    "  stopped                        a signal (Ctrl-Z, SIGSTOP) or a debugger has stopped its process\n",
    "  deadlock                       its threads wait for each other (mmstats::sync)\n",
    "\nFields are selected as by `show -F`: 'http.errors{status=\"5*\"} > 10'. Fields of one label are\n",
    "combined over attributes and threads by their rule; of several labels, lanes or elements the\n",
    "condition holds if it holds for one of them, and so with several programs. The programs of an\n",
    "application are combined. Numbers have units: ns us ms s m h d, B kB MB GB KiB MiB GiB; without\n",
    "one they are in the unit of the field, ages in seconds. A bool is 0 or 1, an average its mean,\n",
    "an activity the number in progress. A member of a family that never counted is 0.\n",
    "\nExit codes:\n",
    "  0 OK        no condition holds\n",
    "  1 WARNING   a condition of --warn holds, none of --crit\n",
    "  2 CRITICAL  a condition of --crit holds, or one behind the program\n",
    "  3 UNKNOWN   the answer is not known: the command line is wrong; no such program, or it cannot\n",
    "               be read; there is no such field, it has no value, or what is known of it (contended,\n",
    "               damaged, incomplete) leaves more than one answer; the program has ended and no\n",
    "               condition holds\n",
    "\nOf a program that is stopped the line says so: its values are what it left, and its rates are 0.\n",
    "Of a program that has ended, also meanwhile, conditions are about its last values, and ages go on;\n",
    "it has no rates. Since these say nothing about now the answer is then never OK, but for a file that\n",
    "is named. With --wait a name waits for its next program, whatever has ended before; a process id does\n",
    "not. --wait ends at once if no condition can be judged, since the fields are of other kinds. Ctrl-C\n",
    "ends --wait and --for with the answer of then.\n",
    super::args::selecting!(),
    "\nExamples:\n",
    "  mmstats alert web dead 'rate(http.errors) > 10'\n",
    "  mmstats alert --warn 'queue.depth > 50' --crit 'queue.depth > 100' --for 30s web\n",
    "  mmstats alert --wait --timeout 1m 1234 'ready == 1'; [ $? = 2 ] && echo ready\n",
    "  mmstats alert --json web 'p99(http.latency) > 250ms' | jq .status",
))]
pub(crate) struct Alert {
    /// A condition that is a warning; repeat it for several.
    #[arg(long, value_name = "CONDITION")]
    warn: Vec<String>,

    /// A condition that is critical; repeat it for several.
    #[arg(long, value_name = "CONDITION")]
    crit: Vec<String>,

    /// A condition has to hold in all looks for this long, as 30s or 5m.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    hold: Option<Duration>,

    /// Look until a condition holds; a program that is not there yet, or a file or directory, is waited for.
    #[arg(long)]
    wait: bool,

    /// End --wait after this long, with the last answer.
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    timeout: Option<Duration>,

    /// Quantiles are those of the values since the look before.
    #[arg(long)]
    recent: bool,

    /// Seconds between two looks, which rates are about.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    delay: Duration,

    /// Print a JSON document.
    #[arg(long)]
    json: bool,

    /// Process id, name of a program, file or directory.
    #[arg(value_name = "PID|NAME|PATH", value_parser = live_program())]
    program: OsString,

    /// Critical conditions.
    #[arg(value_name = "CONDITION")]
    conditions: Vec<String>,
}

/// The line about a wrong command line, and its exit code.
pub(crate) const WRONG: &str = "UNKNOWN - the command line is wrong";
pub(crate) const UNKNOWN: u8 = Status::Unknown.code();

pub(crate) fn run(args: &Alert, output: &mut Output) -> io::Result<()> {
    output.answer(UNKNOWN);
    let conditions = match conditions(args) {
        Ok(conditions) => conditions,
        Err(why) => {
            output.note(&why);
            return writeln!(output, "{WRONG}: {}", why.replace('|', "/"));
        }
    };
    let selection = Selection::parse(std::slice::from_ref(&args.program));
    let mut reader = Reader::new(selection, &conditions, args.recent, args.wait);
    // One look is too short for an answer on Ctrl-C.
    let stop = if args.wait || args.hold.is_some() { Some(interrupt()?) } else { None };
    let (since, was_there) = (HashMap::new(), false);
    let watch = Watch { args, conditions: &conditions, stop, since, was_there };
    let answer = watch.watch(&mut reader, output);
    if answer.status == Status::Unknown {
        report_help(&reader.observer, output);
    }
    let result = if args.json {
        write_line(output, &Document(&answer))
    } else {
        writeln!(output, "{}", answer.line())
    };
    output.answer(answer.status.code());
    result
}

fn conditions(args: &Alert) -> Result<Vec<Condition>, String> {
    let with = |all: &[String], severity| -> Result<Vec<Condition>, String> {
        all.iter().map(|text| Condition::parse(text, severity)).collect()
    };
    let mut all = with(&args.conditions, Severity::Critical)?;
    all.extend(with(&args.crit, Severity::Critical)?);
    all.extend(with(&args.warn, Severity::Warning)?);
    if all.is_empty() {
        return Err("no condition is given: mmstats alert PID|NAME 'queue.depth > 100'".to_owned());
    }
    Ok(all)
}

/// Looks until there is an answer.
struct Watch<'a> {
    args: &'a Alert,
    conditions: &'a [Condition],
    /// Receives Ctrl-C, if looks are repeated.
    stop: Option<Receiver<()>>,
    /// Since when each condition has held.
    since: HashMap<(usize, Subject, String), Instant>,
    /// Whether a path that is named was there at an earlier look.
    was_there: bool,
}

/// State of the program that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    /// It may still come.
    Expected,
    Gone,
}

/// Time between two looks of conditions that need two.
const BETWEEN: Duration = Duration::from_millis(300);

impl<'a> Watch<'a> {
    fn watch(mut self, reader: &mut Reader<'_>, output: &mut Output) -> Answer<'a> {
        let start = Instant::now();
        let needs = |test: &Test| match test {
            Test::Dead | Test::Stopped => None,
            Test::Deadlock => Some(BETWEEN),
            Test::Field(comparison) => match comparison.function {
                condition::Function::Rate => Some(self.args.delay),
                condition::Function::Quantile(_) if self.args.recent => Some(self.args.delay),
                _ => None,
            },
        };
        let first = self.conditions.iter().filter_map(|condition| needs(&condition.test)).max();
        let (mut is_interrupted, mut has_said) = (false, false);
        if let Some(first) = first {
            let looked = reader.look();
            // Without a program there is nothing to compare.
            if looked.subjects > 0 || self.args.wait {
                is_interrupted = self.sleep(first);
            }
        }
        loop {
            // Before the look: what comes in between is not gone.
            self.was_there |= Path::new(&self.args.program).exists();
            let looked = reader.look();
            let (mut answer, presence) = self.answer(reader, looked);
            let passed = start.elapsed();
            let is_late = self.args.timeout.is_some_and(|timeout| passed >= timeout);
            let fires = answer.all.iter().any(|held| held.fires);
            if is_interrupted && !fires && self.may_change(&answer) {
                answer.status = Status::Unknown;
                answer
                    .reasons
                    .push("interrupted before a condition had held for long enough".into());
            }
            let is_done = is_interrupted
                || if self.args.wait {
                    fires || is_late || presence == Presence::Gone || is_in_vain(&answer)
                } else {
                    !self.may_change(&answer)
                };
            if is_done {
                return answer;
            }
            if self.args.wait && !std::mem::replace(&mut has_said, true) {
                output.note(&format!("waiting: {}", answer.text()));
            }
            let left = self.args.timeout.map(|timeout| timeout.saturating_sub(passed));
            let delay = left.map_or(self.args.delay, |left| left.min(self.args.delay));
            is_interrupted = self.sleep(delay);
        }
    }

    /// Waits. Whether Ctrl-C came.
    fn sleep(&self, time: Duration) -> bool {
        match &self.stop {
            Some(stop) => stop.recv_timeout(time) != Err(RecvTimeoutError::Timeout),
            None => {
                std::thread::sleep(time);
                false
            }
        }
    }

    /// Whether a condition holds, not yet for long enough, that would change the answer.
    fn may_change(&self, answer: &Answer<'_>) -> bool {
        let pending = answer.all.iter().filter(|held| held.held.is_some() && !held.fires);
        let mut severities = pending.map(|held| self.conditions[held.finding.condition].severity);
        severities.any(|severity| match answer.status {
            Status::Critical => false,
            Status::Warning => severity == Severity::Critical,
            Status::Ok | Status::Unknown => true,
        })
    }

    fn answer(&mut self, reader: &Reader<'_>, looked: Looked) -> (Answer<'a>, Presence) {
        let (now, hold) = (Instant::now(), self.args.hold.unwrap_or_default());
        let mut before = std::mem::take(&mut self.since);
        let mut all = Vec::new();
        for finding in looked.findings {
            let held = (finding.holds == Some(true)).then(|| {
                let key = (finding.condition, finding.subject.clone(), finding.name.clone());
                let since = before.remove(&key).unwrap_or(now);
                self.since.insert(key, since);
                now - since
            });
            let fires = held.is_some_and(|held| held >= hold);
            all.push(Held { finding, held, fires });
        }
        let mut reasons: Vec<String> = Vec::new();
        let mut presence = Presence::There;
        let name = self.args.program.to_string_lossy();
        let is_pid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        for problem in reader.observer.problems() {
            if problem.named || problem.not_found.is_some() {
                reasons.push(problem_text(problem, &Paths::default()));
                presence = match problem.not_found {
                    Some(NotFound::NoProgram | NotFound::NothingMapped | NotFound::Nameless) => {
                        Presence::Expected
                    }
                    // A file or directory.
                    None if !self.was_there => Presence::Expected,
                    _ => Presence::Gone,
                };
            }
        }
        if looked.subjects == 0 && reasons.is_empty() {
            reasons.push(format!("no live program{}", in_directories(&reader.observer)));
            presence = Presence::Expected;
        }
        if !looked.ended.is_empty() && presence == Presence::There {
            presence = if reader.selection.has_names() && !is_pid {
                Presence::Expected
            } else {
                Presence::Gone
            };
        }
        reasons.extend(looked.ended);
        let status = status(self.conditions, &all, !reasons.is_empty());
        (Answer { status, conditions: self.conditions, all, reasons }, presence)
    }
}

/// Whether no condition can be judged, also later: their fields are of other kinds.
fn is_in_vain(answer: &Answer<'_>) -> bool {
    !answer.all.is_empty() && answer.all.iter().all(|held| held.finding.never)
}

/// The worst condition that holds, unless what is not known could be worse.
fn status(conditions: &[Condition], all: &[Held], in_doubt: bool) -> Status {
    let severity = |held: &Held| conditions[held.finding.condition].severity;
    let fires = all.iter().filter(|held| held.fires).map(severity).max();
    let unknown = all.iter().filter(|held| held.finding.holds.is_none()).map(severity).max();
    // All conditions are about programs that were not seen.
    let worst = conditions.iter().map(|condition| condition.severity).max();
    let unknown = unknown.max(worst.filter(|_| in_doubt));
    match (fires, unknown) {
        (Some(Severity::Critical), _) => Status::Critical,
        (fires, unknown) if unknown > fires => Status::Unknown,
        (Some(Severity::Warning), _) => Status::Warning,
        (None, _) => Status::Ok,
    }
}
