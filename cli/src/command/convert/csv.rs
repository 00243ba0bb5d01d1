//! Recordings as CSV: RFC 4180.

use std::io::{self, Write as _};
use std::time::UNIX_EPOCH;

use mmstats_recording::{RecordedProgram, State};

use crate::model::recorded::name;
use crate::model::row;
use crate::output::Output;
use crate::text::{escape, time};
use crate::value::to_plain;

pub(super) fn head(output: &mut Output) -> io::Result<()> {
    write!(output, "time,program,field,attributes,value\r\n")
}

/// A row for each field.
pub(super) fn rows(
    state: &State,
    programs: &[&RecordedProgram],
    output: &mut Output,
) -> io::Result<()> {
    let since = state.time().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let time = i128::try_from(since).ok().and_then(time::milliseconds).unwrap_or_default();
    for program in programs.iter().filter(|program| !program.look().condition.is_gone()) {
        let name = quoted(&name(program));
        for row in row::recorded(program.totals()) {
            let lane = match row.lane {
                None => String::new(),
                Some((0, lane)) => format!("[{lane}]"),
                Some((part, lane)) => format!("[{part}.{lane}]"),
            };
            let field = quoted(&format!("{}{lane}", escape::text(&row.field.label)));
            let pair = |(key, value): (&str, &str)| {
                format!("{}=\"{}\"", escape::text(key), escape::text(value).replace('"', "\\\""))
            };
            let attributes: Vec<String> = row.field.attributes().map(pair).collect();
            let attributes = quoted(&attributes.join(","));
            let value = quoted(&row.whole().map_or_else(String::new, to_plain));
            write!(output, "{time},{name},{field},{attributes},{value}\r\n")?;
        }
    }
    Ok(())
}

/// The text, in quotes where they are needed.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_doubles_quotes() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted("a=\"b\",c"), "\"a=\"\"b\"\",c\"");
    }
}
