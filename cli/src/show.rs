//! `mmstats show`: fields with their values.

use std::io::{self, Write};
use std::time::SystemTime;

use globset::GlobSet;
use mmstats_observe::{Observer, Program};

use crate::args::Show;
use crate::output::{Output, Screen};
use crate::render::{document, fields};
use crate::targets::{MOST_DAMAGED, Targets, complain, places};
use crate::view::{self, Row};
use crate::{escape, globs, json};

pub(crate) fn run(args: &Show, output: &mut Output) -> io::Result<()> {
    let filter = match globs::any(&args.filter) {
        Ok(filter) => filter,
        Err(text) => {
            output.usage(&text);
            return Ok(());
        }
    };
    let targets = Targets::parse(&args.targets);
    let mut observer = Observer::new(targets.sources.clone());
    observer.refresh();
    let programs = observer.programs();
    let wanted: Vec<&Program<'_>> =
        programs.iter().filter(|program| targets.wants(program, args.all, &programs)).collect();
    let shown: Vec<(&Program<'_>, Vec<Row>)> = wanted
        .iter()
        .map(|program| (*program, rows(program, args.lanes, filter.as_ref())))
        .filter(|(_, rows)| filter.is_none() || !rows.is_empty())
        .collect();
    print(args, &shown, output)?;
    complain(&observer, output);
    for (program, rows) in &shown {
        complain_of_values(program, rows, output);
    }
    if shown.is_empty() && !output.has_failed() {
        output.fail(&nothing(&observer, &targets, wanted.len(), programs.len()));
    }
    Ok(())
}

fn rows(program: &Program<'_>, lanes: bool, filter: Option<&GlobSet>) -> Vec<Row> {
    let mut rows = if lanes { view::by_lane(program) } else { view::combined(program) };
    if let Some(filter) = filter {
        rows.retain(|row| filter.is_match(&row.label));
    }
    rows
}

fn print(args: &Show, shown: &[(&Program<'_>, Vec<Row>)], output: &mut Output) -> io::Result<()> {
    if args.json {
        return json::line(output, &document::files(shown));
    }
    let screen = Screen::now();
    if !screen.is_terminal() && !args.verbose {
        for (program, rows) in shown {
            for row in rows {
                writeln!(output, "{}", fields::piped(program, row))?;
            }
        }
        return Ok(());
    }
    let style = fields::Style {
        verbose: args.verbose,
        // Whoever asks for particular fields gets them.
        standard: args.verbose || !args.filter.is_empty(),
    };
    for (at, (program, rows)) in shown.iter().enumerate() {
        if at > 0 {
            writeln!(output)?;
        }
        for line in fields::section(program, rows, style, SystemTime::now()) {
            writeln!(output, "{}", line.render(screen.width()))?;
        }
    }
    Ok(())
}

/// Complains of damaged values in fields that are good.
fn complain_of_values(program: &Program<'_>, rows: &[Row], output: &mut Output) {
    let Some(file) = program.files().first() else { return };
    let damaged = rows.iter().filter(|row| !row.label.is_empty());
    for (row, damage) in damaged.filter_map(|row| row.damage().map(|d| (row, d))).take(MOST_DAMAGED)
    {
        let (path, name) = (escape::path(file.path()), fields::name(row));
        let (code, offset) = (damage.code, damage.offset);
        let text = format!("{path}: the value of {name} is damaged ({code} at byte {offset})");
        if file.named() { output.fail(&text) } else { output.note(&text) }
    }
}

/// Why nothing was shown.
fn nothing(observer: &Observer, targets: &Targets, wanted: usize, found: usize) -> String {
    if wanted > 0 {
        "no field matches the filter; `mmstats show` without it lists all".to_owned()
    } else if found > 0 {
        format!("no live program{}; `--all` shows the {found} that ended too", places(observer))
    } else if targets.is_empty() {
        format!("no program publishes{}; try `mmstats demo`", places(observer))
    } else {
        format!("no program publishes{}", places(observer))
    }
}
