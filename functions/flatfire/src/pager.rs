//! The pager: a program that shows a long text on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::console;
use crate::settings::variable;

/// Ends at once where the text fits the screen, and leaves it there.
const DEFAULT: &str = "less -FRX";

/// Prints a text: through the pager on a terminal, to standard output elsewhere.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let is_seen = std::io::stdout().is_terminal();
    let Some(mut pager) = is_seen.then(start).flatten() else { return console::print(text) };
    if let Some(mut input) = pager.stdin.take() {
        // A reader who leaves has seen enough.
        writeln!(input, "{text}").ok();
    }
    pager.wait().map(drop)
}

/// Starts the pager of the environment, or `less`; `None` where neither is there.
fn start() -> Option<Child> {
    let chosen = variable("PAGER").and_then(|pager| pager.into_string().ok());
    let mut words = chosen.as_deref().unwrap_or(DEFAULT).split_whitespace();
    Command::new(words.next()?).args(words).stdin(Stdio::piped()).spawn().ok()
}
