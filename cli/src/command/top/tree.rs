//! The fields of a program as a tree of dotted labels.

use std::collections::HashSet;

use mmstats_history::{Field, Lane};
use mmstats_observe::Level;

use super::format;
use crate::text::escape;

/// A line of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) depth: usize,
    /// The last part of the label, with attributes; of a lane its thread.
    pub(super) name: String,
    pub(super) item: Item,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Fields whose labels begin with the path.
    Group { path: String, folded: bool, fields: usize },
    /// Index of a field.
    Field(usize),
    /// A lane of a field: part and number.
    Lane(usize, u32, u32),
}

impl Item {
    /// The field of the line.
    pub(super) const fn field(&self) -> Option<usize> {
        match self {
            Self::Group { .. } => None,
            Self::Field(index) | Self::Lane(index, ..) => Some(*index),
        }
    }

    /// Whether it is the same line as another one, folded or not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Group { path: a, .. }, Self::Group { path: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

/// Which fields are in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// Part of the name, in lower case.
    pub(super) text: String,
    pub(super) level: Level,
}

impl Filter {
    fn accepts(&self, field: &Field) -> bool {
        if self.text.is_empty() {
            return field.info.properties.level() <= self.level
                && (self.level > Level::Info || !field.info.label.starts_with("sys."));
        }
        format::name(&field.info).to_lowercase().contains(&self.text)
    }
}

/// The fields that the filter accepts, sorted by label and attributes.
pub(super) fn sorted(fields: &[Field], filter: &Filter) -> Vec<usize> {
    let accepted = fields.iter().enumerate().filter(|(_, field)| filter.accepts(field));
    let mut keyed: Vec<(Vec<&str>, &str, usize)> = accepted
        .map(|(index, field)| {
            (field.info.label.split('.').collect(), &*field.info.attributes, index)
        })
        .collect();
    keyed.sort();
    keyed.into_iter().map(|(.., index)| index).collect()
}

/// The lines; fields of a folded group are left out.
pub(super) fn lines(fields: &[Field], filter: &Filter, folded: &HashSet<String>) -> Vec<Node> {
    let shown = sorted(fields, filter);
    let mut lines = Vec::new();
    let labels: Vec<Vec<&str>> =
        shown.iter().map(|index| fields[*index].info.label.split('.').collect()).collect();
    let tree = Tree { fields, shown: &shown, labels: &labels, folded };
    level(&tree, 0..shown.len(), 0, 0, &mut lines);
    lines
}

/// One line for each field, by its whole name, in this order.
pub(super) fn list(fields: &[Field], order: &[usize]) -> Vec<Node> {
    let mut lines = Vec::new();
    for index in order {
        if let Some(field) = fields.get(*index) {
            let name = format::name(&field.info);
            push(&mut lines, field, Node { depth: 0, name, item: Item::Field(*index) });
        }
    }
    lines
}

/// Adds a field and its lanes.
fn push(lines: &mut Vec<Node>, field: &Field, node: Node) {
    let (depth, index) = (node.depth, node.item.field());
    lines.push(node);
    let Some(index) = index else { return };
    for lane in field.lanes() {
        let item = Item::Lane(index, lane.part, lane.lane);
        lines.push(Node { depth: depth + 1, name: lane_name(lane), item });
    }
}

/// `worker-1 (4711)`, or `lane 3` without a thread.
pub(super) fn lane_name(lane: &Lane) -> String {
    match (&lane.name, lane.thread) {
        (Some(name), Some(id)) => format!("{} ({id})", escape::text(name)),
        (Some(name), None) => escape::text(name).into_owned(),
        (None, Some(id)) => format!("thread {id}"),
        (None, None) if lane.part > 0 => format!("lane {}.{}", lane.part, lane.lane),
        (None, None) => format!("lane {}", lane.lane),
    }
}

struct Tree<'a> {
    fields: &'a [Field],
    shown: &'a [usize],
    labels: &'a [Vec<&'a str>],
    folded: &'a HashSet<String>,
}

/// Adds the fields of `range`, whose labels share their first `start` parts.
fn level(
    tree: &Tree<'_>,
    range: std::ops::Range<usize>,
    start: usize,
    depth: usize,
    lines: &mut Vec<Node>,
) {
    let mut at = range.start;
    while at < range.end {
        let label = &tree.labels[at];
        let part = label.get(start).copied().unwrap_or_default();
        let same = |other: &usize| tree.labels[*other].get(start).copied() == Some(part);
        let end = (at..range.end).find(|other| !same(other)).unwrap_or(range.end).max(at + 1);
        // A single field, or several with one label, makes no group.
        let is_group = (at..end).any(|other| tree.labels[other].len() > start + 1)
            && tree.labels[at] != tree.labels[end - 1];
        if is_group {
            let path = label.get(..=start).unwrap_or(label).join(".");
            let folded = tree.folded.contains(&path);
            let name = escape::text(part).into_owned();
            lines.push(Node { depth, name, item: Item::Group { path, folded, fields: end - at } });
            if !folded {
                level(tree, at..end, start + 1, depth + 1, lines);
            }
        } else {
            for index in at..end {
                let field = &tree.fields[tree.shown[index]];
                let rest = tree.labels[index].get(start..).unwrap_or_default().join(".");
                // A field that is a group too, such as `http` beside `http.requests`.
                let rest = if rest.is_empty() { field.info.label.clone() } else { rest };
                let attributes = format::attributes(&field.info);
                let name = escape::text(&rest);
                let name = if attributes.is_empty() {
                    name.into_owned()
                } else {
                    format!("{name}{{{attributes}}}")
                };
                push(lines, field, Node { depth, name, item: Item::Field(tree.shown[index]) });
            }
        }
        at = end;
    }
}
