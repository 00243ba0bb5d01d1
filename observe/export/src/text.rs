//! OpenMetrics 1.0, and the text format of Prometheus before it.

use mmstats_observe::{HistogramValue, Number, OwnedValue};

use crate::catalogue::{Catalogue, Family, Mapping, Target};
use crate::classic;
use crate::own::OWN;
use crate::plan::{self, Type};
use crate::unit::Scale;
use crate::{digits, name};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics 1.0, with start times.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus.
    Prometheus,
}

impl Format {
    /// The content type of an answer by HTTP.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Size of a part, in bytes.
const PART: usize = 64 << 10;

/// The samples of a series at one time, with their line ends.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Samples<'a> {
    /// Name of the family.
    pub family: &'a str,
    /// Type, unit and help of the family, as lines.
    pub head: &'a str,
    /// The labels of the program, as text.
    pub program: &'a str,
    /// The other labels of the series, as text.
    pub own: &'a str,
    /// The lines.
    pub text: &'a str,
}

/// Writes programs as text.
#[derive(Debug)]
pub struct Text {
    format: Format,
    version: u64,
    /// Start times of the programs, as text.
    created: Vec<(Option<f64>, String)>,
    /// The lines of series with a number, but for the number; in the order of the series, up to a size.
    lines: String,
    prepared: Vec<Prepared>,
    is_prepared: bool,
}

/// Maximum size of the lines that are kept, in bytes: those of 200,000 counters. More take longer to read from memory
/// than to make.
const MAX_LINES: usize = 32 << 20;

/// Where the lines of a series end; those of one without a number are empty.
#[derive(Debug, Clone, Copy)]
struct Prepared {
    /// End of the text before the number.
    number: u32,
    end: u32,
}

