//! `flatfire explain`: what a code means, what is missing because of it, and what to do.

mod codes;
mod interruptions;
mod stack;

use std::sync::LazyLock;

use clap::Args;
use pipeline::quality::{CheckDescription, QualityCheck};
use serde_json::{Value, json};

use crate::console;
use crate::outcome::Outcome;

use codes::{CODES, Code, CodeKind};
use interruptions::INTERRUPTIONS;
use stack::STACK;

/// Explain a code of a reject, an interruption or a load, a check, data quality, an alarm or a line of the log.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 explained, 1 there is no such code.")]
pub(crate) struct ExplainArguments {
    /// The code, such as `invalid-json` or `DeadLetterAlarm`; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Print JSON: an object of `code`, `kind`, `meaning`, `missing` and `remedy`, or an array of all
    #[arg(long)]
    json: bool,
}

/// Prints what is asked for.
pub(crate) fn run(arguments: &ExplainArguments) -> anyhow::Result<Outcome> {
    let Some(wanted) = &arguments.code else {
        if arguments.json {
            console::print_json(&all().map(described).collect())?;
            return Ok(Outcome::Done);
        }
        for code in all() {
            console::print(&format!("{:<24} {}", code.name, code.meaning))?;
        }
        return Ok(Outcome::Done);
    };
    let Some(code) = find(wanted) else {
        let similar = all().filter(|code| code.name.contains(wanted.as_str())).map(|code| code.name);
        let similar: Vec<&str> = similar.collect();
        console::line(&format!("flatfire: there is no code `{wanted}`{}", hint(&similar)));
        return Ok(Outcome::Failed);
    };
    if arguments.json {
        console::print_json(&described(code))?;
    } else {
        console::print(&explained(code))?;
    }
    Ok(Outcome::Done)
}

/// The checks of data quality, in the words of their findings.
static QUALITY: LazyLock<Vec<Code>> = LazyLock::new(|| {
    let code = |words: CheckDescription| Code {
        name: words.code,
        kind: CodeKind::Quality,
        meaning: words.meaning,
        missing: "",
        remedy: words.remedy,
    };
    QualityCheck::ALL.iter().map(|check| code(check.description())).collect()
});

fn all() -> impl Iterator<Item = &'static Code> {
    CODES.iter().chain(INTERRUPTIONS).chain(STACK).chain(QUALITY.iter())
}

/// Returns the code that is written so in the ledger or in the log: whole, without what follows a colon or a full stop,
/// or one word of it, as the number of a database's error.
fn find(wanted: &str) -> Option<&'static Code> {
    let heads = [Some(wanted), wanted.split_once(": ").map(|(head, _)| head)];
    let heads = heads.into_iter().chain([wanted.split_once(['.', ' ']).map(|(head, _)| head)]).flatten();
    let whole = heads.map(str::to_owned).find_map(|head| all().find(|code| code.name == head));
    whole.or_else(|| all().find(|code| numbered(code.name).is_some_and(|parts| parts.contains(&wanted))))
}

/// Splits the code of a database's error into its number and its name.
fn numbered(name: &str) -> Option<[&str; 2]> {
    let (number, name) = name.split_once(' ')?;
    number.parse::<u32>().is_ok().then_some([number, name])
}

/// Returns what a code means, in one sentence.
pub(crate) fn meaning_of(name: &str) -> Option<&'static str> {
    all().find(|code| code.name == name).map(|code| code.meaning)
}

/// Returns what to do about a code, in one sentence.
pub(crate) fn remedy_of(name: &str) -> Option<&'static str> {
    all().find(|code| code.name == name).map(|code| code.remedy)
}

fn hint(similar: &[&str]) -> String {
    match similar {
        [] => "; `flatfire explain` lists all of them".to_owned(),
        similar => format!("; did you mean {}?", similar.join(", ")),
    }
}

fn described(code: &Code) -> Value {
    let Code { name, kind, meaning, missing, remedy } = code;
    json!({ "code": name, "kind": kind.word(), "meaning": meaning, "missing": missing, "remedy": remedy })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn no_code_is_explained_twice() {
        let names: Vec<&str> = all().map(|code| code.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
