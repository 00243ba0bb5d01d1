//! Files of the original library.

use mmstats_core::format1::{self, Value};
use mmstats_observe::{Observer, Sources};

use crate::limits::Limits;
use crate::{observed, place, render};

/// Reads the records, then the file by the observer and a tool.
///
/// # Panics
///
/// If a record breaks a rule of the format.
pub fn run(data: &[u8]) {
    let mut bytes = data.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = format1::VERSION;
    }
    Limits::CORE.hold(bytes.len(), || records(&bytes));
    place::clear();
    let path = place::put("a.mmstats", &bytes);
    let _ = place::put("b.mmstats", &bytes);
    Limits::TOOLS.hold(2 * bytes.len(), || {
        let mut observer = Observer::new(Sources::new().path(place::directory()));
        observer.refresh();
        observed::walk(&observer);
    });
    render::one(&path, bytes.len(), bytes.last().copied().unwrap_or(0).into());
}

fn records(bytes: &[u8]) {
    let fields = match format1::fields(bytes) {
        Ok(fields) => fields,
        Err(error) => return drop(error.to_string()),
    };
    let (mut last, mut over) = (0, false);
    for record in fields {
        assert!(!over, "an error is the last item");
        match record {
            Ok(record) => {
                assert!(record.offset > last || last == 0);
                last = record.offset;
                let label: usize = record.label.pieces().map(str::len).sum();
                assert!(label <= record.label.bytes().len());
                let _ = (format!("{record:?}"), record.label.to_string());
                assert!(matches!(record.write_buffer, None | Some(0 | 1)));
                if let Value::Text(text) = record.value {
                    assert!(!text.bytes().contains(&0));
                }
            }
            Err(error) => {
                assert!(error.offset() <= bytes.len());
                let _ = (error.code(), error.to_string());
                over = true;
            }
        }
    }
}
