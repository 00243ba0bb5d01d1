//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mmstats_observe::Level;

/// What every command ends with in its long help.
macro_rules! exit_codes {
    ($($more:literal),*) => {
        concat!(
            $($more,)*
            "\nExit codes:\n",
            "  0  all is well\n",
            "  1  something that was named could not be read, or nothing matched\n",
            "  2  the command line was wrong",
        )
    };
}

/// Look at running programs from outside: "/proc for your application".
///
/// Programs that use the mmstats library publish typed, labelled fields in a file each.
/// These tools read such files, at any moment: also when the program hangs, is stopped
/// in a debugger, or is dead.
#[derive(Debug, Parser)]
#[command(name = "mmstats", version, propagate_version = true)]
#[command(arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Try `mmstats demo`, and `mmstats help COMMAND`.")]
#[command(after_long_help = exit_codes!(
    "Examples:\n",
    "  mmstats demo                        see it work\n",
    "  mmstats ls                          which programs publish\n",
    "  mmstats show 1234                   what program 1234 says\n",
    "  mmstats poll -d 2 'http.*' 1234     its rates, every two seconds\n",
    "  mmstats events -f                   what they say, as they say it\n",
    "  mmstats clean --dry-run             what dead programs left behind\n",
    "\nWhere files are looked for:\n",
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
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

impl Color {
    pub(crate) const fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the programs that publish, live and dead.
    Ls(Ls),
    /// Show the fields of programs with their values.
    Show(Show),
    /// Print a row of rates and values every second, like vmstat.
    Poll(Poll),
    /// Print the lines that programs recorded, merged by time.
    Events(Events),
    /// Remove the files that dead programs left behind.
    Clean(Clean),
    /// Check files against every rule of the format.
    Check(Check),
    /// Print every byte of a file with its meaning.
    Dump(Dump),
    /// Find images inside of other files: core dumps, memory of microcontrollers.
    Scan(Scan),
    /// Start a program that publishes, and watch it from outside.
    Demo(Demo),
    /// The program that `demo` watches.
    #[command(hide = true)]
    DemoPublisher(DemoPublisher),
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Columns: process id, program, state, time since it started publishing, number of fields\n",
    "and lanes (writing threads), file. States are live, closed (ended cleanly), dead (did not),\n",
    "and unknown (format 1 has nothing that proves it). Piped, the columns are separated by\n",
    "tabs, without a header, ages in seconds.\n",
    "\nExamples:\n",
    "  mmstats ls\n",
    "  mmstats ls 1234 /srv/stats\n",
    "  mmstats ls --json | jq -r '.files[] | select(.state == \"dead\").path'\n"
))]
pub(crate) struct Ls {
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,

    /// Files, directories or process ids [default: all files of this user].
    #[arg(value_name = "PATH|PID")]
    pub(crate) targets: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Values of the writing threads (lanes) are combined by each field's own rule. Files that\n",
    "are named are shown whatever their state, a process id's dead files if it has no live one.\n",
    "\nEach field has a level: info (for everybody), diagnostic (for a search for a cause) or debug\n",
    "(for the program's developers). Fields of level info are shown, piped too; with -v, --json\n",
    "or --filter those of all levels. --level says otherwise in every case. On a terminal the\n",
    "standard fields, sys.*, are shown from level diagnostic on: the header has the most of them.\n",
    "\nPiped, a value is a line: LABEL TAB VALUE TAB UNIT TAB PID TAB FILE. Numbers are exact\n",
    "and not grouped; timers are `count=.. sum=.. min=.. max=.. last=..` in nanoseconds; no\n",
    "value is `-`. Attributes follow the label as {key=\"value\"}, a lane as [0].\n",
    "\nExamples:\n",
    "  mmstats show\n",
    "  mmstats show -v --lanes 1234\n",
    "  mmstats show --level debug 1234\n",
    "  mmstats show --filter 'http.*' --filter '*.errors'\n",
    "  mmstats show --all | grep requests\n",
    "  mmstats show --json core-of-web.mmst | jq '.files[].fields[] | {label, value}'\n"
))]
pub(crate) struct Show {
    /// Show help, types, attributes and exact values too.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show each lane (writing thread) by itself.
    #[arg(short, long)]
    pub(crate) lanes: bool,

