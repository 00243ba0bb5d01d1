//! `mmstats show`: fields with their values.

use std::io::{self, Write};
use std::time::SystemTime;

use globset::GlobSet;
use mmstats_observe::{Level, Observer, Program};

use crate::args::Show;
use crate::output::{Output, Screen};
use crate::render::{document, fields};
use crate::targets::{MOST_DAMAGED, Targets, complain, places};
use crate::view::{self, Row, Section};
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
    let screen = output.screen();
    let levels = Levels::of(args, screen);
    let shown: Vec<Section<'_>> = wanted
        .iter()
        .map(|program| levels.section(program, rows(program, args.lanes, filter.as_ref())))
        .filter(|s| filter.is_none() || !s.rows.is_empty() || !s.hidden.is_empty())
        .collect();
    print(args, &shown, screen, output)?;
    complain(&observer, output);
    for section in &shown {
        complain_of_values(section, output);
    }
    if shown.is_empty() && !output.has_failed() {
        output.fail(&nothing(&observer, &targets, wanted.len(), programs.len()));
    }
    Ok(())
}

/// Which fields are shown: short by default, all to whoever asks for particular fields or
/// for everything about them.
#[derive(Debug, Clone, Copy)]
struct Levels {
    most: Level,
    /// Whether `sys.*` are of a higher level, whatever they say of themselves.
    brief: bool,
}

impl Levels {
    fn of(args: &Show, screen: Screen) -> Self {
        let all = args.verbose || args.json || !args.filter.is_empty();
        let most = match args.level {
            Some(level) => level.level(),
            None if all => Level::Debug,
            None => Level::Info,
        };
        Self { most, brief: most == Level::Info && screen.is_terminal() && !all }
    }

    fn section<'a>(self, program: &'a Program<'a>, rows: Vec<Row>) -> Section<'a> {
        let shown = |row: &Row| row.level <= self.most && !(self.brief && row.is_standard());
        let (rows, hidden) = rows.into_iter().partition(shown);
        Section { program, rows, hidden }
    }
}

fn rows(program: &Program<'_>, lanes: bool, filter: Option<&GlobSet>) -> Vec<Row> {
    let mut rows = if lanes { view::by_lane(program) } else { view::combined(program) };
    if let Some(filter) = filter {
        rows.retain(|row| filter.is_match(&row.label));
    }
    rows
}

fn print(
    args: &Show,
    shown: &[Section<'_>],
    screen: Screen,
    output: &mut Output,
) -> io::Result<()> {
    if args.json {
        return json::line(output, &document::files(shown));
    }
    if !screen.is_terminal() && !args.verbose {
        for section in shown {
            for row in &section.rows {
                writeln!(output, "{}", fields::piped(section.program, row))?;
            }
        }
        return Ok(());
    }
    for (at, section) in shown.iter().enumerate() {
        if at > 0 {
            writeln!(output)?;
        }
        for line in fields::section(section, args.verbose, SystemTime::now()) {
            writeln!(output, "{}", line.render(screen.width()))?;
        }
    }
    Ok(())
}

/// Complains of damaged values in fields that are good.
fn complain_of_values(section: &Section<'_>, output: &mut Output) {
    let Some(file) = section.program.files().first() else { return };
    let rows = section.rows.iter().chain(&section.hidden);
    let damaged = rows.filter(|row| !row.label.is_empty());
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
