//! The command line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{ColorChoice, Command, CommandFactory as _, FromArgMatches as _, Parser};

use crate::command::args::exit_codes;
use crate::model::similar;
use crate::render::help;

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
#[command(arg_required_else_help = true)]
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
    /// The definition of the command line, with help for the terminal.
    pub(crate) fn definition() -> Command {
        laid_out(Self::command(), width())
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
        let arguments = with_help_of_help(arguments);
        let matches = definition
            .try_get_matches_from_mut(arguments.clone())
            .map_err(|error| with_near_option(error, &definition, &arguments))?;
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

/// Help as wide as the terminal, and the names of options that several commands share.
fn laid_out(command: Command, width: usize) -> Command {
    let long = command.get_after_long_help().map(|text| help::lines(&text.to_string(), width));
    let command = command
        .term_width(width)
        .mut_args(|argument| match argument.get_long() {
            Some("delay") => argument.alias("every"),
            _ => argument,
        })
        .mut_subcommands(|command| laid_out(command, width));
    match long {
        Some(long) => command.after_long_help(long),
        None => command,
    }
}

/// Names the option that may have been meant, where `clap` advises to pass it as a value.
fn with_near_option(mut error: Error, root: &Command, arguments: &[OsString]) -> Error {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument || error.get(ContextKind::SuggestedArg).is_some()
    {
        return error;
    }
    let wrong = wrong.trim_start_matches('-').to_owned();
    let words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let command =
        words.fold(root, |command, word| command.find_subcommand(word).unwrap_or(command));
    let options = command.get_arguments().filter(|option| !option.is_hide_set());
    let options: Vec<&str> = options.filter_map(clap::Arg::get_long).collect();
    if let Some(near) = similar::names(&wrong, &options).first() {
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{near}")));
    }
    error
}

/// The columns of the terminal, at most [`MAX_WIDTH`].
fn width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| width.0.into());
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(columns).filter(|width| *width > 0).unwrap_or(MAX_WIDTH).min(MAX_WIDTH)
}

/// Maximum width of help, in columns.
const MAX_WIDTH: usize = 100;

/// `mmstats help --help` as `mmstats help help`: the command `help` takes names of commands alone.
fn with_help_of_help(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [_, command, option, ..] = &mut arguments[..]
        && command == "help"
        && (option == "--help" || option == "-h")
    {
        *option = OsString::from("help");
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

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
