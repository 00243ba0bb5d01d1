//! Keys and the mouse.

use std::sync::Arc;
use std::time::Duration;

use mmstats_observe::Level;
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::app::{Against, App, FieldOrder, Order, PACES, Place, Position, Tab};
use super::tree::Item;
use super::{format, programs};
use crate::value::to_plain;

/// Spans of charts.
const SPANS: [u64; 8] = [10, 60, 300, 600, 1_800, 3_600, 10_800, 21_600];
/// Maximum length of a search, in characters.
const MAX_SEARCH: usize = 200;

pub(super) fn key(app: &mut App, key: KeyEvent) {
    if key.kind == KeyEventKind::Release {
        return;
    }
    refresh(app);
    app.opens_only = false;
    app.message = None;
    app.hint = None;
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        match key.code {
            KeyCode::Char('c') => app.end(),
            KeyCode::Char('u') if app.searching => app.filter.text.clear(),
            KeyCode::Char('d') => step(app, 10),
            KeyCode::Char('u') => step(app, -10),
            _ => {}
        }
        return;
    }
    if app.searching {
        return search(app, key.code);
    }
    if let Some(top) = app.help_scroll {
        app.help_scroll = match key.code {
            KeyCode::Down | KeyCode::Char('j' | ' ') | KeyCode::PageDown => Some(top + 1),
            KeyCode::Up | KeyCode::Char('k') | KeyCode::PageUp => Some(top.saturating_sub(1)),
            _ => None,
        };
        return;
    }
    let page = isize::try_from(position(app).visible.saturating_sub(1)).unwrap_or(20).max(1);
    match key.code {
        KeyCode::Char('q') => app.end(),
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => app.help_scroll = Some(0),
        KeyCode::Char('/') => app.searching = true,
        KeyCode::Char(' ') => freeze(app),
        KeyCode::Left => rewind(app, key.modifiers, -1),
        KeyCode::Right => rewind(app, key.modifiers, 1),
        KeyCode::Char(',') => back(app, Duration::from_secs(60)),
        KeyCode::Char('.') => forward(app, Duration::from_secs(60)),
        KeyCode::Up | KeyCode::Char('k') => step(app, -1),
        KeyCode::Down | KeyCode::Char('j') => step(app, 1),
        KeyCode::PageUp => step(app, -page),
        KeyCode::PageDown => step(app, page),
        KeyCode::Home | KeyCode::Char('g') => step(app, isize::MIN / 2),
        KeyCode::End | KeyCode::Char('G') => step(app, isize::MAX / 2),
        KeyCode::Esc | KeyCode::Backspace => leave(app),
        KeyCode::Enter => enter(app),
        KeyCode::Tab => tab(app, 1),
        KeyCode::BackTab => tab(app, Tab::ALL.len() - 1),
        KeyCode::Char('+' | '=') => span(app, 1),
        KeyCode::Char('-') => span(app, -1),
        KeyCode::Char('s') => sort(app),
        KeyCode::Char('r') => app.reversed = !app.reversed,
        KeyCode::Char('l') => level(app),
        KeyCode::Char('u') => unfold(app),
        KeyCode::Char('m') => mark(app),
        KeyCode::Char('M') => unmark(app),
        KeyCode::Char('p') => pace(app),
        KeyCode::Char('d') => compare(app),
        KeyCode::Char('y') => copy(app),
        KeyCode::Char('f') => fold(app),
        KeyCode::Char(c @ '1'..='7') if app.place != Place::Programs => {
            let index = c.to_digit(10).unwrap_or(1) as usize - 1;
            app.tab = Tab::ALL.get(index).copied().unwrap_or(app.tab);
        }
        _ => {}
    }
}

/// Brings the lists up to date with the keys before: several may come between two frames.
fn refresh(app: &mut App) {
    let (sampler, at) = (Arc::clone(&app.sampler), app.now());
    sampler.read(|history| match app.place {
        Place::Programs => {
            if app.needs_rows(app.spark) {
                let rows = programs::rows(app, history, at, app.spark);
                app.set_rows(rows);
            }
        }
        Place::Program(key) => {
            if let Some(program) = history.program(key) {
                app.refresh_lines(program, at);
            }
        }
    });
}

/// The list that keys and the mouse move in.
fn position(app: &mut App) -> &mut Position {
    match (app.place, app.tab) {
        (Place::Programs, _) => &mut app.programs,
        (Place::Program(_), Tab::Histograms) => &mut app.histograms,
        (Place::Program(_), Tab::Threads) => &mut app.threads,
        (Place::Program(_), Tab::Locks) => &mut app.locks,
        (Place::Program(_), _) => &mut app.fields,
    }
}

