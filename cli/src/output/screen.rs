//! The terminal or pipe that standard output goes to.

use std::io::{self, IsTerminal as _};

use terminal_size::{Height, Width};

/// Standard output as a renderer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns and rows; `None` for a pipe or a file, where nothing is cut.
    pub(crate) size: Option<(usize, usize)>,
}

impl Screen {
    /// A pipe or a file.
    #[cfg(test)]
    pub(crate) const PIPE: Self = Self { size: None };

    /// Standard output as it is now.
    pub(crate) fn now() -> Self {
        if !io::stdout().is_terminal() {
            return Self { size: None };
        }
        let size = match terminal_size::terminal_size_of(io::stdout()) {
            Some((Width(columns), Height(rows))) if columns > 0 && rows > 0 => (columns, rows),
            _ => (80, 24),
        };
        Self { size: Some((size.0.into(), size.1.into())) }
    }

    pub(crate) const fn is_terminal(self) -> bool {
        self.size.is_some()
    }

    /// In columns; unlimited for a pipe.
    pub(crate) fn width(self) -> usize {
        self.size.map_or(usize::MAX, |(columns, _)| columns)
    }

    /// In rows.
    pub(crate) fn height(self) -> Option<usize> {
        self.size.map(|(_, rows)| rows)
    }
}