    /// Show dead and closed files too.
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Show only fields whose label matches, of any level; may be repeated.
    #[arg(short, long, value_name = "GLOB")]
    pub(crate) filter: Vec<String>,

    /// Show fields up to this level: info, diagnostic or debug (all) [default: info].
    #[arg(short = 'L', long, value_name = "LEVEL", hide_possible_values = true)]
    pub(crate) level: Option<MostLevel>,

    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,

    /// Files, directories or process ids [default: all live programs of this user].
    #[arg(value_name = "PATH|PID|DIR")]
    pub(crate) targets: Vec<OsString>,
}

/// As [`Level`], on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MostLevel {
    Info,
    Diagnostic,
    /// No field has a higher one.
    #[value(alias = "all")]
    Debug,
}

impl MostLevel {
    pub(crate) const fn level(self) -> Level {
        match self {
            Self::Info => Level::Info,
            Self::Diagnostic => Level::Diagnostic,
            Self::Debug => Level::Debug,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Counters are shown as rates per second, gauges as they are, timers as a rate and the mean\n",
    "duration. Values are summed over all live programs that match. As with vmstat, the first\n",
    "row is the average since the programs started; each later row is about the time since the\n",
    "row before. A program that starts meanwhile is taken in, one that ends is left out; when\n",
    "the last one that was named has ended, so does poll.\n",
    "\nThe header is repeated once a screen, or every 20 rows where the output is piped. There,\n",
    "numbers have no grouping and no units: bytes, seconds, per second; no value is `-`.\n",
    "\nExamples:\n",
    "  mmstats poll requests,errors\n",
    "  mmstats poll -d 5 -c 12 -p http. 'requests,latency' 1234\n",
    "  mmstats poll --json '*.bytes' | jq .fields\n"
))]
pub(crate) struct Poll {
    /// Seconds between rows.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) delay: Duration,

    /// End after this many rows [default: go on].
    #[arg(short, long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Put before each FIELD, and leave out of the header.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,

    /// Print one JSON document a row.
    #[arg(long)]
    pub(crate) json: bool,

    /// Labels, or globs for labels, separated by commas.
    #[arg(value_name = "FIELD,FIELD...")]
    pub(crate) fields: String,

    /// Files, directories or process ids [default: all live programs of this user].
    #[arg(value_name = "PATH|PID")]
    pub(crate) targets: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "An events field is a ring of the last lines of text with their times: the black box of a\n",
    "program. Lines of all rings, lanes and programs are merged in the order of their times.\n",
    "Programs that ended are read too, since what led to a crash is of most interest then;\n",
    "--live leaves them out. With -f, the last 10 lines (or -n) come first, then what is new,\n",
    "also of programs that start meanwhile; Ctrl-C ends it with code 0. Where lines were\n",
    "overwritten before they were seen, it is said how many.\n",
    "\nPiped, a line is TIME TAB PID TAB COMMAND TAB LABEL TAB LANE TAB TEXT, in UTC to the\n",
    "nanosecond, with control characters as \\n or \\u{1b}; lost lines are told on standard error.\n",
    "--json prints an object a line, the time in nanoseconds since 1970; lost lines are\n",
    "objects with \"lost\".\n",
    "\nExamples:\n",
    "  mmstats events -n 20\n",
    "  mmstats events -f --filter '*.errors' 1234\n",
    "  mmstats events /srv/stats/web.mmst | cut -f 1,6\n"
))]
pub(crate) struct Events {
    /// Go on with what is new, until Ctrl-C.
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print only the last N lines at first [default: all; with -f 10].
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,