pub(super) fn mouse(app: &mut App, mouse: MouseEvent) {
    match mouse.kind {
        MouseEventKind::ScrollUp => step(app, -3),
        MouseEventKind::ScrollDown => step(app, 3),
        MouseEventKind::Down(_) if app.help_scroll.is_some() => app.help_scroll = None,
        MouseEventKind::Down(MouseButton::Left) => click(app, mouse.column, mouse.row),
        _ => {}
    }
}

fn click(app: &mut App, column: u16, row: u16) {
    if app.place != Place::Programs && row == app.tabs.0 {
        let found = app.tabs.1.iter().find(|(columns, _)| columns.contains(&column));
        app.tab = found.map_or(app.tab, |(_, tab)| *tab);
        return;
    }
    let Some(row) = row.checked_sub(app.list_top) else { return };
    let len = match (app.place, app.tab) {
        (Place::Programs, _) => app.shown_programs.len(),
        (Place::Program(_), Tab::Fields) => app.shown_fields.len(),
        (Place::Program(_), Tab::Histograms) => app.shown_histograms.len(),
        (Place::Program(_), _) => return,
    };
    let position = position(app);
    let line = position.first + usize::from(row);
    if line >= len || usize::from(row) >= position.visible {
        return;
    }
    if position.selected == line {
        enter(app);
    } else {
        position.selected = line;
    }
}

fn search(app: &mut App, code: KeyCode) {
    match code {
        KeyCode::Enter => app.searching = false,
        KeyCode::Esc => {
            app.searching = false;
            app.filter.text.clear();
        }
        KeyCode::Backspace => {
            app.filter.text.pop();
        }
        KeyCode::Up => step(app, -1),
        KeyCode::Down => step(app, 1),
        KeyCode::Char(c) if app.filter.text.chars().count() < MAX_SEARCH => {
            app.filter.text.extend(c.to_lowercase());
        }
        _ => {}
    }
}

fn step(app: &mut App, by: isize) {
    if app.place != Place::Programs && app.tab == Tab::Events {
        app.events = app.events.saturating_add_signed(-by);
    } else {
        position(app).step(by);
    }
}

fn freeze(app: &mut App) {
    if app.is_recording() {
        let text = "a recording stands still: the arrow keys go back and forward in time";
        app.message = Some(text.to_owned());
        app.frozen = None;
        return;
    }
    app.frozen = match app.frozen {
        Some(_) => None,
        None => Some(app.now()),
    };
}

fn rewind(app: &mut App, modifiers: KeyModifiers, direction: i8) {
    let time = Duration::from_secs(if modifiers.contains(KeyModifiers::SHIFT) { 10 } else { 1 });
    if direction < 0 { back(app, time) } else { forward(app, time) }
}

fn back(app: &mut App, time: Duration) {
    app.frozen = Some(app.now().before(time));
}

/// Moves the moment towards now; at now the screen is live again.
fn forward(app: &mut App, time: Duration) {
    let live = app.sampler.clock().now();
    app.frozen = app.frozen.map(|at| at.after(time)).filter(|at| *at < live);
}

fn leave(app: &mut App) {
    if !app.filter.text.is_empty() {
        app.filter.text.clear();
    } else if app.tab != Tab::Fields && app.place != Place::Programs {
        app.tab = Tab::Fields;
    } else if app.against.is_some() && app.place != Place::Programs {
        app.against = None;
    } else {
        app.place = Place::Programs;
    }
}

fn enter(app: &mut App) {
    match app.place {
        Place::Programs => {
            if let Some(key) = app.selected_program() {
                app.place = Place::Program(key);
                (app.tab, app.events) = (Tab::Fields, 0);
                (app.fields, app.histograms) = Default::default();
                (app.threads, app.locks) = Default::default();
                app.filter.text.clear();
            }
        }
        Place::Program(_) => match (app.tab, app.selected_item()) {
            (Tab::Fields, Some(Item::Group { .. })) => fold(app),
            (Tab::Fields, Some(_)) => app.tab = Tab::Details,
            _ => {}
        },
    }
}

/// Folds or unfolds a group; on a field the group around it.
fn fold(app: &mut App) {
    let Some(node) = app.shown_fields.get(app.fields.selected) else { return };
    let depth = node.depth;
    let above = app.shown_fields.iter().take(app.fields.selected + 1).enumerate().rev();
    let group =
        above.filter(|(_, node)| node.depth <= depth).find_map(|(at, node)| match &node.item {
            Item::Group { path, folded, .. } if node.depth < depth || at == app.fields.selected => {
                Some((at, path.clone(), *folded))
            }
            _ => None,
        });
    if let Some((at, path, folded)) = group {
        app.fields.selected = at;
        if folded {
            app.folded.remove(&path);
        } else {
            app.folded.insert(path);
        }
    }
}

