//! The command line.

use std::ffi::OsString;

use clap::{ColorChoice, Command, CommandFactory as _, FromArgMatches as _, Parser};

use crate::command::args::exit_codes;

const AFTER_HELP: &str = if cfg!(feature = "demo") {
    "Try `mmstats demo`, and `mmstats help COMMAND`."
} else {
    "Try `mmstats help COMMAND`."
};

/// Look at running programs from outside: "/proc for your application".
///
/// Programs that use the mmstats library publish typed, labelled fields in a file each.
/// These commands read such files at any time, also when the program hangs, is stopped
/// in a debugger, or is dead.
#[derive(Debug, Parser)]
#[command(name = "mmstats", version, propagate_version = true)]
#[command(arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = AFTER_HELP)]
#[command(after_long_help = exit_codes!(
    "Examples:\n",
    "  mmstats ls                          programs that publish\n",
    "  mmstats show 1234                   fields of process 1234\n",
    "  mmstats top                         all of that on a full screen\n",
    "  mmstats serve --open                the same as a page in the browser\n",
    "  mmstats poll -d 2 'http.*' 1234     its rates, every two seconds\n",
    "  mmstats events -f                   lines of events as they come\n",
    "  mmstats clean --dry-run             files of dead programs\n",
    "\nPlaces of files:\n",
    "  The directory in MMSTATS_PATH if it is set; else the directories of this user:\n",
    "  /dev/shm/mmstats-UID (Linux), $XDG_RUNTIME_DIR/mmstats, and mmstats-UID in TMPDIR or /tmp.\n"
))]
pub(crate) struct Cli {
    /// When to use colours: auto, always or never; NO_COLOR is honoured.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: ColorChoice,

    #[command(subcommand)]
    pub(crate) command: crate::command::Command,
}

impl Cli {
    /// The definition of the command line. Paragraphs of long help are one line each, which is broken where the
    /// terminal ends.
    pub(crate) fn definition() -> Command {
        with_paragraphs(Self::command())
    }

    /// Parses arguments, of which the first one is the name of the program.
    ///
    /// # Errors
    ///
    /// If they are wrong, or ask for help.
    pub(crate) fn from_arguments(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut definition = Self::definition();
        let matches = definition.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
    }

    pub(crate) const fn color(&self) -> anstream::ColorChoice {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }
}

fn with_paragraphs(command: Command) -> Command {
    let long = command.get_after_long_help().map(|text| paragraphs(&text.to_string()));
    let command = command.mut_subcommands(with_paragraphs);
    match long {
        Some(long) => command.after_long_help(long),
        None => command,
    }
}

/// Joins the lines of each paragraph: neighbours that are not indented.
fn paragraphs(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut was_at_margin = false;
    for line in text.lines() {
        let at_margin = !line.is_empty() && !line.starts_with(' ');
        if !joined.is_empty() {
            joined.push(if at_margin && was_at_margin { ' ' } else { '\n' });
        }
        joined.push_str(line);
        was_at_margin = at_margin;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_joins_lines_at_the_margin() {
        let text = "One\ntwo.\n\nExamples:\n  mmstats a\n  mmstats b\nThree\nfour.\n";
        let want = "One two.\n\nExamples:\n  mmstats a\n  mmstats b\nThree four.";
        assert_eq!(paragraphs(text), want);
    }

    /// A letter means the same in every command.
    #[test]
    fn letters_have_one_meaning() {
        let mut meanings = std::collections::BTreeMap::new();
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                let Some(letter) = argument.get_short() else { continue };
                let long = argument.get_long().map(str::to_owned);
                let meaning = meanings.entry(letter).or_insert_with(|| long.clone());
                assert_eq!(*meaning, long, "-{letter} of {}", command.get_name());
            }
        }
        assert!(meanings.len() > 10, "{meanings:?}");
    }

    #[test]
    fn command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }
}
