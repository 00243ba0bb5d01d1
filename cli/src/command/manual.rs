//! `mmstats man` and `mmstats completions`: files for the system, made from the command line's
//! definition.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::output::Output;
use crate::render::help;
use crate::text::escape;

/// Origin of the pages.
const SOURCE: &str = concat!("mmstats ", env!("CARGO_PKG_VERSION"));

/// Print a manual page, or write all of them into a directory.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::args::exit_codes!(
    "Examples:\n",
    "  mmstats man | man -l -                          read the page of mmstats\n",
    "  mmstats man show | man -l -                     that of one command\n",
    "  mmstats man --into ~/.local/share/man/man1      install all: man mmstats-show\n"
))]
pub(crate) struct Man {
    /// The command; without it, the page of mmstats.
    #[arg(conflicts_with = "into")]
    command: Option<String>,
    /// Write mmstats.1, mmstats-ls.1 and all others into this directory, which is created if it is missing.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Print a script that completes commands and options.
#[derive(Debug, clap::Args)]
#[command(after_long_help = super::args::exit_codes!(
    "Examples:\n",
    "  mmstats completions bash > ~/.local/share/bash-completion/completions/mmstats\n",
    "  mmstats completions fish > ~/.config/fish/completions/mmstats.fish\n",
    "  mmstats completions zsh > ~/.zfunc/_mmstats      with fpath+=~/.zfunc before compinit\n"
))]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Prints the page or writes the pages.
pub(crate) fn man(args: &Man, root: Command, output: &mut Output) -> io::Result<()> {
    let mut root = root.disable_help_subcommand(true);
    // Gives each command the name `mmstats-COMMAND` to display.
    root.build();
    if let Some(directory) = &args.into {
        for (name, page) in pages(&root) {
            let path = directory.join(format!("{name}.1"));
            let shown = escape::path(&path);
            let written = std::fs::create_dir_all(directory);
            match written.and_then(|()| std::fs::write(&path, page)) {
                Ok(()) => writeln!(output, "{shown}")?,
                Err(error) => {
                    let why = crate::backend::reason_to_make(&path, &error);
                    output.fail(&format!("{shown}: cannot write: {}", escape::text(&why)));
                    return Ok(());
                }
            }
        }
        return Ok(());
    }
    let command = match &args.command {
        Some(name) => root.find_subcommand(name),
        None => Some(&root),
    };
    match command {
        Some(command) => output.write_all(&page(command.clone())),
        None => {
            let name = escape::text(args.command.as_deref().unwrap_or_default());
            output.usage(&format!("no command `{name}`; try `mmstats help`"));
            Ok(())
        }
    }
}

/// Prints the script.
pub(crate) fn completions(
    args: &Completions,
    mut root: Command,
    output: &mut Output,
) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "mmstats", &mut script);
    output.write_all(&script)
}

/// Name and text of the page of mmstats and of each command that help lists.
fn pages(root: &Command) -> Vec<(String, Vec<u8>)> {
    let mut pages = vec![("mmstats".to_owned(), page(root.clone()))];
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("mmstats-{}", command.get_name());
        pages.push((name, page(command.clone())));
    }
    pages
}

fn page(command: Command) -> Vec<u8> {
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let (lead, sections) = help::roff(&help);
    let command = command.after_help(None::<&str>).after_long_help(None::<&str>);
    let mut text = Vec::new();
    let written = clap_mangen::Man::new(command).source(SOURCE).render(&mut text);
    debug_assert!(written.is_ok(), "memory takes every page");
    let text = String::from_utf8_lossy(&text);
    let text = text.replacen(".SH OPTIONS\n", &format!("{lead}.SH OPTIONS\n"), 1);
    text.replacen(".SH VERSION\n", &format!("{sections}.SH VERSION\n"), 1).into_bytes()
}
