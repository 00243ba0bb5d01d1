//! Lines of events as text and as JSON.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use mmstats_observe::State;
use serde::Serialize;

use super::rings::{Entry, Ring, What};
use crate::output::{Line, Output, Screen, style};
use crate::render::document::PathText;
use crate::{escape, human, json};

/// For the program on a terminal.
const WIDEST: usize = 24;

/// Prints entries, and remembers what the last one was printed with.
pub(crate) struct Printer {
    json: bool,
    screen: Screen,
    zone: TimeZone,
    /// Of the last line on a terminal.
    day: Date,
    width: usize,
}

impl Printer {
    pub(crate) fn new(json: bool, screen: Screen) -> Self {
        let zone = TimeZone::system();
        let day = Timestamp::now().to_zoned(zone.clone()).date();
        Self { json, screen, zone, day, width: 0 }
    }

    /// Says to a person how many lines are missing before the first one.
    pub(crate) fn overwritten(&self, lines: u64, output: &mut Output) -> io::Result<()> {
        if lines == 0 || self.json || !self.screen.is_terminal() {
            return Ok(());
        }
        let mut line = Line::new();
        line.push(style::DIM, format!("{} overwritten before", count(lines)));
        writeln!(output, "{}", line.render(usize::MAX))
    }

    pub(crate) fn print(&mut self, entries: &[Entry], output: &mut Output) -> io::Result<()> {
        let widths = entries.iter().map(|entry| escape::width(&program(&entry.ring)));
        self.width = widths.max().unwrap_or(0).min(WIDEST).max(self.width);
        for entry in entries {
            if self.json {
                json::line(output, &document(entry))?;
            } else if self.screen.is_terminal() {
                for line in self.lines(entry) {
                    // A line that is too long for the terminal is worth a second row.
                    writeln!(output, "{}", line.render(usize::MAX))?;
                }
            } else if let What::Lost(lines) = entry.what {
                output.note(&format!("{}: {} lost", program(&entry.ring), count(lines.into())));
            } else {
                writeln!(output, "{}", piped(entry))?;
            }
        }
        Ok(())
    }

