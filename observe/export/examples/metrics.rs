//! Prints the metrics of the counted programs of the named directories, or of all that are found, as
//! OpenMetrics text.
//!
//! `cargo run -p mmstats-export --example metrics -- [DIRECTORY...]`

use mmstats_export::{Catalogue, Format, Target, Text};
use mmstats_observe::{Observer, Program, Sources};

fn main() {
    let sources = std::env::args().skip(1).fold(Sources::new(), Sources::path);
    let mut observer = Observer::new(sources);
    observer.refresh();
    let programs: Vec<Program<'_>> =
        observer.programs().into_iter().filter(Program::is_counted).collect();
    let totals: Vec<_> = programs.iter().map(Program::totals).collect();
    let labels: Vec<_> = programs.iter().map(mmstats_export::labels).collect();
    let targets: Vec<Target<'_>> = programs
        .iter()
        .zip(totals.iter().zip(&labels))
        .map(|(program, (fields, labels))| Target::of(program, labels, fields))
        .collect();
    let mut catalogue = Catalogue::new();
    catalogue.update(&targets);
    let mut text = String::new();
    Text::new(Format::OpenMetrics).encode(&catalogue, &targets, &mut text);
    print!("{text}");
}
