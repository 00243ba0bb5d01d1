//! The locks of a program, those that threads wait for first.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::time::Duration;

use mmstats_history::{Moment, Program};
use mmstats_threads::{Lock, Report};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Span;
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::app::App;
use super::table::{line_style, right};
use super::{format, threads};
use crate::text::{escape, human};

/// The columns that fit into a width.
#[derive(Debug, Clone, Copy)]
struct Columns {
    held: bool,
    rate: bool,
    acquired: bool,
    readers: u16,
}

impl Columns {
    const fn new(width: u16) -> Self {
        let readers = match width {
            0..80 => 0,
            80..120 => 7,
            _ => 40,
        };
        Self { held: width >= 50, rate: width >= 60, acquired: width >= 80, readers }
    }

    fn heads(self) -> (Vec<Cell<'static>>, Vec<Constraint>) {
        let mut heads = vec![Cell::new("LOCK"), Cell::new("HOLDER")];
        let mut widths = vec![Constraint::Fill(1), Constraint::Fill(1)];
        if self.held {
            heads.push(right("HELD"));
            widths.push(Constraint::Length(8));
        }
        if self.acquired {
            heads.push(right("ACQUIRED"));
            widths.push(Constraint::Length(9));
        }
        if self.rate {
            heads.push(right("PER SEC"));
            widths.push(Constraint::Length(7));
        }
        heads.push(right("WAITING"));
        widths.push(Constraint::Length(11));
        if self.readers > 0 {
            heads.push(Cell::new("READERS"));
            widths.push(Constraint::Length(self.readers));
        }
        (heads, widths)
    }
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    app: &mut App,
    program: &Program,
    at: Moment,
    area: Rect,
) {
    let dim = app.theme.dim();
    let text =
        |text: Cow<'static, str>| Paragraph::new(Span::styled(text, dim)).wrap(Wrap { trim: true });
    let Some((report, before)) = app.processes.report_at(program.key, at) else {
        return frame.render_widget(text(threads::not_looked(app, program, at)), area);
    };
    if report.locks.is_empty() {
        let why = if report.publishes.locks {
            "no locks"
        } else {
            "it does not publish its locks (mmstats::sync)"
        };
        return frame.render_widget(text(why.into()), area);
    }
    let mut locks: Vec<&Lock> = report.locks.iter().collect();
    locks.sort_by_cached_key(|lock| {
        (lock.waiting.is_empty(), Reverse(longest(&report, lock)), lock.number)
    });
    let visible = usize::from(area.height.saturating_sub(1));
    let mut position = app.locks;
    position.fit(locks.len(), visible);
    let columns = Columns::new(area.width);
    let shown = locks.into_iter().enumerate().skip(position.first).take(visible);
    let lines = shown.map(|(index, lock)| {
        Row::new(cells(app, columns, (&report, before.as_deref()), lock))
            .style(line_style(app, index == position.selected))
    });
    let (heads, widths) = columns.heads();
    let table = Table::new(lines, widths).header(Row::new(heads).style(dim)).column_spacing(1);
    frame.render_widget(table, area);
    app.locks = position;
}

/// How long the first thread that waits has waited.
fn longest(report: &Report, lock: &Lock) -> Option<Duration> {
    let first = lock.waiting.first()?;
    Some(report.age(report.thread(*first)?.wait.as_ref()?.since?))
}

fn cells(
    app: &App,
    columns: Columns,
    (report, before): (&Report, Option<&Report>),
    lock: &Lock,
) -> Vec<Cell<'static>> {
    let title = |id: u64| escape::text(&report.title(id)).into_owned();
    let holder = match (lock.holder, lock.readers.as_slice()) {
        (Some(holder), _) => title(holder),
        (None, []) => "-".to_owned(),
        (None, [one]) => title(*one),
        (None, readers) => format!("{} readers", readers.len()),
    };
    let mut cells = vec![Cell::new(escape::text(&lock.name).into_owned()), Cell::new(holder)];
    if columns.held {
        // Since the first thread that had to wait.
        let held = report.held(lock).map(|held| format!(">{}", human::age(held)));
        cells.push(right(human::or_dash(held)));
    }
    if columns.acquired {
        #[allow(clippy::cast_precision_loss)] // Shown with three digits.
        cells.push(right(human::compact(lock.acquired as f64)));
    }
    if columns.rate {
        cells.push(right(human::or_dash(rate(report, before, lock).map(human::compact))));
    }
    let waiting = match (lock.waiting.len(), longest(report, lock)) {
        (count, None) => count.to_string(),
        (count, Some(longest)) => format!("{count}, {}", human::age(longest)),
    };
    let style = if lock.waiting.is_empty() { app.theme.dim() } else { app.theme.odd() };
    cells.push(right(waiting).style(style));
    if columns.readers > 0 {
        let readers = match (lock.readers.len(), columns.readers) {
            (0, _) => String::new(),
            (count, ..40) => count.to_string(),
            (count, _) => {
                let names: Vec<String> = lock.readers.iter().copied().map(title).collect();
                format!("{count}: {}", names.join(", "))
            }
        };
        cells.push(Cell::new(format::clip(&readers, columns.readers)));
    }
    cells
}

/// Acquisitions for each second since the look before.
fn rate(report: &Report, before: Option<&Report>, lock: &Lock) -> Option<f64> {
    let before = before?;
    let then = before.lock(lock.number)?.acquired;
    let time = report.age(before.at).as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // Shown with three digits.
    let gained = lock.acquired.checked_sub(then)? as f64;
    (time > 0.0).then(|| gained / time)
}
