//! Prints entries: for a terminal, for a pipe, or as JSON.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use mmstats_observe::FileState;

use super::rings::{Content, Entry, Ring};
use crate::json::write_line;
use crate::output::{Line, Output, Screen, style};
use crate::text::{escape, human};

/// Maximum width of the program on a terminal.
const MAX_PROGRAM: usize = 24;

/// Spaces before the rows that continue a line.
const HANG: usize = 4;

/// Prints entries; the day and the width of columns are those of the last one.
pub(crate) struct Printer {
    json: bool,
    screen: Screen,
    zone: TimeZone,
    /// Day and zone of the last line.
    day: Option<(Date, String)>,
    /// Width of the program.
    width: usize,
}

impl Printer {
    pub(crate) fn new(json: bool, screen: Screen) -> Self {
        Self { json, screen, zone: TimeZone::system(), day: None, width: 0 }
    }

    /// On a terminal, prints the number of lines that are lost before the first one.
    pub(crate) fn overwritten(&self, lines: u64, output: &mut Output) -> io::Result<()> {
        if lines == 0 || self.json || !self.screen.is_terminal() {
            return Ok(());
        }
        let line = Line::styled(style::DIM, format!("{} overwritten before", count(lines)));
        writeln!(output, "{}", line.render(usize::MAX))
    }

    pub(crate) fn print(&mut self, entries: &[Entry], output: &mut Output) -> io::Result<()> {
        let widths = entries.iter().map(|entry| escape::width(&program(&entry.ring)));
        self.width = widths.max().unwrap_or(0).min(MAX_PROGRAM).max(self.width);
        for entry in entries {
            if self.json {
                write_line(output, entry)?;
            } else if self.screen.is_terminal() {
                // Not cut: a long line takes further rows.
                for line in self.lines(entry) {
                    for row in line.wrapped(self.screen.width(), HANG) {
                        writeln!(output, "{}", row.render(usize::MAX))?;
                    }
                }
            } else if let Content::Lost { lost } = entry.content {
                output.note(&format!("{}: {} lost", program(&entry.ring), count(lost.into())));
            } else {
                writeln!(output, "{}", piped(entry))?;
            }
        }
        Ok(())
    }

    /// `12:34:56.789  web[1234]  text`; before it a line with day and zone, if one changes.
    fn lines(&mut self, entry: &Entry) -> Vec<Line> {
        let time = timestamp(entry.time).map(|time| time.to_zoned(self.zone.clone()));
        let mut lines = Vec::new();
        let day = time.as_ref().map(|time| (time.date(), time.strftime("%Z").to_string()));
        if let Some((date, zone)) = day.as_ref().filter(|day| self.day.as_ref() != Some(*day)) {
            lines.push(Line::styled(style::DIM, format!("{date} {zone}")));
            self.day = day;
        }
        let mut line = Line::new();
        let text = time.map(|time| time.strftime("%H:%M:%S.%3f").to_string());
        line.push(style::DIM, text.unwrap_or_else(|| entry.time.to_string()));
        line.plain("  ");
        let start = line.width();
        let dead = matches!(entry.ring.state, FileState::Dead | FileState::Damaged);
        let style = if dead { style::BAD } else { style::GOOD };
        line.push(style, escape::clip(&program(&entry.ring), MAX_PROGRAM));
        line.pad_to(start + self.width);
        line.plain("  ");
        match &entry.content {
            Content::Line { text, cut } => {
                line.plain(escape::text(text));
                if *cut {
                    line.push(style::DIM, " (cut)");
                }
            }
            Content::Damaged { code, .. } => line.push(style::BAD, format!("damaged: {code}")),
            Content::Lost { lost } => {
                line.push(style::ODD, format!("{} lost", count((*lost).into())));
            }
        }
        lines.push(line);
        lines
    }
}