    /// Print only lines of fields whose label matches; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Vec<String>,

    /// Leave out programs that ended, unless they are named.
    #[arg(short, long)]
    pub(crate) live: bool,

    /// Seconds between two looks, with -f.
    #[arg(short, long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds)]
    pub(crate) delay: Duration,

    /// Print a JSON document a line.
    #[arg(long)]
    pub(crate) json: bool,

    /// Files, directories or process ids [default: all files of this user].
    #[arg(value_name = "PATH|PID|DIR")]
    pub(crate) targets: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A file is removed only if it belongs to this user and its program is proven dead: nobody\n",
    "holds the lock of the file; for format 1, which has no lock, no process has the file's\n",
    "process id. Everything else stays, and the reason is said.\n",
    "\nExamples:\n",
    "  mmstats clean --dry-run\n",
    "  mmstats clean --keep 3\n",
    "  mmstats clean /srv/stats\n"
))]
pub(crate) struct Clean {
    /// Only say what would be done.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Keep the newest N of the dead files of each directory.
    #[arg(short, long, value_name = "N", default_value = "0")]
    pub(crate) keep: usize,

    /// Files or directories [default: the directories of this user].
    #[arg(value_name = "PATH")]
    pub(crate) targets: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A child process hashes and compresses this program's own bytes with several threads, and\n",
    "publishes what it does. This process knows the child's process id and nothing else: all\n",
    "that it shows comes from the file. Ctrl-C ends both, and the file is removed; if the child\n",
    "is killed, the file stays for `mmstats show --all`.\n",
    "\nExamples:\n",
    "  mmstats demo\n",
    "  mmstats demo --seconds 30 --threads 8\n",
    "  mmstats demo --seconds 3 | cat\n"
))]
pub(crate) struct Demo {
    /// End after this many seconds; 0 is never [default: 0 on a terminal, 10 piped].
    #[arg(short, long, value_name = "N")]
    pub(crate) seconds: Option<u32>,

    /// Number of working threads.
    #[arg(short, long, value_name = "N", default_value = "4",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Each line is FILE: CODE at byte OFFSET: what is wrong (FORMAT.md#CODE). Of a file that is\n",
    "refused the first broken rule is shown, else every damaged field and value, reserved bytes\n",
    "that are not zero, and names that are there twice. The exit code is 1 if any rule is broken.\n",
    "\nExamples:\n",
    "  mmstats check web.mmst\n",
    "  mmstats check /srv/stats/*.mmst | grep -v 'no rule broken'\n"
))]
pub(crate) struct Check {
    /// Files.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "A line is OFFSET, bytes, and what they are, in the order of the file; zeros that mean\n",
    "nothing are left out. Of an image that is refused the header is shown.\n",
    "\nExamples:\n",
    "  mmstats dump web.mmst | less\n"
))]
pub(crate) struct Dump {
    /// A file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_long_help = exit_codes!(
    "Looks for images of format 3 at every byte. Their fields are shown as `show` does, or they\n",
    "are written to a directory, as FILE@OFFSET.mmst, for all other commands. What begins like\n",
    "an image and is none is counted. The exit code is 1 if there is none.\n",
    "\nExamples:\n",
    "  mmstats scan core.1234\n",
    "  mmstats scan --extract /tmp/found ram.bin && mmstats show --all /tmp/found\n"
))]
pub(crate) struct Scan {
    /// Write the images to this directory, which is made if it is missing.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) extract: Option<PathBuf>,

    /// Only list the images.
    #[arg(short, long, conflicts_with = "extract")]
    pub(crate) list: bool,

    /// Show help, types, attributes and exact values too.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// A file of any kind.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoPublisher {
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
}

/// Seconds with a fraction, from a millisecond to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "not a number of seconds from 0.001 to 86400".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if (0.001..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn delays_are_sane() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
