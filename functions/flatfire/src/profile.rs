//! The profile: a file of settings that stand in for options and variables of the environment that are not given.
//!
//! Its values become the defaults of the options. So an option comes before the environment, the environment before the
//! profile, and the profile before what the program does by itself.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, ValueEnum};
use serde::Deserialize;

use crate::settings::{
    DecimalsOption, IndexesOption, Layout, TablesOption, ValidateViews, is_empty, variable,
};

/// The profile that is used where it stands in the working directory.
const FILE: &str = "flatfire.toml";
/// The option that holds the connection string.
const URI: &str = "to";

/// The ids of the other options that a profile can give a value.
const IDS: [&str; 18] = [
    "archive",
    "queue_url",
    "views",
    "tables",
    "arrays",
    "narrative",
    "decimals",
    "extension_names",
    "resource_types",
    "checks",
    "gates",
    "inactive",
    "validate_views",
    "sql_schemas",
    "indexes",
    "retention_days",
    "ledger_days",
    "reject_days",
];

/// Which profile is used.
#[derive(Debug, Args)]
pub(crate) struct ProfileChoice {
    /// The file of settings; by default `flatfire.toml`, if it stands in the working directory
    #[arg(long, value_name = "FILE", env = "FLATFIRE_PROFILE", global = true, help_heading = "Profile")]
    profile: Option<PathBuf>,
    /// Settings of `[profile.NAME]` in that file come before its others
    #[arg(long, value_name = "NAME", env = "FLATFIRE_PROFILE_NAME", global = true, help_heading = "Profile")]
    profile_name: Option<String>,
}

/// A profile as it is written: settings for all names, and those of a name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProfileSettings {
    uri: Option<String>,
    /// The variable of the environment that holds the connection string, so that no password stands in a file.
    uri_env: Option<String>,
    archive: Option<String>,
    queue: Option<String>,
    views: Option<PathBuf>,
    tables: Option<TablesOption>,
    arrays: Option<Layout>,
    narrative: Option<bool>,
    decimals: Option<DecimalsOption>,
    extension_names: Option<PathBuf>,
    resource_types: Option<Vec<String>>,
    checks: Option<PathBuf>,
    gates: Option<PathBuf>,
    inactive: Option<Vec<String>>,
    validate_views: Option<ValidateViews>,
    sql_schemas: Option<bool>,
    indexes: Option<IndexesOption>,
    retention_days: Option<String>,
    ledger_days: Option<u32>,
    reject_days: Option<u32>,
    #[serde(default)]
    profile: BTreeMap<String, Self>,
}

/// The settings of a profile that is in use.
#[derive(Debug)]
pub(crate) struct SettingsProfile {
    /// Where it stands, and its name.
    pub(crate) label: String,
    uri: Option<ProfileUri>,
    /// Values by the ids of options.
    values: BTreeMap<&'static str, Vec<OsString>>,
}

/// Where a profile has the connection string.
#[derive(Debug)]
enum ProfileUri {
    Itself(String),
    Variable(String),
}

impl SettingsProfile {
    /// Finds the profile that the arguments choose, if the command has a setting that a profile can give.
    pub(crate) fn find(program: &Command, given: &ArgMatches) -> anyhow::Result<Option<Self>> {
        let (command, _) = innermost(program, given);
        if !command.get_arguments().any(is_setting) {
            return Ok(None);
        }
        let (path, name) = (given.get_one::<PathBuf>("profile"), given.get_one::<String>("profile_name"));
        let path = match path {
            Some(path) => path,
            None if Path::new(FILE).is_file() => Path::new(FILE),
            None if name.is_some() => {
                bail!("--profile-name: there is no {FILE} here; name it with --profile")
            }
            None => return Ok(None),
        };
        Self::read(path, name.map(String::as_str)).map(Some)
    }

    fn read(path: &Path, name: Option<&str>) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("--profile {}", path.display()))?;
        let mut written = parse(&text).map_err(|mistake| anyhow::anyhow!("{}:{mistake}", path.display()))?;
        let mut named = std::mem::take(&mut written.profile);
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut profile =
            Self { label: path.display().to_string(), uri: written.uri(), values: written.values(folder) };
        if let Some(name) = name {
            let names: Vec<_> = named.keys().cloned().collect();
            let Some(own) = named.remove(name) else {
                bail!("{}: there is no [profile.{name}]; it has: {}", path.display(), names.join(", "));
            };
            profile.label = format!("{} [profile.{name}]", profile.label);
            profile.uri = own.uri().or(profile.uri);
            profile.values.extend(own.values(folder));
        }
        Ok(profile)
    }

    /// Makes the settings the defaults of a program's options.
    pub(crate) fn fill(mut self, program: Command, given: &ArgMatches) -> anyhow::Result<Command> {
        let (command, given) = innermost(&program, given);
        // The worker may have it from a secret, which comes before the profile.
        let is_in_secret = command.get_name() == "work" && variable("MONGODB_SECRET_ARN").is_some();
        let is_given = matches!(
            given.try_contains_id(URI).ok().and_then(|_| given.value_source(URI)),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        let is_needed =
            command.get_arguments().any(|argument| argument.get_id() == URI && is_setting(argument));
        if is_needed && !is_given && !is_in_secret {
            let uri = match self.uri.take() {
                None => None,
                Some(ProfileUri::Itself(uri)) => Some(uri.into()),
                Some(ProfileUri::Variable(name)) => {
                    let missing = || format!("{}: uri-env: the variable {name} is not set", self.label);
                    Some(variable(&name).with_context(missing)?)
                }
            };
            self.values.extend(uri.map(|uri| (URI, vec![uri])));
        }
        Ok(fill(program, &self.values))
    }
}

