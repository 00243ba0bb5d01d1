//! Threads as lines for people and for pipes.

use std::time::{Duration, SystemTime};

use mmstats_observe::{Aggregation, DataType, Kind, Properties};
use mmstats_threads::{Activity, Finding, InProgress, Lock, Report, Thread};

use super::paths::Paths;
use super::program::{AGES_OF_ENDED, header_lines};
use super::table::{self, Align, Cell};
use crate::model::head::Head;
use crate::output::{Line, style};
use crate::text::{escape, human};

/// Width from which the table has all columns.
const WIDE: usize = 100;
/// Time without a change from which the column QUIET is shown.
const NOTABLE: Duration = Duration::from_secs(1);
/// Maximum number of labels of texts that are named.
const MAX_TEXTS: usize = 3;
/// Maximum width of the names of threads.
const MAX_NAME: usize = 24;
/// Least width of the column DOING; on less it stands below the thread.
const DOING: usize = 30;

/// A program on `width` columns. `texts` are the labels of the texts of its threads.
pub(crate) fn section(
    head: Option<&Head<'_>>,
    report: &Report,
    texts: &[&str],
    width: usize,
    now: SystemTime,
) -> Vec<Line> {
    let mut lines = match head {
        Some(head) => header_lines(head, width, now, &Paths::default()),
        None => process_header(report).wrapped(width, 2),
    };
    for finding in &report.findings {
        let style = if is_grave(finding) { style::BAD } else { style::ODD };
        let mut line = Line::styled(anstyle::Style::new(), "  ");
        line.push(style, escape::text(&finding.to_string()));
        lines.extend(line.wrapped(width, 4));
    }
    lines.extend(threads(report, &report.threads.iter().collect::<Vec<_>>(), width));
    lines.extend(activities(report, width));
    lines.extend(remarks(report, texts, width));
    lines
}

/// Whether a finding is a fault, not only unusual.
const fn is_grave(finding: &Finding) -> bool {
    matches!(finding, Finding::Died | Finding::Deadlock { .. } | Finding::Panicked { .. })
}

/// `cat  pid 17  sleeping  publishes nothing`.
fn process_header(report: &Report) -> Line {
    let mut line = Line::new();
    if let Some(process) = &report.process {
        line.push(style::BOLD, escape::text(&process.name));
        line.plain(format!("  pid {}  {}  ", process.id, process.state.name()));
    }
    line.push(style::DIM, "publishes nothing");
    line
}

/// The table of the threads in this order; its head is the first line.
pub(crate) fn threads(report: &Report, shown: &[&Thread], width: usize) -> Vec<Line> {
    if shown.is_empty() {
        return Vec::new();
    }
    let name_width = width.saturating_sub(30).clamp(8, MAX_NAME);
    let (left, right) = (Align::Left, Align::Right);
    let has_system = report.threads.iter().any(|thread| thread.system.is_some());
    let has_quiet = report.threads.iter().any(|thread| thread.quiet >= Some(NOTABLE));
    let mut heads = vec![("TID", right), ("NAME", left)];
    if has_system {
        heads.extend([("STATE", left), ("CPU", right)]);
    }
    if has_quiet && width >= WIDE {
        heads.push(("QUIET", right));
    }
    if has_system && width >= WIDE {
        heads.push(("WAITS IN", left));
    }
    let cell = |thread: &Thread, head: &str| {
        let system = thread.system.as_ref();
        match head {
            "TID" => Cell::new(human::or_dash(thread.id)),
            "NAME" => Cell::new(name(thread, name_width)),
            "STATE" => Cell::new(human::or_dash(system.map(|system| system.state.name()))),
            "CPU" => Cell::new(human::or_dash(system.and_then(|s| s.processors).map(share))),
            "QUIET" => Cell::styled(style::DIM, quiet(thread)),
            _ => {
                let waits_in = system.and_then(|system| system.waits_in.as_deref());
                Cell::styled(style::DIM, human::or_dash(waits_in.map(escape::text)))
            }
        }
    };
    let row = |thread: &Thread| heads.iter().map(|(head, _)| cell(thread, head)).collect();
    let rows: Vec<Vec<Cell>> = shown.iter().copied().map(row).collect();
    let columns = 2 + table::width(&heads, &rows) + 2;
    let is_beside = columns + DOING <= width;
    let does = shown.iter().map(|thread| doing(report, thread));
    let does: Vec<Line> = does.collect();
    let has_doing = does.iter().any(|line| line.width() > 0);
    let mut lines = Vec::new();
    for (at, table) in table::lines(&heads, &rows, usize::MAX).into_iter().enumerate() {
        let mut line = Line::styled(anstyle::Style::new(), "  ");
        line.append(table);
        let doing = match at.checked_sub(1) {
            None if has_doing && is_beside => Some(Line::styled(style::BOLD, "DOING")),
            None => None,
            Some(at) => does.get(at).filter(|line| line.width() > 0).cloned(),
        };
        match doing {
            None => lines.push(line.without_end()),
            Some(doing) if is_beside => {
                for (row, part) in doing.wrapped(width - columns, 2).into_iter().enumerate() {
                    let mut whole = if row == 0 { std::mem::take(&mut line) } else { Line::new() };
                    whole.pad_to(columns);
                    whole.append(part);
                    lines.push(whole);
                }
            }
            Some(doing) => {
                lines.push(line.without_end());
                let mut below = Line::styled(anstyle::Style::new(), "      ");
                below.append(doing);
                lines.extend(below.wrapped(width, 8));
            }
        }
    }
    lines
}

