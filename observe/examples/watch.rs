//! Shows, once a second, the sums over all live programs of the fields whose labels start with a
//! prefix.
//!
//! `cargo run -p mmstats-observe --example watch -- http. [DIRECTORY]`

use std::time::Duration;

use mmstats_observe::{FileState, Observer, Sources, Totals};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let prefix = arguments.next().unwrap_or_default();
    let mut observer = Observer::new(arguments.fold(Sources::new(), Sources::path));
    let mut totals = Totals::filtered(move |field| field.label().starts_with(&prefix));
    loop {
        observer.refresh();
        let live = observer.files().iter().filter(|file| file.state() == FileState::Live);
        totals.update(live, None);
        for total in totals.fields() {
            println!("{:?} {:?}", total.field.label, total.reading.value);
        }
        observer.problems().for_each(|problem| eprintln!("{problem}"));
        std::thread::sleep(Duration::from_secs(1));
    }
}