/// `TIME TAB PID TAB COMMAND TAB LABEL TAB LANE TAB TEXT`.
fn piped(entry: &Entry) -> String {
    let ring = &entry.ring;
    let time = timestamp(entry.time);
    let time = time.map_or_else(|| entry.time.to_string(), |time| format!("{time:.9}"));
    let pid = human::or_dash(ring.pid);
    let command = escape::text(ring.command.as_deref().unwrap_or("-"));
    let (label, lane) = (escape::text(&ring.label), lane(ring));
    let text = match &entry.content {
        Content::Line { text, .. } => escape::text(text),
        Content::Damaged { code, .. } => format!("damaged: {code}").into(),
        Content::Lost { lost } => format!("{} lost", count((*lost).into())).into(),
    };
    format!("{time}\t{pid}\t{command}\t{label}\t{lane}\t{text}")
}

fn lane(ring: &Ring) -> String {
    match ring.part {
        0 => ring.lane.to_string(),
        part => format!("{part}.{}", ring.lane),
    }
}

/// `web[1234]`.
fn program(ring: &Ring) -> String {
    let command = escape::text(ring.command.as_deref().filter(|c| !c.is_empty()).unwrap_or("?"));
    ring.pid.map_or_else(|| command.to_string(), |pid| format!("{command}[{pid}]"))
}

fn count(lines: u64) -> String {
    let word = if lines == 1 { "line" } else { "lines" };
    format!("{} {word}", human::grouped(&lines.to_string()))
}

fn timestamp(nanoseconds: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into()).ok()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::json::JsonPath;

    fn entry(time: u64, content: Content) -> Entry {
        let ring = Ring {
            command: Some("web\u{1b}".into()),
            pid: Some(7),
            state: FileState::Dead,
            label: "log".into(),
            part: 1,
            lane: 2,
            path: JsonPath::Text("/x".into()),
        };
        Entry { ring: Rc::new(ring), time, number: 9, content }
    }

    fn line(text: &str, cut: bool) -> Content {
        Content::Line { text: text.into(), cut }
    }

    #[test]
    fn lines_show_day_when_it_changes() {
        let screen = Screen { size: Some((80, 24)) };
        let mut printer =
            Printer { json: false, screen, zone: TimeZone::UTC, day: None, width: 14 };
        let mut text = |entry: &Entry| -> Vec<String> {
            printer.lines(entry).iter().map(|line| line.unstyled(usize::MAX)).collect()
        };
        assert_eq!(
            text(&entry(1_999_000_000, line("a\u{1b}[2J\nb", false))),
            ["1970-01-01 UTC", "00:00:01.999  web\\u{1b}[7]    a\\u{1b}[2J\\nb"]
        );
        let next = 24 * 3600 * 1_000_000_000;
        let want = ["1970-01-02 UTC", "00:00:00.000  web\\u{1b}[7]    x (cut)"];
        assert_eq!(text(&entry(next, line("x", true))), want);
        let want = ["00:00:00.001  web\\u{1b}[7]    1,234 lines lost"];
        assert_eq!(text(&entry(next + 1_000_000, Content::Lost { lost: 1234 })), want);
        // A time that does not exist.
        assert_eq!(text(&entry(u64::MAX, line("", false))).len(), 2);
    }

    #[test]
    fn piped_and_json_times_are_exact() {
        let damaged = Content::Damaged { text: (), code: "value-utf8" };
        assert_eq!(
            piped(&entry(1_000_000_001, line("a\tb", true))),
            "1970-01-01T00:00:01.000000001Z\t7\tweb\\u{1b}\tlog\t1.2\ta\\tb"
        );
        let json = |content| serde_json::to_string(&entry(u64::MAX, content)).unwrap();
        let head = r#"{"time":18446744073709551615,"time_text":"18446744073709551615","pid":7,"command":"web\u001b","path":"/x","label":"log","part":1,"lane":2,"number":9,"#;
        assert_eq!(json(line("a", true)), format!(r#"{head}"text":"a","cut":true}}"#));
        assert_eq!(json(damaged), format!(r#"{head}"text":null,"code":"value-utf8"}}"#));
        assert_eq!(json(Content::Lost { lost: 3 }), format!(r#"{head}"lost":3}}"#));
    }
}
