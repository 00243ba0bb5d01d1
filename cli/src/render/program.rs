//! A program with its fields as lines.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mmstats_observe::{FileState, Identity, Level, Program, Verdict};

use super::field::{Columns, blocks, field, name, wrapped_name};
use super::paths::Paths;
use crate::model::families;
use crate::model::head::Head;
#[cfg(feature = "record")]
use crate::model::head::Source;
use crate::model::life::{End, end_word};
use crate::model::row::Row;
use crate::model::section::Section;
use crate::model::threads::Thread;
use crate::output::{Line, style};
use crate::text::{escape, human, time};
use crate::value::{in_progress, to_plain};

/// `LABEL TAB VALUE TAB UNIT TAB PID TAB FILE`.
pub(crate) fn piped(head: &Head<'_>, row: &Row, paths: &Paths) -> String {
    let value = human::or_dash(row.whole().map(to_plain));
    let pid = human::or_dash(head.identity.pid);
    let path = head.paths.first().map_or_else(String::new, |path| paths.shown(path));
    format!("{}\t{value}\t{}\t{pid}\t{path}", name(row), escape::text(&row.field.unit))
}

/// The header and the lines of each field, on `width` columns; if `verbose` with help, type and exact
/// value.
pub(crate) fn section(
    section: &Section<'_>,
    verbose: bool,
    width: usize,
    now: SystemTime,
    paths: &Paths,
) -> Vec<Line> {
    let head = &section.head;
    let mut lines = header_lines(head, width, now, paths);
    let visible = |row: &&Row| {
        verbose || (row.verdict != Verdict::Retired && !families::is_empty_overflow(row))
    };
    let shown: Vec<&Row> = section.rows.iter().filter(visible).collect();
    for block in blocks(&shown) {
        let columns = Columns::new(&block, width, now);
        for row in block {
            lines.extend(field(row, columns, verbose));
        }
    }
    let mut remarks: Vec<Line> = Vec::new();
    let hidden = hidden_count(section.hidden.iter().filter(visible));
    remarks.extend(hidden.map(|text| Line::remark(2, text)));
    if section.rows.is_empty() && section.hidden.is_empty() {
        remarks.push(Line::remark(2, "no fields"));
    }
    let is_in_progress =
        |row: &Row| row.value.as_ref().and_then(in_progress).is_some_and(|count| count > 0.0);
    if head.state.has_ended() && shown.iter().any(|row| is_in_progress(row)) {
        remarks.push(Line::remark(2, AGES_OF_ENDED));
    }
    remarks.extend(self::remarks(head));
    if section.rows.iter().any(|row| row.lane.is_some()) {
        remarks.extend(threads(section));
    }
    lines.extend(remarks.iter().flat_map(|line| line.wrapped(width, 4)));
    lines
}

/// Remark about what was in progress when the program ended.
pub(crate) const AGES_OF_ENDED: &str =
    "ages count from each begin until this look, not until the end of the program";

/// Maximum number of threads that are listed.
const MAX_THREADS: usize = 200;

/// `thread 4711 worker: lanes [2] [1.4]`.
fn threads(section: &Section<'_>) -> Vec<Line> {
    let threads = section.threads.lanes();
    let line = |(thread, lanes): (&Thread, &Vec<(u32, u32)>)| {
        let lane = |(part, lane): &(u32, u32)| match part {
            0 => format!("[{lane}]"),
            part => format!("[{part}.{lane}]"),
        };
        let lanes: Vec<String> = lanes.iter().map(lane).collect();
        let id = thread.id.map_or_else(String::new, |id| format!(" {id}"));
        let name = thread.name.as_deref().map(escape::text).unwrap_or_default();
        let space = if name.is_empty() { "" } else { " " };
        let word = if lanes.len() == 1 { "lane" } else { "lanes" };
        Line::remark(2, format!("thread{id}{space}{name}: {word} {}", lanes.join(" ")))
    };
    threads.iter().take(MAX_THREADS).map(|(thread, lanes)| line((thread, lanes))).collect()
}

