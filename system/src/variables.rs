//! The environment variables that choose where files are and how they are named.

/// The directory for files, in place of the default ones.
pub const DIRECTORY: &str = "MMSTATS_PATH";

/// The template for file names.
pub const FILE_NAMES: &str = "MMSTATS_FILES";
