//! Differences as lines and as JSON.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::compare::{Change, Compared, Difference, Pair, Side};
use crate::json::{Digits, JsonValue, seconds, write_line};
use crate::output::{Line, Output, Screen, style};
use crate::render::field::{held_together, name};
use crate::render::table::{Align, Cell, lines as table, width as table_width};
use crate::text::unit::UnitForm;
use crate::text::{escape, human, time};
use crate::value::{progress_line, to_human, to_plain};

impl Change {
    const fn sign(self) -> &'static str {
        match self {
            Self::Same => "=",
            Self::Changed => "~",
            Self::Added => "+",
            Self::Gone => "-",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Gone => "gone",
        }
    }
}

/// `web[1234]`.
fn shown(program: Option<&Compared>) -> String {
    let Some(program) = program else { return "-".to_owned() };
    match program.pid {
        Some(pid) => format!("{}[{pid}]", program.title),
        None => program.title.clone(),
    }
}

pub(super) fn lines(
    sides: [&Side; 2],
    pairs: &[Pair<'_>],
    screen: Screen,
    output: &mut Output,
) -> io::Result<()> {
    let is_table = screen.is_terminal();
    for (number, pair) in pairs.iter().enumerate() {
        if is_table {
            if number > 0 {
                writeln!(output)?;
            }
            let passed = sides[1].time.duration_since(sides[0].time).ok();
            let passed = passed.filter(|time| time.as_secs() > 0);
            let passed =
                passed.map_or_else(String::new, |time| format!(", {} later", human::age(time)));
            let head = format!("{} and {}{passed}", shown(pair.before), shown(pair.after));
            for line in Line::styled(style::BOLD, head).wrapped(screen.width(), 2) {
                writeln!(output, "{}", line.render(usize::MAX))?;
            }
        }
        let rows: Vec<[String; 6]> = identity(pair, is_table)
            .chain(pair.fields.iter().map(|d| cells(d, sides.map(|side| side.time), is_table)))
            .collect();
        if !is_table {
            for row in rows {
                writeln!(output, "{}", row.join("\t"))?;
            }
            continue;
        }
        if rows.is_empty() {
            writeln!(output, "  no field differs")?;
            continue;
        }
        let heads = [
            ("", Align::Left),
            ("FIELD", Align::Left),
            ("A", Align::Right),
            ("B", Align::Right),
            ("B - A", Align::Right),
            ("UNIT", Align::Left),
        ];
        for line in arranged(&heads, rows, screen.width()) {
            writeln!(output, "{}", line.render(usize::MAX))?;
        }
    }
    Ok(())
}

/// A table as wide as the screen at most. A row that is too wide for it stands on lines of its own.
fn arranged(heads: &[(&str, Align); 6], rows: Vec<[String; 6]>, width: usize) -> Vec<Line> {
    let rows: Vec<Vec<Cell>> =
        rows.into_iter().map(|row| row.into_iter().map(Cell::new).collect()).collect();
    let most = match table_width(heads, &rows) > width {
        true => widest(&rows, width),
        false => Widest { field: usize::MAX, value: usize::MAX },
    };
    let fitting: Vec<Vec<Cell>> = rows.iter().filter(|row| most.fits(row)).cloned().collect();
    let mut lines = Vec::with_capacity(rows.len() + 1);
    let mut table = table(heads, &fitting, usize::MAX).into_iter();
    let head = table.next();
    if !fitting.is_empty() {
        lines.extend(head);
    }
    for row in &rows {
        match most.fits(row) {
            true => lines.extend(table.next()),
            false => lines.extend(stacked(heads, row, width)),
        }
    }
    lines
}

/// Widths of the cells of rows that stand in a table.
#[derive(Clone, Copy)]
struct Widest {
    field: usize,
    value: usize,
}

impl Widest {
    fn fits(self, row: &[Cell]) -> bool {
        let [_, field, values @ .., _] = row else { return true };
        escape::width(&field.text) <= self.field
            && values.iter().all(|value| escape::width(&value.text) <= self.value)
    }
}

/// The widths with which most rows fit into a table of this width.
fn widest(rows: &[Vec<Cell>], width: usize) -> Widest {
    let unit = rows.iter().filter_map(|row| Some(escape::width(&row.last()?.text))).max();
    let unit = unit.unwrap_or(0).max("UNIT".len());
    // Signs, three values, and two spaces between columns.
    let with_value = |value: usize| {
        let others = 1 + 2 * value + value.max("B - A".len()) + unit + 5 * 2;
        Widest { field: width.saturating_sub(others), value }
    };
    let count = |most: &Widest| rows.iter().filter(|row| most.fits(row)).count();
    let all = [4, 6, 8, 10, 12, 16, 20, 25, 30, 40, 60].map(with_value);
    all.into_iter().max_by_key(count).unwrap_or(with_value(0))
}

/// Columns before a value on a line of its own.
const HANG: usize = 10;

/// A row with a line for each of its cells.
fn stacked(heads: &[(&str, Align); 6], row: &[Cell], width: usize) -> Vec<Line> {
    let [sign, field, values @ .., unit] = row else { return Vec::new() };
    let mut first = Line::new();
    first.plain(format!("{}  {}", sign.text, field.text));
    let mut lines = Vec::new();
    if first.width() + 2 + escape::width(&unit.text) > width && !unit.text.is_empty() {
        lines.push(std::mem::take(&mut first));
        first.plain(format!("     {}", unit.text));
    } else if !unit.text.is_empty() {
        first.plain(format!("  {}", unit.text));
    }
    lines.push(first);
    let heads = heads.iter().skip(2);
    for ((head, _), value) in heads.zip(values).filter(|(_, value)| value.text != "-") {
        let mut line = Line::styled(style::BOLD, format!("   {head:>5}"));
        let held = Line::styled(anstyle::Style::new(), held_together(&value.text));
        let fits = HANG + held.longest_word() <= width;
        line.plain(format!("  {}", if fits { held.text() } else { value.text.clone() }));
        lines.extend(line.wrapped(width, HANG).into_iter().map(|mut line| {
            line.release();
            line
        }));
    }
    lines
}

fn identity<'a>(pair: &'a Pair<'_>, is_table: bool) -> impl Iterator<Item = [String; 6]> + 'a {
    pair.identity.iter().map(move |(name, [before, after])| {
        let shown = |text: &str| match text {
            "" => "-".to_owned(),
            // Seconds since 1970.
            text if is_table && *name == "created" => date(text).unwrap_or_else(|| text.to_owned()),
            text => escape::text(text).into_owned(),
        };
        let text = |text: &str| text.to_owned();
        ["~".into(), text(name), shown(before), shown(after), text("-"), text("")]
    })
}

fn date(seconds: &str) -> Option<String> {
    let since = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    time::date(i128::try_from(since.as_nanos()).ok()?)
}

fn cells(difference: &Difference<'_>, times: [SystemTime; 2], is_table: bool) -> [String; 6] {
    let Difference { change, before, after, difference } = difference;
    let row = before.or(*after);
    let unit = row.map_or("", |row| &*row.field.unit);
    let text = |value: Option<&mmstats_observe::OwnedValue>| {
        human::or_dash(
            value.map(|value| if is_table { to_human(value, unit) } else { to_plain(value) }),
        )
    };
    let values = [before, after].map(|row| row.and_then(|row| row.value.as_ref()));
    let mut texts = values.map(text);
    if is_table && *change == Change::Changed && texts[0] == texts[1] {
        // What differs is not in the short form.
        let in_progress = |at: usize| progress_line(values[at]?, times[at]);
        texts = [0, 1].map(|at| human::or_dash(in_progress(at)));
        if texts[0] == texts[1] {
            texts = values.map(|value| human::or_dash(value.map(to_plain)));
        }
    }
    let [before, after] = texts;
    // Numbers of these forms have their unit.
    let has_unit = is_table && UnitForm::from_unit(unit) != UnitForm::Plain;
    let unit = if has_unit { "" } else { unit };
    let mut difference = text(difference.as_ref());
    if !difference.starts_with('-')
        && difference.starts_with(|c: char| c.is_ascii_digit())
        && is_table
    {
        difference.insert(0, '+');
    }
    let name = row.map_or_else(String::new, name);
    [change.sign().to_owned(), name, before, after, difference, escape::text(unit).into_owned()]
}

pub(super) fn json(sides: [&Side; 2], pairs: &[Pair<'_>], output: &mut Output) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        before: f64,
        after: f64,
        programs: Vec<PairDocument<'a>>,
    }
    let programs = pairs.iter().map(PairDocument).collect();
    let [before, after] = sides.map(|side| seconds(side.time));
    write_line(output, &Document { before, after, programs })
}

struct PairDocument<'a>(&'a Pair<'a>);

impl Serialize for PairDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Identity<'a> {
            name: &'a str,
            before: &'a str,
            after: &'a str,
        }
        let pair = self.0;
        let program = |side: Option<&Compared>| side.map(|side| shown(Some(side)));
        let identity =
            pair.identity.iter().map(|(name, [before, after])| Identity { name, before, after });
        let fields: Vec<FieldDocument<'_>> = pair.fields.iter().map(FieldDocument).collect();
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("before", &program(pair.before))?;
        s.serialize_entry("after", &program(pair.after))?;
        s.serialize_entry("identity", &identity.collect::<Vec<_>>())?;
        s.serialize_entry("fields", &fields)?;
        s.end()
    }
}