/// Remarks about what the program lacks, and its data besides fields.
fn remarks(head: &Head<'_>) -> Vec<Line> {
    let completeness = &head.completeness;
    let mut lines = Vec::new();
    if head.superseded {
        let text = "its counters, timers, histograms and averages are among the ended workers";
        lines.push(Line::remark(2, text.to_owned()));
    }
    if !completeness.is_complete() {
        let mut line = Line::new();
        line.plain("  ");
        line.push(style::BAD, format!("incomplete: {completeness}"));
        lines.push(line);
    }
    let refused = completeness.samples_refused;
    if refused > 0 {
        let samples = if refused == 1 { "sample was" } else { "samples were" };
        let refused = human::grouped(&refused.to_string());
        let why = "not finite, negative or too large";
        lines.push(Line::remark(2, format!("{refused} {samples} refused: {why}")));
    }
    if let Some(age) = completeness.mirror_age {
        let text = if head.state == FileState::Live {
            format!(
                "some values are copied from private memory, the oldest {} ago",
                human::age(age)
            )
        } else {
            "some values are as of a moment before its end".to_owned()
        };
        lines.push(Line::remark(2, text));
    }
    lines
}

/// The number of hidden fields, and the option that shows them.
fn hidden_count<'a>(hidden: impl Iterator<Item = &'a Row>) -> Option<String> {
    // A field that is not combined has a row for each lane, with the same attributes.
    let mut labels: Vec<_> = hidden
        .map(|row| (&*row.field.label, &*row.field.attributes, row.field.properties.level()))
        .collect();
    labels.sort_unstable_by_key(|(label, attributes, _)| (*label, *attributes));
    labels.dedup_by_key(|(label, attributes, _)| (*label, *attributes));
    // Standard fields of level info are hidden too, but only on level info.
    let max = labels.iter().map(|(.., level)| (*level).max(Level::Diagnostic)).max()?;
    let count = labels.len();
    Some(format!("{count} more field{}: --level {}", plural(count), max.name()))
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `web  pid 1234  live  up 3m 12s  /path`, on one line.
#[cfg(feature = "demo")]
pub(crate) fn header(program: &Program<'_>, now: SystemTime) -> Line {
    let head = Head::from_program(program, now);
    header_lines(&head, usize::MAX, now, &Paths::default()).pop().unwrap_or_default()
}

/// `web  pid 1234  live  up 3m 12s  /path`, broken between its items where it is wider than `width`.
pub(crate) fn header_lines(
    head: &Head<'_>,
    width: usize,
    now: SystemTime,
    paths: &Paths,
) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for item in header_items(head, now, paths) {
        match lines.last_mut() {
            Some(line) if line.width() + GAP + item.width() <= width => {
                line.plain(" ".repeat(GAP));
                line.append(item);
            }
            None => lines.push(item),
            Some(_) if GAP + item.width() <= width => {
                let mut line = Line::new();
                line.plain(" ".repeat(GAP));
                line.append(item);
                lines.push(line);
            }
            Some(_) => {
                let parts = wrapped_name(&item.text(), &['/', '-', ' '], width, GAP);
                lines.extend(parts.into_iter().map(|part| Line::styled(style::DIM, part)));
            }
        }
    }
    lines
}

/// Spaces between the items of a header.
const GAP: usize = 2;

