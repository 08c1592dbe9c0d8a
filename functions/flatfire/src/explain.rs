//! `flatfire explain`: what a code means, what is missing because of it, and what to do.

mod codes;

use clap::Args;

use crate::console;
use crate::outcome::Outcome;

use codes::{CODES, Code};

/// Explain a code of a reject, an interruption or a load.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 explained, 1 there is no such code.")]
pub(crate) struct Explain {
    /// The code, such as `invalid-json`; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Prints what is asked for.
pub(crate) fn run(arguments: &Explain) -> anyhow::Result<Outcome> {
    let Some(wanted) = &arguments.code else {
        for code in CODES {
            console::print(&format!("{:<24} {}", code.name, code.meaning))?;
        }
        return Ok(Outcome::Done);
    };
    let Some(code) = CODES.iter().find(|code| code.name == wanted) else {
        let similar = CODES.iter().filter(|code| code.name.contains(wanted.as_str())).map(|code| code.name);
        let similar: Vec<&str> = similar.collect();
        console::line(&format!("flatfire: there is no code `{wanted}`{}", hint(&similar)));
        return Ok(Outcome::Failed);
    };
    console::print(&explained(code))?;
    Ok(Outcome::Done)
}

/// Returns what a code means, in one sentence.
pub(crate) fn meaning_of(name: &str) -> Option<&'static str> {
    CODES.iter().find(|code| code.name == name).map(|code| code.meaning)
}

fn hint(similar: &[&str]) -> String {
    match similar {
        [] => "; `flatfire explain` lists all of them".to_owned(),
        similar => format!("; did you mean {}?", similar.join(", ")),
    }
}

fn explained(code: &Code) -> String {
    let Code { name, kind, meaning, missing, remedy } = code;
    let mut lines = vec![format!("{name}: {}", kind.name()), format!("  what it means  {meaning}")];
    if !missing.is_empty() {
        lines.push(format!("  what is missing  {missing}"));
    }
    lines.push(format!("  what to do  {remedy}"));
    lines.join("\n")
}