struct FieldDocument<'a>(&'a Difference<'a>);

impl Serialize for FieldDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Difference { change, before, after, difference } = self.0;
        let mut s = serializer.serialize_map(None)?;
        s.serialize_entry("change", change.name())?;
        if let Some(row) = before.or(*after) {
            let attributes: std::collections::BTreeMap<&str, &str> =
                row.field.attributes().collect();
            s.serialize_entry("label", &row.field.label)?;
            s.serialize_entry("kind", row.field.kind_name())?;
            s.serialize_entry("unit", &row.field.unit)?;
            s.serialize_entry("attributes", &attributes)?;
            if let Some((part, lane)) = row.lane {
                s.serialize_entry("lane", &lane)?;
                if part > 0 {
                    s.serialize_entry("part", &part)?;
                }
            }
        }
        let value =
            |row: &Option<&'_ crate::model::row::Row>| row.and_then(|row| row.value.clone());
        for (key, value) in
            [("before", value(before)), ("after", value(after)), ("difference", difference.clone())]
        {
            s.serialize_entry(key, &value.as_ref().map(JsonValue))?;
            if let Some(digits) = value.as_ref().and_then(Digits::new) {
                s.serialize_entry(&format!("{key}_text"), &digits)?;
            }
        }
        s.end()
    }
}
