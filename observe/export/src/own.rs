//! Metrics of the export itself: which programs there are, and what was lost.

use crate::catalogue::{Catalogue, Target};
use crate::name::OWN_NAMES;

/// A family of gauges without a field.
pub(crate) struct Own {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) samples: Samples,
}

pub(crate) enum Samples {
    /// A number of each program, if it is known.
    Programs(fn(&Target<'_>) -> Option<f64>),
    /// Number of programs that were dropped.
    Dropped,
    /// The losses, with the label `step`.
    Losses,
}

/// The families, in the order of their names.
pub(crate) const OWN: [Own; 6] = [
    Own {
        name: OWN_NAMES[0],
        help: "Whether the program ended without a clean end, as by a signal; 0 while it may publish, and after a clean end.",
        unit: "",
        samples: Samples::Programs(|target| Some(f64::from(u8::from(target.has_died)))),
    },
    Own {
        name: OWN_NAMES[1],
        help: "Ended programs that were dropped early, because their final values took too much memory.",
        unit: "",
        samples: Samples::Dropped,
    },
    Own {
        name: OWN_NAMES[2],
        help: "Fields and labels that the export changes or leaves out, by step.",
        unit: "",
        samples: Samples::Losses,
    },
    Own {
        name: OWN_NAMES[3],
        help: "Whether a part of the program was not seen, so that its sums may lack something.",
        unit: "",
        samples: Samples::Programs(|target| Some(f64::from(u8::from(target.is_incomplete)))),
    },
    Own {
        name: OWN_NAMES[4],
        help: "When the program began to publish, in seconds since 1970.",
        unit: "seconds",
        samples: Samples::Programs(|target| target.created),
    },
    Own {
        name: OWN_NAMES[5],
        help: "Whether the program may still publish; 0 with its final values.",
        unit: "",
        samples: Samples::Programs(|target| Some(f64::from(u8::from(target.is_live)))),
    },
];

impl Own {
    /// Calls `each` with the labels of a program, as text, a label of its own, and the value.
    pub(crate) fn samples(
        &self,
        catalogue: &Catalogue,
        targets: &[Target<'_>],
        mut each: impl FnMut(&str, Option<(&'static str, &'static str)>, f64),
    ) {
        match self.samples {
            Samples::Programs(value) => {
                let programs = catalogue.programs.iter().zip(targets);
                for (program, target) in programs.filter(|(program, _)| !program.is_twin) {
                    if let Some(value) = value(target) {
                        each(&program.labels, None, value);
                    }
                }
            }
            #[allow(clippy::cast_precision_loss)] // A number of programs.
            Samples::Dropped => each("", None, catalogue.dropped as f64),
            Samples::Losses => {
                for (loss, count) in catalogue.losses().iter() {
                    #[allow(clippy::cast_precision_loss)] // A number of fields.
                    each("", Some(("step", loss.name())), count as f64);
                }
            }
        }
    }
}
