//! Errors of publishing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use mmstats_core::{AttachError, SpecError};

/// The reason why publishing failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: full disk, no permission, name taken, ...
    System(Arc<crate::backend::Error>),
    /// The declaration of a field breaks a rule of the format.
    Field {
        /// Label of the field.
        label: String,
        /// The broken rule.
        error: SpecError,
    },
    /// Two fields have the same label and attributes.
    Duplicate {
        /// The label.
        label: String,
    },
    /// A handle does not fit its field: the key belongs to another publisher.
    Attach(AttachError),
    /// A family has another number of labels than its handle: the key belongs to another
    /// publisher.
    Labels {
        /// Labels of the family.
        found: usize,
        /// Labels of the handle.
        wanted: usize,
    },
    /// A family has no labels.
    NoLabels {
        /// Label of its fields.
        label: String,
    },
    /// The file would exceed a limit of the format.
    TooLarge {
        /// Number of fields.
        fields: usize,
        /// Number of lanes.
        lanes: u32,
    },
    /// The file of an earlier run has other fields, so its values cannot continue.
    Schema {
        /// The file, which is unchanged.
        path: PathBuf,
        /// The first difference.
        difference: String,
    },
    /// A variable of the environment has a wrong value.
    Environment {
        /// Name of the variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that are allowed.
        rule: &'static str,
    },
    /// The call came from within the library: from a global allocator or a signal handler while the
    /// library was at work on the same thread.
    Reentrant,
    /// The name of an application is empty, or has more than 255 bytes.
    Application {
        /// The name.
        name: String,
    },
    /// A variable of the environment is set and ignored: the process has rights that its caller lacks
    /// (set-user-id, set-group-id, capabilities of its file).
    EnvironmentIgnored {
        /// Name of the variable.
        name: &'static str,
    },
    /// The process changed its user between two files: observers show the files of each user as a program
    /// of its own, and both as incomplete.
    Owners {
        /// A later file.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of the owner of the first file.
        first: u32,
    },
    /// The program has a global publisher already.
    Initialised,
    /// The sampling thread could not be started.
    Thread(std::io::ErrorKind),
    /// The publisher was closed.
    Closed,
    /// The publisher belongs to the parent process. A forked child publishes with one of its
    /// own.
    Forked,
    /// The publisher keeps its values in a file for the next run, which belongs to it alone: see
    /// [`Publisher::restart`](crate::Publisher::restart).
    Persistent,
    /// The file could not be written: a bug in this crate.
    Image(String),
}

impl Error {
    /// The variant, without its details.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::System(_) => ErrorCode::System,
            Self::Field { .. } => ErrorCode::Field,
            Self::Duplicate { .. } => ErrorCode::Duplicate,
            Self::Attach(_) => ErrorCode::Attach,
            Self::Labels { .. } | Self::NoLabels { .. } => ErrorCode::Labels,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Schema { .. } => ErrorCode::Schema,
            Self::Environment { .. } | Self::EnvironmentIgnored { .. } => ErrorCode::Environment,
            Self::Reentrant => ErrorCode::Reentrant,
            Self::Application { .. } => ErrorCode::Application,
            Self::Owners { .. } => ErrorCode::Owners,
            Self::Initialised => ErrorCode::Initialised,
            Self::Thread(_) => ErrorCode::Thread,
            Self::Closed => ErrorCode::Closed,
            Self::Forked => ErrorCode::Forked,
            Self::Persistent => ErrorCode::Persistent,
            Self::Image(_) => ErrorCode::Image,
        }
    }

    /// An error of writing an image that the checks before should have prevented.
    pub(crate) fn image(error: impl fmt::Display) -> Self {
        Self::Image(error.to_string())
    }

    /// There is no field, family or segment with this number.
    pub(crate) fn no_such_field(index: usize, count: usize) -> Self {
        let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self::Attach(AttachError::NoSuchField { index: number(index), count: number(count) })
    }
}

