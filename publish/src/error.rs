//! Why publishing failed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mmstats_core::{AttachError, SpecError};

/// Why publishing failed.
///
/// `Debug` says the same as `Display`, because that is what a `main` that returns an error
/// prints.
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: full disk, no permission, name taken, ...
    System(Arc<crate::backend::Error>),
    /// The declaration of a field breaks a rule of the format.
    Field {
        /// Its label.
        label: String,
        /// The rule.
        error: SpecError,
    },
    /// Two fields have the same label and attributes.
    Duplicate {
        /// The label.
        label: String,
    },
    /// A handle does not fit its field: the key belongs to another publisher.
    Attach(AttachError),
    /// The key of a family belongs to another publisher: the number of labels differs.
    Labels {
        /// The family's.
        found: usize,
        /// The handle's.
        wanted: usize,
    },
    /// The image would pass a limit of the format.
    TooLarge {
        /// Number of fields.
        fields: usize,
        /// Number of lanes.
        lanes: u32,
    },
    /// The file of an earlier run, whose values were to go on, has other fields.
    Schema {
        /// The file. It is left as it is.
        path: PathBuf,
        /// The first difference.
        what: String,
    },
    /// A variable of the environment makes no sense.
    Environment {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        rule: &'static str,
    },
    /// The program has a global publisher already.
    Initialised,
    /// The thread that samples could not be started.
    Thread(std::io::ErrorKind),
    /// The publisher was closed.
    Closed,
    /// The publisher belongs to the process that this one was forked off. A child that
    /// wants to be seen starts a publisher of its own.
    Forked,
    /// The image could not be written: a bug in this crate.
    Image(String),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(e) => e.fmt(f),
            Self::Field { label, error } => write!(f, "field {label:?}: {error}"),
            Self::Duplicate { label } => {
                write!(f, "two fields are called {label:?} with the same attributes")
            }
            Self::Attach(e) => e.fmt(f),
            Self::Labels { found, wanted } => {
                write!(f, "the family has {found} labels, the handle {wanted}")
            }
            Self::TooLarge { lanes: 0, .. } => f.write_str("a file has 1 to 65536 lanes, not 0"),
            Self::TooLarge { fields, lanes } => write!(
                f,
                "{fields} fields in {lanes} lanes pass a limit of the format: 16777216 fields, \
                 65536 lanes, 4 GiB"
            ),
            Self::Forked => f.write_str("the publisher belongs to the parent process"),
            Self::Schema { path, what } => write!(
                f,
                "{}: the values of the earlier run cannot go on: {what}; restore the fields, or \
                 move the file away",
                path.display()
            ),
            Self::Environment { name, value, rule } => {
                write!(f, "{name} is {value:?}; it has to be {rule}")
            }
            Self::Initialised => f.write_str("the program has a global publisher already"),
            Self::Thread(kind) => write!(f, "cannot start the sampling thread: {kind}"),
            Self::Closed => f.write_str("the publisher is closed"),
            Self::Image(what) => write!(f, "cannot write the image: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(e) => Some(&**e),
            Self::Field { error, .. } => Some(error),
            Self::Attach(e) => Some(e),
            _ => None,
        }
    }
}

impl From<crate::backend::Error> for Error {
    fn from(e: crate::backend::Error) -> Self {
        Self::System(Arc::new(e))
    }
}
