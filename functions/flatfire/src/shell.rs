//! `flatfire completions` and `flatfire man`: what a shell and a reader of manuals want of the command line.

use std::io;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::outcome::Outcome;

/// Print the completions of a shell.
#[derive(Debug, Args)]
#[command(after_help = "For bash: flatfire completions bash > /etc/bash_completion.d/flatfire")]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page.
#[derive(Debug, Args)]
#[command(after_help = "To read it: flatfire man > flatfire.1; man ./flatfire.1")]
pub(crate) struct ManArguments {
    /// The command; by default the overview of all
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the completions.
pub(crate) fn completions(arguments: &CompletionsArguments, mut program: Command) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "flatfire", &mut text);
    print(&text)
}

/// Prints a manual page.
pub(crate) fn man(arguments: &ManArguments, mut program: Command) -> anyhow::Result<Outcome> {
    program.build();
    let command = match &arguments.command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => found.clone(),
            None => anyhow::bail!("there is no command `{name}`; `flatfire --help` lists all of them"),
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    print(&text)
}

/// Prints a text. A reader such as `head` may close the pipe early.
fn print(text: &[u8]) -> anyhow::Result<Outcome> {
    match io::Write::write_all(&mut io::stdout().lock(), text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Outcome::Done),
    }
}