impl Text {
    /// Text of a format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let (created, lines, prepared) = (Vec::new(), String::new(), Vec::new());
        Self { format, version: 0, created, lines, prepared, is_prepared: false }
    }

    /// Appends the samples of all programs: `targets` are those of the last update of the catalogue.
    pub fn encode(&mut self, catalogue: &Catalogue, targets: &[Target<'_>], out: &mut String) {
        self.write(catalogue, targets, out, |_| {});
    }

    /// As [`encode`](Self::encode), in parts of about 64 KiB, for which one buffer is used again: the text of many
    /// programs is large.
    pub fn encode_parts(
        &mut self,
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        mut each: impl FnMut(&str),
    ) {
        let mut out = String::new();
        self.write(catalogue, targets, &mut out, |out| {
            if out.len() >= PART {
                each(out);
                out.clear();
            }
        });
        if !out.is_empty() {
            each(&out);
        }
    }

    /// Appends the samples; calls `passed` after each series.
    fn write(
        &mut self,
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        out: &mut String,
        mut passed: impl FnMut(&mut String),
    ) {
        if self.prepare(catalogue, targets) || !self.is_prepared {
            self.prepare_lines(catalogue);
        }
        let (mut start, mut prepared) = (0, self.prepared.iter());
        for family in &catalogue.families {
            let place = (&mut start, &mut prepared);
            self.family(catalogue, targets, family, place, out, &mut passed);
        }
        for own in &OWN {
            self.head(own.name, Type::Gauge, own.help, own.unit, out);
            own.samples(catalogue, targets, |labels, more, value| {
                out.push_str(own.name);
                out.push('{');
                out.push_str(labels);
                if let Some((key, value)) = more {
                    out.extend([key, "=\"", value, "\""]);
                }
                out.push_str("} ");
                digits::push_float(out, value);
                out.push('\n');
            });
            passed(out);
        }
        if self.format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
    }

    /// As [`encode`](Self::encode), series by series, each sample with the time `at` in seconds since 1970, without
    /// start times and metrics of the export itself: for archives, in which the samples of a series stand together.
    pub fn encode_series(
        &mut self,
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        at: &str,
        mut each: impl FnMut(Samples<'_>),
    ) {
        self.prepare(catalogue, targets);
        // They are made anew for the next text with start times.
        self.is_prepared = false;
        self.created.iter_mut().for_each(|created| created.0 = None);
        let (mut head, mut text) = (String::new(), String::new());
        let stamp = format!(" {at}\n");
        for family in &catalogue.families {
            head.clear();
            self.head(&family.name, family.ty, &family.help, &family.unit, &mut head);
            for &series in &family.series {
                let Some(mapping) = catalogue.mapping(series) else { continue };
                let Some(target) = targets.get(series.program as usize) else { continue };
                let Some(program) = catalogue.programs.get(series.program as usize) else {
                    continue;
                };
                let total = target.fields.get(mapping.field as usize);
                let Some(value) = total.and_then(|total| plan::value(&total.reading)) else {
                    continue;
                };
                let own = &mapping.labels;
                let line = self.line(family, series.program, &program.labels, own);
                text.clear();
                self.series(&line, family.ty, mapping, value, &mut text);
                if !text.is_empty() {
                    // Line ends in labels are escaped.
                    let samples = text.replace('\n', &stamp);
                    let program = &program.labels;
                    each(Samples {
                        family: &family.name,
                        head: &head,
                        program,
                        own,
                        text: &samples,
                    });
                }
            }
        }
    }

    /// Brings start times up to date; whether something has changed.
    fn prepare(&mut self, catalogue: &Catalogue, targets: &[Target<'_>]) -> bool {
        let mut is_changed = false;
        let created = |target: &Target<'_>| target.created.filter(|created| created.is_finite());
        if self.version != catalogue.version || self.created.len() != targets.len() {
            is_changed = true;
            self.version = catalogue.version;
            self.created.clear();
            self.created.resize(targets.len(), (None, String::new()));
        }
        for ((known, text), target) in self.created.iter_mut().zip(targets) {
            if *known != created(target) {
                is_changed = true;
                *known = created(target);
                text.clear();
                if let Some(created) = *known {
                    digits::push_float(text, created);
                }
            }
        }
        is_changed
    }

    fn prepare_lines(&mut self, catalogue: &Catalogue) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        self.prepared.clear();
        self.is_prepared = true;
        for family in &catalogue.families {
            let suffix = match family.ty {
                Type::Counter => Some("_total"),
                Type::Gauge | Type::Unknown => Some(""),
                Type::Info | Type::Summary | Type::Histogram => None,
            };
            for &series in &family.series {
                if lines.len() >= MAX_LINES {
                    break;
                }
                let mut number = lines.len();
                if let Some(suffix) = suffix {
                    let program = catalogue.programs.get(series.program as usize);
                    let program = program.map_or("", |program| &program.labels);
                    let own = catalogue.mapping(series).map_or("", |mapping| &mapping.labels);
                    let line = self.line(family, series.program, program, own);
                    line.open(suffix, &mut lines);
                    lines.push_str("} ");
                    number = lines.len();
                    lines.push('\n');
                    if family.ty == Type::Counter {
                        line.push_created(&mut lines);
                    }
                }
                let (Ok(number), Ok(end)) = (u32::try_from(number), u32::try_from(lines.len()))
                else {
                    break;
                };
                self.prepared.push(Prepared { number, end });
            }
        }
        lines.shrink_to_fit();
        self.prepared.shrink_to_fit();
        self.lines = lines;
    }

    /// Name, labels and start time of a series.
    fn line<'a>(
        &'a self,
        family: &'a Family,
        program: u32,
        labels: &'a str,
        own: &'a str,
    ) -> Line<'a> {
        let is_open = self.format == Format::OpenMetrics;
        let created = self.created.get(program as usize).filter(|_| is_open);
        let created = created.and_then(|(time, text)| time.map(|_| &**text));
        Line { name: &family.name, program: labels, own, created }
    }

    fn head(&self, name: &str, ty: Type, help: &str, unit: &str, out: &mut String) {
        let is_open = self.format == Format::OpenMetrics;
        // Before OpenMetrics the family had the name of the sample.
        let suffix = match ty {
            Type::Counter if !is_open => "_total",
            Type::Info if !is_open => "_info",
            _ => "",
        };
        let type_name = match ty {
            Type::Counter => "counter",
            Type::Summary => "summary",
            Type::Histogram => "histogram",
            Type::Info if is_open => "info",
            Type::Gauge | Type::Info => "gauge",
            Type::Unknown if is_open => "unknown",
            Type::Unknown => "untyped",
        };
        out.extend(["# TYPE ", name, suffix, " ", type_name, "\n"]);
        // A unit of OpenMetrics stands at the end of the name, and info has none.
        let ends = |unit: &str| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if is_open && !unit.is_empty() && ty != Type::Info && ends(unit) {
            out.extend(["# UNIT ", name, " ", unit, "\n"]);
        }
        if !help.is_empty() {
            out.extend(["# HELP ", name, suffix, " "]);
            name::escape_help(out, help, is_open);
            out.push('\n');
        }
    }

    fn family(
        &self,
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        family: &Family,
        (start, prepared): (&mut u32, &mut std::slice::Iter<'_, Prepared>),
        out: &mut String,
        passed: &mut impl FnMut(&mut String),
    ) {
        let mut has_head = false;
        catalogue.values(family, targets, |series, value| {
            let (begin, number) = (*start as usize, prepared.next().copied());
            let Prepared { number, end } =
                number.unwrap_or(Prepared { number: *start, end: *start });
            *start = end;
            let Some((mapping, value)) = value else { return };
            if !std::mem::replace(&mut has_head, true) {
                self.head(&family.name, family.ty, &family.help, &family.unit, out);
            }
            let (number, end) = (number as usize, end as usize);
            if begin < end {
                let found = plan::number(value, mapping.part);
                let lines = (self.lines.get(begin..number), self.lines.get(number..end));
                if let (Some(found), (Some(before), Some(after))) = (found, lines) {
                    out.push_str(before);
                    digits::push(out, found, mapping.scale);
                    out.push_str(after);
                }
            } else if let Some(program) = catalogue.programs.get(series.program as usize) {
                let line = self.line(family, series.program, &program.labels, &mapping.labels);
                self.series(&line, family.ty, mapping, value, out);
            }
            passed(out);
        });
    }

    fn series(
        &self,
        line: &Line<'_>,
        ty: Type,
        mapping: &Mapping,
        value: &OwnedValue,
        out: &mut String,
    ) {
        match ty {
            Type::Summary => {
                if let Some((count, sum)) = plan::summary(value) {
                    line.push("_count", count, Scale::ONE, out);
                    line.push("_sum", sum, mapping.scale, out);
                    line.push_created(out);
                }
            }
            Type::Histogram => {
                if let OwnedValue::Histogram(histogram) = value.only() {
                    histogram_lines(line, mapping, histogram, out);
                    line.push_created(out);
                }
            }
            Type::Counter => {
                if let Some(number) = plan::number(value, mapping.part) {
                    line.push("_total", number, mapping.scale, out);
                    line.push_created(out);
                }
            }
            Type::Info => line.push("_info", Number::Unsigned(1), Scale::ONE, out),
            Type::Gauge | Type::Unknown => {
                if let Some(number) = plan::number(value, mapping.part) {
                    line.push("", number, mapping.scale, out);
                }
            }
        }
    }
}

