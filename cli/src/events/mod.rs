//! `mmstats events`: the lines that programs recorded, in the order of their times.

mod print;
mod rings;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use mmstats_observe::Observer;

use self::print::Printer;
use self::rings::Rings;
use crate::args::Events;
use crate::globs;
use crate::output::Output;
use crate::targets::{Targets, complain, places};

/// So many lines precede what is followed, if nothing else is asked for.
const BEFORE_FOLLOWED: usize = 10;

pub(crate) fn run(args: &Events, output: &mut Output) -> io::Result<()> {
    let filter = match globs::any(&args.filter) {
        Ok(filter) => filter,
        Err(text) => {
            output.usage(&text);
            return Ok(());
        }
    };
    // Before anything is printed, so that Ctrl-C never cuts a line.
    let stop = if args.follow { Some(interrupt()?) } else { None };
    let targets = Targets::parse(&args.targets);
    let mut observer = Observer::new(targets.sources.clone());
    let mut rings = Rings::new(targets, filter, !args.live);
    observer.refresh();
    let mut entries = rings.look(&observer);
    let mut printer = Printer::new(args.json, output.screen());
    let most = args.lines.or(args.follow.then_some(BEFORE_FOLLOWED)).unwrap_or(usize::MAX);
    let cut = entries.len().saturating_sub(most);
    entries.drain(..cut);
    if cut == 0 {
        printer.overwritten(rings.overwritten(), output)?;
    }
    printer.print(&entries, output)?;
    complain(&observer, output);
    match stop {
        Some(stop) => follow(args, &mut observer, &mut rings, &mut printer, &stop, output),
        None => {
            if rings.is_empty() && !output.has_failed() {
                output.fail(&format!("no program has events{}", places(&observer)));
            }
            Ok(())
        }
    }
}

fn follow(
    args: &Events,
    observer: &mut Observer,
    rings: &mut Rings,
    printer: &mut Printer,
    stop: &Receiver<()>,
    output: &mut Output,
) -> io::Result<()> {
    let mut said: HashSet<PathBuf> =
        observer.problems().map(|problem| problem.path.clone()).collect();
    loop {
        output.flush()?;
        if stop.recv_timeout(args.delay) != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
        let changes = observer.refresh();
        let mut entries = rings.last_words(&changes.vanished);
        entries.extend(rings.look(observer));
        rings::in_order(&mut entries);
        printer.print(&entries, output)?;
        // What went wrong meanwhile, once a file.
        for problem in observer.problems() {
            match (said.insert(problem.path.clone()), problem.named) {
                (true, true) => output.fail(&problem.to_string()),
                (true, false) => output.note(&problem.to_string()),
                (false, _) => {}
            }
        }
    }
}

/// Something comes when the user has seen enough.
fn interrupt() -> io::Result<Receiver<()>> {
    let (sender, receiver) = channel();
    ctrlc::set_handler(move || {
        let _ = sender.send(());
    })
    .map_err(io::Error::other)?;
    Ok(receiver)
}
