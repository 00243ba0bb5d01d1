//! Parts that the lists of the screen share.

use ratatui::layout::Alignment;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Cell;

use super::app::App;

/// A cell whose text stands at its right end.
pub(super) fn right<'a>(text: impl Into<String>) -> Cell<'a> {
    Cell::new(Line::from(text.into()).alignment(Alignment::Right))
}

/// The style of a line.
pub(super) fn line_style(app: &App, is_selected: bool) -> Style {
    if is_selected { app.theme.selected() } else { Style::new() }
}