fn name(thread: &Thread, width: usize) -> String {
    let name = thread.name.as_deref().filter(|name| !name.is_empty());
    human::or_dash(name.map(|name| escape::clip(&escape::text(name), width).into_owned()))
}

/// `0.97`.
fn share(processors: f64) -> String {
    format!("{processors:.2}")
}

/// `12s`, `>12s` if nothing changed since the first look.
fn quiet(thread: &Thread) -> String {
    let from_first = if thread.quiet_from_first { ">" } else { "" };
    human::or_dash(thread.quiet.map(|quiet| format!("{from_first}{}", human::age(quiet))))
}

/// `transfer{from=1} 12s › waits 12s for "accounts" held by worker-2; holds "log"`.
fn doing(report: &Report, thread: &Thread) -> Line {
    let mut line = Line::new();
    for activity in &thread.activities {
        if line.width() > 0 {
            line.plain(" › ");
        }
        push_activity(report, activity, &mut line);
    }
    if let Some(wait) = &thread.wait {
        if line.width() > 0 {
            line.plain(" › ");
        }
        line.push(style::ODD, "waits ");
        if let Some(since) = wait.since {
            line.push(style::ODD, format!("{} ", human::age(report.age(since))));
        }
        let noun = if wait.condition { "condvar " } else { "" };
        line.push(style::ODD, format!("for {noun}{}", quoted(&wait.name)));
        let lock = wait.lock.filter(|_| !wait.condition);
        if let Some(lock) = lock.and_then(|number| report.lock(number)) {
            line.plain(held_by(report, lock));
        }
    }
    if !thread.holds.is_empty() {
        let names: Vec<String> = thread
            .holds
            .iter()
            .filter_map(|number| report.lock(*number))
            .map(|lock| quoted(&lock.name))
            .collect();
        let start = if line.width() > 0 { "; " } else { "" };
        let more = match thread.more_holds {
            0 => String::new(),
            more => format!(" and {more} more for reading"),
        };
        line.plain(format!("{start}holds {}{more}", names.join(", ")));
    }
    line
}