/// A short, stable name for each variant of [`Error`], for logs and alerts.
///
/// ```no_run
/// use mmstats::{Counter, ErrorCode, Options, Publisher, Stats};
///
/// #[derive(Stats)]
/// struct Web {
///     requests: Counter,
/// }
///
/// let web: Publisher<Web> = Options::new().or_private().start()?;
/// match web.problem().map(|problem| problem.code()) {
///     None => println!("published"),
///     Some(ErrorCode::System) => println!("not published: the system refused"),
///     Some(code) => println!("not published: {}", code.as_str()),
/// }
/// # Ok::<(), mmstats::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// [`Error::System`].
    System,
    /// [`Error::Field`].
    Field,
    /// [`Error::Duplicate`].
    Duplicate,
    /// [`Error::Attach`].
    Attach,
    /// [`Error::Labels`], [`Error::NoLabels`].
    Labels,
    /// [`Error::TooLarge`].
    TooLarge,
    /// [`Error::Schema`].
    Schema,
    /// [`Error::Environment`], [`Error::EnvironmentIgnored`].
    Environment,
    /// [`Error::Reentrant`].
    Reentrant,
    /// [`Error::Application`].
    Application,
    /// [`Error::Owners`].
    Owners,
    /// [`Error::Initialised`].
    Initialised,
    /// [`Error::Thread`].
    Thread,
    /// [`Error::Closed`].
    Closed,
    /// [`Error::Forked`].
    Forked,
    /// [`Error::Persistent`].
    Persistent,
    /// [`Error::Image`].
    Image,
}

impl ErrorCode {
    /// The name in lower case, as `too-large`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Field => "field",
            Self::Duplicate => "duplicate",
            Self::Attach => "attach",
            Self::Labels => "labels",
            Self::TooLarge => "too-large",
            Self::Schema => "schema",
            Self::Environment => "environment",
            Self::Reentrant => "reentrant",
            Self::Application => "application",
            Self::Owners => "owners",
            Self::Initialised => "initialised",
            Self::Thread => "thread",
            Self::Closed => "closed",
            Self::Forked => "forked",
            Self::Persistent => "persistent",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
            Self::NoLabels { label } => write!(f, "the family {label:?} has no labels"),
            Self::TooLarge { lanes: 0, .. } => f.write_str("a file has 1 to 65536 lanes, not 0"),
            Self::TooLarge { fields, lanes } => write!(
                f,
                "{fields} fields in {lanes} lanes exceed a limit of the format: 16777216 fields, \
                 65536 lanes, 4 GiB"
            ),
            Self::Forked => f.write_str("the publisher belongs to the parent process"),
            Self::Persistent => {
                f.write_str("a publisher that keeps its values in a file cannot be started again")
            }
            Self::Schema { path, difference } => write!(
                f,
                "{}: the values of the earlier run cannot continue: {difference}; restore the \
                 fields, or move the file away",
                path.display()
            ),
            Self::Environment { name, value, rule } => {
                write!(f, "{name} is {value:?}; it has to be {rule}")
            }
            Self::Reentrant => {
                f.write_str("called from within the library, by an allocator or a signal handler")
            }
            Self::Application { name } => {
                let len = name.len();
                write!(f, "the name of an application has 1 to 255 bytes, not {len}: {name:?}")
            }
            Self::EnvironmentIgnored { name } => write!(
                f,
                "{name} is ignored: the process has rights that its caller lacks (set-user-id, \
                 set-group-id or capabilities of its file)"
            ),
            Self::Owners { path, owner, first } => write!(
                f,
                "{} belongs to user {owner}, and the first file to user {first}: observers show two \
                 programs, both incomplete; start the publisher after the change of the user",
                path.display()
            ),
            Self::Initialised => f.write_str("the program has a global publisher already"),
            Self::Thread(kind) => write!(f, "cannot start the sampling thread: {kind}"),
            Self::Closed => f.write_str("the publisher is closed"),
            Self::Image(error) => write!(f, "cannot write the image: {error}"),
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