/// Returns the command that is run, and what is given to it.
fn innermost<'a>(program: &'a Command, given: &'a ArgMatches) -> (&'a Command, &'a ArgMatches) {
    match given.subcommand() {
        Some((name, given)) => match program.find_subcommand(name) {
            Some(command) => innermost(command, given),
            None => (program, given),
        },
        None => (program, given),
    }
}

/// Returns whether a profile can give an option a value. A connection string that no variable can give chooses what the
/// command does.
fn is_setting(argument: &Arg) -> bool {
    let id = argument.get_id().as_str();
    IDS.contains(&id) || id == URI && argument.get_env().is_some()
}

fn fill(command: Command, values: &BTreeMap<&'static str, Vec<OsString>>) -> Command {
    let command = command.mut_args(|argument| match values.get(argument.get_id().as_str()) {
        Some(values) if is_setting(&argument) && expects_value(&argument, values) => {
            let is_secret = argument.get_id() == URI;
            argument.required(false).hide_default_value(is_secret).default_values(values.clone())
        }
        _ => argument,
    });
    command.mut_subcommands(|command| fill(command, values))
}

/// Returns whether an option expects one of these values: `flatfire index` builds no index for `none`.
fn expects_value(argument: &Arg, values: &[OsString]) -> bool {
    let possible = argument.get_possible_values();
    let is_possible = |value: &OsString| possible.iter().any(|one| OsStr::new(one.get_name()) == value);
    argument.get_id() != "indexes" || values.iter().all(is_possible)
}

/// Takes the variables of the environment away that are empty: they count as absent.
pub(crate) fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(name) if is_empty(name) => argument.env(Resettable::Reset),
        _ => argument,
    });
    command.mut_subcommands(without_empty_variables)
}

/// Reads a profile. A mistake is told with its line, and without the line's text, which may hold a password.
fn parse(text: &str) -> Result<ProfileSettings, String> {
    let written: ProfileSettings = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        format!("{line}: {}", error.message())
    })?;
    for (name, profile) in written.profile.iter().chain([(&String::new(), &written)]) {
        let at = if name.is_empty() { String::new() } else { format!(" [profile.{name}]:") };
        if profile.uri.is_some() && profile.uri_env.is_some() {
            return Err(format!("{at} give uri or uri-env, not both"));
        }
        if !name.is_empty() && !profile.profile.is_empty() {
            return Err(format!("{at} a named profile has no others in it"));
        }
    }
    Ok(written)
}

impl ProfileSettings {
    fn uri(&self) -> Option<ProfileUri> {
        let itself = self.uri.clone().map(ProfileUri::Itself);
        itself.or_else(|| self.uri_env.clone().map(ProfileUri::Variable))
    }

    /// Returns the values by the ids of options. Paths begin at the profile's folder.
    fn values(self, folder: &Path) -> BTreeMap<&'static str, Vec<OsString>> {
        let path = |path: Option<PathBuf>| path.map(|path| vec![folder.join(path).into_os_string()]);
        let text = |text: Option<String>| text.map(|text| vec![text.into()]);
        let switch = |switch: Option<bool>| switch.map(|is_on| vec![is_on.to_string().into()]);
        let list =
            |list: Option<Vec<String>>| list.map(|list| list.into_iter().map(OsString::from).collect());
        let all: [(&str, Option<Vec<OsString>>); 18] = [
            ("archive", text(self.archive)),
            ("queue_url", text(self.queue)),
            ("views", path(self.views)),
            ("tables", word(self.tables)),
            ("arrays", word(self.arrays)),
            ("narrative", switch(self.narrative)),
            ("decimals", word(self.decimals)),
            ("extension_names", path(self.extension_names)),
            ("resource_types", text(self.resource_types.map(|types| types.join(",")))),
            ("checks", path(self.checks)),
            ("gates", path(self.gates)),
            ("inactive", list(self.inactive)),
            ("validate_views", word(self.validate_views)),
            ("sql_schemas", switch(self.sql_schemas)),
            ("indexes", word(self.indexes)),
            ("retention_days", text(self.retention_days)),
            ("ledger_days", text(self.ledger_days.map(|days| days.to_string()))),
            ("reject_days", text(self.reject_days.map(|days| days.to_string()))),
        ];
        all.into_iter().filter_map(|(id, values)| Some((id, values?))).collect()
    }
}

/// Returns the word by which an option knows a choice.
fn word(choice: Option<impl ValueEnum>) -> Option<Vec<OsString>> {
    let value = choice?.to_possible_value()?;
    Some(vec![value.get_name().into()])
}