fn histogram_lines(
    line: &Line<'_>,
    mapping: &Mapping,
    histogram: &HistogramValue,
    out: &mut String,
) {
    classic::counts(histogram, &mapping.bounds, |bound, count| {
        line.open("_bucket", out);
        if !line.is_empty() {
            out.push(',');
        }
        out.push_str("le=\"");
        digits::push_float(out, bound.map_or(f64::INFINITY, |bound| mapping.scale.apply(bound)));
        out.push_str("\"} ");
        digits::push(out, Number::Unsigned(count), Scale::ONE);
        out.push('\n');
    });
    line.push("_count", Number::Unsigned(histogram.count()), Scale::ONE, out);
    line.push("_sum", histogram.sum(), mapping.scale, out);
}

/// Name and labels of the samples of a series.
struct Line<'a> {
    name: &'a str,
    program: &'a str,
    own: &'a str,
    /// The start time, as text.
    created: Option<&'a str>,
}

impl Line<'_> {
    const fn is_empty(&self) -> bool {
        self.program.is_empty() && self.own.is_empty()
    }

    /// The sample up to its labels, without the brace behind them.
    fn open(&self, suffix: &str, out: &mut String) {
        out.push_str(self.name);
        out.push_str(suffix);
        out.push('{');
        out.push_str(self.program);
        if !self.own.is_empty() {
            if !self.program.is_empty() {
                out.push(',');
            }
            out.push_str(self.own);
        }
    }

    fn push_created(&self, out: &mut String) {
        if let Some(created) = self.created {
            self.open("_created", out);
            out.extend(["} ", created, "\n"]);
        }
    }

    fn push(&self, suffix: &str, number: Number, scale: Scale, out: &mut String) {
        self.open(suffix, out);
        out.push_str("} ");
        digits::push(out, number, scale);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use mmstats_observe::{Aggregation, DataType, FieldInfo, Kind, Properties, Reading, Total};

    use super::*;

    #[test]
    fn lines_that_are_not_kept_are_the_same() {
        let number = |label: String, kind| {
            let properties = Properties::new(DataType::U64, kind, Aggregation::Sum);
            Total::new(
                FieldInfo::new(label, properties),
                Reading::consistent(OwnedValue::Unsigned(7)),
            )
        };
        let fields: Vec<Total> = (0..10)
            .map(|n| number(format!("n{n}"), if n % 2 == 0 { Kind::Counter } else { Kind::Gauge }))
            .collect();
        let labels = [("pid".to_owned(), "1".to_owned())];
        let target = Target { created: Some(2.0), ..Target::new(1, &labels, &fields) };
        let mut catalogue = Catalogue::new();
        catalogue.update(&[target]);
        for format in [Format::OpenMetrics, Format::Prometheus] {
            let (mut text, mut whole) = (Text::new(format), String::new());
            text.encode(&catalogue, &[target], &mut whole);
            for kept in (0..10).rev() {
                text.prepared.truncate(kept);
                let mut out = String::new();
                text.encode(&catalogue, &[target], &mut out);
                assert_eq!(out, whole, "{kept}");
            }
        }
    }
}