    /// `12:34:56.789  web[1234]  text`, after a line with the day where that changes.
    fn lines(&mut self, entry: &Entry) -> Vec<Line> {
        let time = timestamp(entry.time).map(|time| time.to_zoned(self.zone.clone()));
        let mut lines = Vec::new();
        if let Some(day) = time.as_ref().map(jiff::Zoned::date).filter(|day| *day != self.day) {
            let mut line = Line::new();
            line.push(style::DIM, day.to_string());
            lines.push(line);
            self.day = day;
        }
        let mut line = Line::new();
        let text = time.map(|time| time.strftime("%H:%M:%S.%3f").to_string());
        line.push(style::DIM, text.unwrap_or_else(|| entry.time.to_string()));
        line.plain("  ");
        let start = line.width();
        let dead = matches!(entry.ring.state, State::Dead | State::Damaged);
        let style = if dead { style::BAD } else { style::GOOD };
        line.push(style, escape::clip(&program(&entry.ring), WIDEST));
        line.pad_to(start + self.width);
        line.plain("  ");
        match &entry.what {
            What::Line { text, cut } => {
                line.plain(escape::text(text));
                if *cut {
                    line.push(style::DIM, " (cut)");
                }
            }
            What::Damaged { code } => line.push(style::BAD, format!("damaged: {code}")),
            What::Lost(lines) => {
                line.push(style::ODD, format!("{} lost", count((*lines).into())));
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
    let pid = ring.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let command = escape::text(ring.command.as_deref().unwrap_or("-"));
    let (label, lane) = (escape::text(&ring.label), lane(ring));
    let text = match &entry.what {
        What::Line { text, .. } => escape::text(text),
        What::Damaged { code } => format!("damaged: {code}").into(),
        What::Lost(lines) => format!("{} lost", count((*lines).into())).into(),
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

/// A line of `mmstats events --json`.
#[derive(Serialize)]
struct Document<'a> {
    time: u64,
    pid: Option<u32>,
    command: Option<&'a str>,
    path: &'a PathText,
    label: &'a str,
    #[serde(skip_serializing_if = "is_first")]
    part: u32,
    lane: u32,
    number: u32,
    #[serde(flatten)]
    what: WhatDocument<'a>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's way.
const fn is_first(part: &u32) -> bool {
    *part == 0
}

#[derive(Serialize)]
#[serde(untagged)]
enum WhatDocument<'a> {
    Line { text: &'a str, cut: bool },
    Damaged { text: Option<&'a str>, code: &'a str },
    Lost { lost: u32 },
}

fn document(entry: &Entry) -> Document<'_> {
    let ring = &*entry.ring;
    Document {
        time: entry.time,
        pid: ring.pid,
        command: ring.command.as_deref(),
        path: &ring.path,
        label: &ring.label,
        part: ring.part,
        lane: ring.lane,
        number: entry.number,
        what: match &entry.what {
            What::Line { text, cut } => WhatDocument::Line { text, cut: *cut },
            What::Damaged { code } => WhatDocument::Damaged { text: None, code },
            What::Lost(lines) => WhatDocument::Lost { lost: *lines },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn entry(time: u64, what: What) -> Entry {
        let ring = Ring {
            command: Some("web\u{1b}".into()),
            pid: Some(7),
            state: State::Dead,
            label: "log".into(),
            part: 1,
            lane: 2,
            path: PathText::Text("/x".into()),
        };
        Entry { ring: Rc::new(ring), time, number: 9, what }
    }

    fn line(text: &str, cut: bool) -> What {
        What::Line { text: text.into(), cut }
    }

    #[test]
    fn a_terminal_gets_the_day_where_it_changes() {
        let screen = Screen { size: Some((80, 24)) };
        let day = Date::constant(1970, 1, 1);
        let mut printer = Printer { json: false, screen, zone: TimeZone::UTC, day, width: 14 };
        let mut text = |entry: &Entry| -> Vec<String> {
            let lines = printer.lines(entry);
            let plain =
                |line: &Line| anstream::adapter::strip_str(&line.render(usize::MAX)).to_string();
            lines.iter().map(plain).collect()
        };
        assert_eq!(
            text(&entry(1_999_000_000, line("a\u{1b}[2J\nb", false))),
            ["00:00:01.999  web\\u{1b}[7]    a\\u{1b}[2J\\nb"]
        );
        let next = 24 * 3600 * 1_000_000_000;
        let want = ["1970-01-02", "00:00:00.000  web\\u{1b}[7]    x (cut)"];
        assert_eq!(text(&entry(next, line("x", true))), want);
        let want = ["00:00:00.001  web\\u{1b}[7]    1,234 lines lost"];
        assert_eq!(text(&entry(next + 1_000_000, What::Lost(1234))), want);
        // Whatever the file says.
        assert_eq!(text(&entry(u64::MAX, line("", false))).len(), 2);
    }

    #[test]
    fn machines_get_exact_times() {
        let damaged = What::Damaged { code: "value-utf8" };
        assert_eq!(
            piped(&entry(1_000_000_001, line("a\tb", true))),
            "1970-01-01T00:00:01.000000001Z\t7\tweb\\u{1b}\tlog\t1.2\ta\\tb"
        );
        let json = |what| serde_json::to_string(&document(&entry(u64::MAX, what))).unwrap();
        let head = r#"{"time":18446744073709551615,"pid":7,"command":"web\u001b","path":"/x","label":"log","part":1,"lane":2,"number":9,"#;
        assert_eq!(json(line("a", true)), format!(r#"{head}"text":"a","cut":true}}"#));
        assert_eq!(json(damaged), format!(r#"{head}"text":null,"code":"value-utf8"}}"#));
        assert_eq!(json(What::Lost(3)), format!(r#"{head}"lost":3}}"#));
    }
}
