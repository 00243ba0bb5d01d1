//! Paths as they are shown.

use std::path::{Path, PathBuf};

use crate::text::escape;

/// How paths are shown: as they are, or those of images that were extracted into a temporary directory
/// by the file and the place in it.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    temporary: Option<PathBuf>,
}

impl Paths {
    /// Files of this directory are shown by their names alone, without the suffix: `core.1234@4096`.
    pub(crate) const fn within(temporary: PathBuf) -> Self {
        Self { temporary: Some(temporary) }
    }

    /// The path, escaped.
    pub(crate) fn shown(&self, path: &Path) -> String {
        match path.file_stem() {
            Some(name)
                if self.temporary.is_some() && path.parent() == self.temporary.as_deref() =>
            {
                escape::os(name)
            }
            _ => escape::path(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_hides_the_temporary_directory_alone() {
        let paths = Paths::within(PathBuf::from("/tmp/x"));
        assert_eq!(paths.shown(Path::new("/tmp/x/core.1@4096.mmst")), "core.1@4096");
        assert_eq!(paths.shown(Path::new("/tmp/y.mmst")), "/tmp/y.mmst");
        assert_eq!(Paths::default().shown(Path::new("y.mmst")), "y.mmst");
    }
}