/// Shows the lanes of the selected field, or no longer.
fn unfold(app: &mut App) {
    if app.is_recording() {
        app.message = Some("a recording has no single lanes".to_owned());
        return;
    }
    let field = app.with_selected_field(|program, field| (program.key, field.info.key()));
    let Some(field) = field else { return };
    if let Some(at) = app.unfolded.iter().position(|other| *other == field) {
        app.unfolded.remove(at);
    } else {
        app.unfolded.push(field);
        app.message = Some("lanes are looked at from now on".to_owned());
    }
}

fn tab(app: &mut App, by: usize) {
    if app.place == Place::Programs {
        return;
    }
    let at = Tab::ALL.iter().position(|tab| *tab == app.tab).unwrap_or(0);
    app.tab = Tab::ALL[(at + by) % Tab::ALL.len()];
}

fn span(app: &mut App, by: isize) {
    let at = SPANS.iter().position(|span| *span >= app.span.as_secs()).unwrap_or(0);
    let at = at.saturating_add_signed(by).min(SPANS.len() - 1);
    app.span = Duration::from_secs(SPANS[at]);
}

fn sort(app: &mut App) {
    let name = if app.place == Place::Programs {
        let at = Order::ALL.iter().position(|order| *order == app.order).unwrap_or(0);
        app.order = Order::ALL[(at + 1) % Order::ALL.len()];
        app.order.name()
    } else {
        let at = FieldOrder::ALL.iter().position(|order| *order == app.field_order).unwrap_or(0);
        app.field_order = FieldOrder::ALL[(at + 1) % FieldOrder::ALL.len()];
        app.field_order.name()
    };
    app.message = Some(format!("sorted by {name}; s: next order, r: reverse"));
}

fn level(app: &mut App) {
    app.filter.level = match app.filter.level {
        Level::Info => Level::Diagnostic,
        Level::Diagnostic => Level::Debug,
        _ => Level::Info,
    };
    app.message = Some(format!("fields up to level {}", app.filter.level.name()));
}

/// Adds the selected field to the chart, or takes it away.
fn mark(app: &mut App) {
    let mark = app.with_selected_field(|program, field| (program.key, field.info.key()));
    let Some(mark) = mark else { return };
    let preferred = if let Some(at) = app.marks.iter().position(|other| *other == mark) {
        app.marks.remove(at);
        false
    } else {
        app.marks.push(mark.clone());
        true
    };
    // Its past is kept longest.
    app.sampler.read(|history| {
        if let Some(program) = history.program_mut(mark.0) {
            program.prefer(&mark.1, preferred);
        }
    });
    let count = app.marks.len();
    app.message = Some(match count {
        1 => "1 field in the chart (3)".to_owned(),
        _ => format!("{count} fields in the chart (3)"),
    });
}

fn unmark(app: &mut App) {
    let marks = std::mem::take(&mut app.marks);
    app.sampler.read(|history| {
        for (program, field) in &marks {
            if let Some(program) = history.program_mut(*program) {
                program.prefer(field, false);
            }
        }
    });
    app.message = Some("no field is marked".to_owned());
}

/// Changes how often marked fields are looked at.
fn pace(app: &mut App) {
    if app.is_recording() {
        app.message = Some("a recording is not looked at any more".to_owned());
        return;
    }
    app.pace = (app.pace + 1) % PACES.len();
    let every = PACES[app.pace].as_secs_f64();
    app.message = Some(format!("marked fields are looked at {:.0} times a second", 1.0 / every));
}

/// Compares with the selected program, or with the moment that is shown; once more ends it.
fn compare(app: &mut App) {
    app.against = match (app.against, app.place) {
        (Some(_), _) => None,
        (None, Place::Programs) => app.selected_program().map(Against::Program),
        (None, Place::Program(_)) => Some(Against::Moment(app.now())),
    };
    app.message = Some(match app.against {
        None => "compared with nothing".to_owned(),
        Some(Against::Moment(moment)) => {
            let time = format::time_of_day(app.sampler.clock().time_of_day(moment));
            format!("compared with {time}: d ends it")
        }
        Some(Against::Program(key)) => {
            let name = app.sampler.read(|history| history.program(key).map(programs::name));
            let name = name.unwrap_or_else(|| "this program".to_owned());
            format!("compared with {name}: open another one; d ends it")
        }
    });
}

fn copy(app: &mut App) {
    let at = app.now();
    let text = app.with_selected_field(|_, field| field.value_at(at).map(|value| to_plain(&value)));
    match text.flatten() {
        Some(text) => app.copy(text),
        None => app.message = Some("no value to copy: select a field that has one".to_owned()),
    }
}