fn header_items(head: &Head<'_>, now: SystemTime, paths: &Paths) -> Vec<Line> {
    let Head { identity, state, life, .. } = head;
    let plain = |text: String| Line::styled(anstyle::Style::new(), text);
    let mut items = vec![Line::styled(style::BOLD, escape::clip(&head_title(head), 40))];
    if let Some(pid) = head.process.or(identity.pid) {
        items.push(plain(format!("pid {pid}")));
    }
    items.push(Line::styled(state_style(*state), life.word()));
    let word = end_word(*state);
    match (life.end(), life.up()) {
        (Some(end @ End::About(at)), up) => {
            // Exact to a minute.
            let ago = human::about(now.duration_since(at).unwrap_or_default());
            let date = end_text(end).map_or_else(String::new, |date| format!(" ({date})"));
            items.push(plain(format!("{word} {ago} ago{date}")));
            items.extend(up.map(|up| plain(format!("was up {}", human::about(up)))));
        }
        (Some(end @ End::Before(_)), _) => {
            items.extend(end_text(end).map(|text| plain(format!("{word} {text}"))));
        }
        (None, up) => items.extend(up.map(|up| plain(format!("up {}", human::age(up))))),
    }
    #[cfg(feature = "record")]
    if let Source::Recorded(_) = head.source {
        items.extend(time::look(now).map(|time| plain(format!("at {time}"))));
    }
    if let Some(owner) = head.owner.filter(|owner| Some(*owner) != own_user()) {
        items.push(plain(format!("user {owner}")));
    }
    if let Some((first, more)) = head.paths.split_first() {
        items.push(Line::styled(style::DIM, paths.shown(first)));
        if !more.is_empty() {
            items.push(Line::styled(style::DIM, format!("and {} more", more.len())));
        }
    }
    items
}

/// `about 2026-11-29 21:35 UTC`, or `before 2026-11-29 21:35 UTC, when the file was copied`.
pub(crate) fn end_text(end: End) -> Option<String> {
    let date = time::minute(end.time())?;
    Some(match end {
        End::About(_) => format!("about {date}"),
        End::Before(_) => format!("before {date}, when the file was copied"),
    })
}

/// The user of this process; `None` on systems whose owners of files are no users.
pub(crate) fn own_user() -> Option<u32> {
    (!cfg!(windows)).then(|| crate::backend::directory::environment().user)
}

/// The command, or the name of the file if there is none.
pub(crate) fn title(program: &Program<'_>) -> String {
    let path = program.files().first().map(|file| file.path());
    let ledger = program.ledger().map(|ledger| &*ledger.application);
    title_of(program.identity(), ledger, path)
}

/// As [`title`].
pub(crate) fn head_title(head: &Head<'_>) -> String {
    title_of(head.identity, head.ledger, head.paths.first().map(PathBuf::as_path))
}

fn title_of(identity: &Identity, ledger: Option<&str>, path: Option<&Path>) -> String {
    if let Some(ledger) = ledger {
        return format!("ended workers of {}", escape::text(application(identity, ledger)));
    }
    match (identity.command.as_deref(), path) {
        (Some(command), _) if !command.is_empty() => escape::text(command).into_owned(),
        (_, Some(path)) => path.file_stem().map_or_else(|| "?".to_owned(), escape::os),
        _ => "?".to_owned(),
    }
}

/// The name of a ledger's application; that of the program if it is the identity of an instance.
fn application<'a>(identity: &'a Identity, name: &'a str) -> &'a str {
    let by_instance = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match identity.command.as_deref() {
        Some(command) if by_instance && !command.is_empty() => command,
        _ => name,
    }
}

pub(crate) const fn state_style(state: FileState) -> anstyle::Style {
    match state {
        FileState::Live => style::GOOD,
        FileState::Dead | FileState::Damaged => style::BAD,
        FileState::Closed | FileState::Ledger => style::DIM,
        _ => style::ODD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_count_counts_series_once() {
        let of = |label: &str, level| {
            Row::for_test(label, "", None)
                .with_field(|field| field.properties = field.properties.with_level(level))
        };
        let mut rows = vec![of("sys.pid", Level::Info)];
        let text = |rows: &[Row]| hidden_count(rows.iter());
        assert_eq!(text(&[]), None);
        assert_eq!(text(&rows).unwrap(), "1 more field: --level diagnostic");
        // Two lanes of one field, and another with the same label.
        rows.extend([0, 1].map(|lane| Row { lane: Some((0, lane)), ..of("a", Level::Debug) }));
        rows.push(of("b", Level::Diagnostic));
        assert_eq!(text(&rows).unwrap(), "3 more fields: --level debug");
        rows.push(of("a", Level::Info).with_field(|field| field.attributes = "k=v".into()));
        assert_eq!(text(&rows).unwrap(), "4 more fields: --level debug");
    }
}