fn push_activity(report: &Report, activity: &Activity, line: &mut Line) {
    let dots = if activity.cut { "…" } else { "" };
    line.plain(format!("{}{dots}", escape::text(&activity.text)));
    if let Some(since) = activity.since {
        line.push(style::DIM, format!(" {}", human::age(report.age(since))));
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", escape::text(name))
}

/// ` held by worker-2 for at least 12s`.
fn held_by(report: &Report, lock: &Lock) -> String {
    let holder = lock.holder.or_else(|| lock.readers.first().copied());
    let Some(holder) = holder else { return String::new() };
    let held = report.held(lock);
    let held = held.map_or_else(String::new, |held| format!(" for at least {}", human::age(held)));
    let others = lock.readers.len().saturating_sub(usize::from(lock.holder.is_none()));
    let others = if others > 0 { format!(" and {others} readers") } else { String::new() };
    format!(" held by {}{others}{held}", escape::text(&report.title(holder)))
}

/// The activities of the program that belong to no thread, under a head.
pub(crate) fn activities(report: &Report, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for InProgress { oldest: activity, count, in_no_thread, .. } in report.in_progress() {
        let mut line = Line::styled(anstyle::Style::new(), "  ");
        let age = activity.since.map(|since| human::age(report.age(since)));
        line.plain(format!("{:>7}  ", human::or_dash(age)));
        let dots = if activity.cut { "…" } else { "" };
        line.plain(format!("{}{dots}  ", escape::text(&activity.text)));
        line.push(style::DIM, escape::text(&activity.label));
        let remark = match in_no_thread {
            Some(1) if count == 1 => ", in no thread".to_owned(),
            Some(some) => format!(", {some} of {count} in no thread, the oldest"),
            None if count > 1 => format!(", {count}, the oldest"),
            None => String::new(),
        };
        line.push(style::DIM, remark);
        lines.extend(line.wrapped(width, 11));
    }
    if !lines.is_empty() {
        let mut head = Line::styled(anstyle::Style::new(), "  ");
        head.push(style::BOLD, "    AGE  IN PROGRESS");
        lines.insert(0, head);
    }
    lines
}

/// Whether a field is a text of each thread: it may tell what that does, but not since when.
pub(crate) fn is_text_of_thread(properties: Properties) -> bool {
    properties.ty() == Some(DataType::Text)
        && properties.kind() == Some(Kind::Gauge)
        && properties.aggregation() == Aggregation::Each
}

/// Remarks: which information is missing, and why. `texts` are the labels of the texts of threads.
pub(crate) fn remarks(report: &Report, texts: &[&str], width: usize) -> Vec<Line> {
    let lines = |text: &String| Line::remark(2, text.as_str()).wrapped(width, 4);
    unknown(report, texts).iter().flat_map(lines).collect()
}

fn unknown(report: &Report, texts: &[&str]) -> Vec<String> {
    let publishes = report.state.is_some();
    let mut remarks = Vec::new();
    if report.threads.is_empty() {
        remarks.push(match report.process {
            None if publishes => "no threads are known".to_owned(),
            _ => "no thread can be seen".to_owned(),
        });
    }
    if publishes && report.process.is_none() && !report.has_ended() {
        remarks.push(
            "its process cannot be seen from here: states and processors are not known".into(),
        );
    }
    if report.has_ended()
        && report.threads.iter().any(|t| t.wait.is_some() || !t.activities.is_empty())
    {
        remarks.push(AGES_OF_ENDED.to_owned());
    }
    let mut unknown = Vec::new();
    if !report.publishes.activities {
        unknown.push("what its threads do (activities, mmstats-tracing)");
    }
    if !report.publishes.locks {
        unknown.push("which locks its threads wait for (mmstats::sync)");
    }
    if publishes && !unknown.is_empty() {
        let does = if report.has_ended() { "did" } else { "does" };
        remarks.push(format!("the program {does} not publish {}", unknown.join(", and ")));
    }
    if !report.publishes.activities && !texts.is_empty() {
        let mut texts = texts.to_vec();
        texts.sort_unstable();
        texts.dedup();
        let shown: Vec<_> = texts.iter().take(MAX_TEXTS).map(|label| escape::text(label)).collect();
        let more = if texts.len() > MAX_TEXTS { ", ..." } else { "" };
        let shown = shown.join(", ");
        remarks.push(format!("`mmstats show` has texts of its threads: {shown}{more}"));
    }
    if report.threads_left_out > 0 {
        remarks.push(format!("{} more threads are not looked at", report.threads_left_out));
    }
    if report.activities_left_out > 0 {
        remarks.push(format!("{} more activities are not shown", report.activities_left_out));
    }
    if report.locks_left_out > 0 {
        remarks.push(format!("{} more locks are not known", report.locks_left_out));
    }
    remarks
}

/// Lines of tab-separated words.
pub(crate) fn plain(head: Option<&Head<'_>>, report: &Report) -> Vec<String> {
    let pid = head.and_then(|head| head.process.or(head.identity.pid));
    let pid = human::or_dash(pid.or(report.process.as_ref().map(|process| process.id)));
    let seconds = |time: Option<Duration>| {
        human::or_dash(time.map(|time| format!("{:.3}", time.as_secs_f64())))
    };
    let finding = |finding: &Finding| {
        [
            pid.clone(),
            "finding".into(),
            finding.code().into(),
            escape::text(&finding.to_string()).into(),
        ]
        .join("\t")
    };
    let thread = |thread: &Thread| {
        let system = thread.system.as_ref();
        let doing = doing(report, thread).text();
        [
            pid.clone(),
            "thread".to_owned(),
            human::or_dash(thread.id),
            human::or_dash(thread.name.as_deref().map(escape::text)),
            human::or_dash(system.map(|system| system.state.name())),
            human::or_dash(system.and_then(|system| system.processors).map(share)),
            seconds(thread.quiet),
            human::or_dash(system.and_then(|system| system.waits_in.as_deref()).map(escape::text)),
            human::or_dash((!doing.is_empty()).then_some(doing)),
        ]
        .join("\t")
    };
    let activity = |activity: &Activity| {
        let age = activity.since.map(|since| report.age(since));
        let (label, text) = (escape::text(&activity.label), escape::text(&activity.text));
        [pid.clone(), "activity".to_owned(), seconds(age), label.into(), text.into()].join("\t")
    };
    let findings = report.findings.iter().map(finding);
    let threads = report.threads.iter().map(thread);
    findings.chain(threads).chain(report.activities.iter().map(activity)).collect()
}
