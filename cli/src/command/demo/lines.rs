//! Lines of the demo outside of frames.

use std::io::{self, Write};
use std::time::Duration;

use mmstats_observe::{Kind, OwnedValue};

use crate::model::row::Row;
use crate::output::Output;
use crate::text::{escape, human};
use crate::value::{is_number, to_plain};

/// Commands that read the same file from another terminal.
pub(super) fn commands_to_try(pid: u32) -> [String; 4] {
    [
        "All values are read from the program's file. From another terminal:".to_owned(),
        format!("  mmstats show {pid}"),
        format!("  mmstats poll -p demo. 'bytes*,latency,queue' {pid}"),
        format!("  mmstats events -f {pid}"),
    ]
}

/// One line with the numbers that are combined over threads, for a pipe.
pub(super) fn number_line(time: Duration, rows: &[Row], output: &mut Output) -> io::Result<()> {
    let mut text = format!("{:.0}s", time.as_secs_f64());
    for row in rows
        .iter()
        .filter(|row| row.lane.is_none() && row.field.properties.kind() != Some(Kind::Info))
    {
        // Without the prefix that all labels share.
        let label =
            row.field.label.split_once('.').map_or(row.field.label.as_str(), |(_, label)| label);
        match &row.value {
            Some(OwnedValue::Timer(timer)) => {
                let mean = timer.mean().map(|mean| format!("{:.6}", mean / 1e9));
                text.push_str(&format!(" {}.mean={}", escape::text(label), human::or_dash(mean)));
            }
            Some(value) if is_number(value) => {
                text.push_str(&format!(" {}={}", escape::text(label), short(value)));
            }
            _ => {}
        }
    }
    writeln!(output, "{text}")?;
    output.flush()
}

/// Floats with three decimals.
fn short(value: &OwnedValue) -> String {
    match value {
        OwnedValue::F32(_) | OwnedValue::F64(_) => {
            format!("{:.3}", value.as_f64().unwrap_or(f64::NAN))
        }
        value => to_plain(value),
    }
}
