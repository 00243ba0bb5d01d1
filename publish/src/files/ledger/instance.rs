//! An instance of an application, as its images show it.

use hashbrown::HashSet;
use mmstats_core::Source;
use mmstats_core::read::{Field, Value, Verdict, constant};

use super::super::values::{Name, fields};
use super::sums::Sums;

/// Identity of a publisher.
pub(super) type Instance = [u8; 16];

/// Label of the name of the program.
pub(super) const COMMAND: &str = "sys.command";

/// An instance that has ended, with its values.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(super) instance: Instance,
    pub(super) sums: Sums,
    pub(super) samples_refused: u64,
    /// Whether nothing of it is missing.
    pub(super) whole: bool,
    /// Name of the program.
    pub(super) command: Option<String>,
}

impl Ended {
    /// An instance without images yet.
    pub(super) fn new(instance: Instance) -> Self {
        let sums = Sums::default();
        Self { instance, sums, samples_refused: 0, whole: true, command: None }
    }

    /// Adds the values of one of its images. `constants` are those of the images before.
    pub(super) fn add(&mut self, image: &impl Source, constants: &mut HashSet<Name>) {
        let rest = self.sums.add_image(image, constants).unwrap_or_default();
        self.whole &= rest.whole && !rest.refused;
        self.samples_refused = self.samples_refused.saturating_add(rest.samples_refused);
        if self.command.is_none()
            && let Ok((_, fields)) = fields(image)
        {
            self.command = Constants { region: image, fields: &fields }.text(COMMAND);
        }
    }
}

/// The constants of an image.
pub(super) struct Constants<'a, S> {
    pub(super) region: &'a S,
    pub(super) fields: &'a [Field],
}

impl<S: Source> Constants<'_, S> {
    /// The constant with this label, as `read` takes it.
    fn get<T>(&self, label: &str, read: impl Fn(Value<'_>) -> Option<T>) -> Option<T> {
        self.fields.iter().find_map(|field| {
            if field.label().read(self.region, &mut [0; 255]) != label {
                return None;
            }
            let mut buffer = vec![0; field.buffer_size()];
            match constant(self.region, field, &mut buffer) {
                Verdict::Consistent(value) => read(value),
                _ => None,
            }
        })
    }

    pub(super) fn number(&self, label: &str) -> Option<u64> {
        self.get(label, |value| match value {
            Value::U64(n) => Some(n),
            _ => None,
        })
    }

    pub(super) fn text(&self, label: &str) -> Option<String> {
        self.get(label, |value| match value {
            Value::Text { text, .. } => Some(text.to_owned()),
            _ => None,
        })
    }

    pub(super) fn bytes(&self, label: &str) -> Option<Vec<u8>> {
        self.get(label, |value| match value {
            Value::Bytes { bytes, .. } => Some(bytes.to_vec()),
            _ => None,
        })
    }
}
