//! The list of keys.

/// Keys and what they do.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("up down PgUp PgDn", "select a line; also j k g G, Home, End, the wheel"),
    ("Enter", "open a program; details of a field; fold a group"),
    ("Esc", "back"),
    ("Tab, 1 to 7", "fields, histograms, chart, threads, events, details, locks"),
    ("/", "search as you type; Enter keeps it, Esc ends it"),
    ("space", "freeze; looking goes on; once more: now"),
    ("left right", "1 s back or forward, with Shift 10 s; , and . 60 s"),
    ("+ -", "span of charts and sparklines"),
    ("s r", "next order; reverse it"),
    ("l", "level: info, diagnostic, debug with sys. fields"),
    ("u", "unfold the lanes (threads) of a field"),
    ("m M", "mark a field for the chart; unmark all"),
    ("p", "looks at marked fields: 10, 100, 1,000 a second"),
    ("d", "compare with this moment, or with the selected program"),
    ("f", "fold or unfold a group"),
    ("y", "copy the exact value"),
    ("? q", "this list; end"),
];
