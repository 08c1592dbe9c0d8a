//! The arguments that several commands share, and what they become; every mistake is reported at once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use flatten::automatic::{self, Arrays};
use flatten::catalog::{self, Catalog, Choices};
use flatten::decimals;
use flatten::indexes;
use flatten::model::ResourceTypes;
#[cfg(feature = "mongodb")]
use mongodb_store::Validation;
use pipeline::retention::{KeptDays, RetentionPolicy, RowRetention};
use serde::Deserialize;

include!(concat!(env!("OUT_DIR"), "/views.rs"));

/// What becomes of resources.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tables")]
pub(crate) struct Flattening {
    #[command(flatten)]
    views: Views,
    /// Which tables are filled; by default both, as the function does. `rows` prints the automatic ones alone unless it
    /// is given `--views`
    #[arg(long, value_enum, env = "FLATTEN_TABLES")]
    tables: Option<TablesOption>,
    /// Where the items of repeating elements go
    #[arg(long, value_enum, default_value_t = Layout::Embedded, env = "FLATTEN_ARRAYS")]
    arrays: Layout,
    /// Write the narrative of resources (`text_div`)
    #[arg(long, value_name = "BOOL", env = "FLATTEN_NARRATIVE", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    narrative: bool,
    /// A JSON object from extension URLs to column names, or the file that holds it
    #[arg(long, value_name = "FILE", env = "EXTENSION_NAMES")]
    extension_names: Option<PathBuf>,
    /// Checks of resources besides those of `checks.json`: a JSON array of {type, path, severity, message}, or its file
    #[arg(long, value_name = "FILE", env = "CHECKS")]
    checks: Option<PathBuf>,
    /// What goes to the archive instead of the tables: `TYPE` or `TYPE where <FHIRPath>`; may be given again
    #[arg(long, value_name = "TYPE", env = "INACTIVE_TYPES")]
    inactive: Vec<String>,
}

/// The variables that the options of [`LoadSettings`] read.
pub(crate) const TABLE_VARIABLES: [&str; 15] = [
    "FLATTEN_TABLES",
    "FLATTEN_ARRAYS",
    "FLATTEN_NARRATIVE",
    "DECIMALS",
    "EXTENSION_NAMES",
    "RESOURCE_TYPES",
    "INACTIVE_TYPES",
    "CHECKS",
    "GATES",
    "VALIDATE_VIEWS",
    "SQL_SCHEMAS",
    "INDEXES",
    "RETENTION_DAYS",
    "LEDGER_DAYS",
    "REJECT_DAYS",
];

/// How resources are loaded into a database: everything that decides what stands there afterwards.
#[derive(Debug, Args)]
pub(crate) struct LoadSettings {
    #[command(flatten)]
    flattening: Flattening,
    /// Keep the schema of each table in `__sql_schemas`, for MongoDB's SQL interface
    #[arg(long, value_name = "BOOL", env = "SQL_SCHEMAS", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(help_heading = "Tables")]
    sql_schemas: bool,
    /// The indexes that automatic tables, `_loads` and `_rejects` get while they are small; `flatfire index` makes them
    /// later
    #[arg(long, value_enum, default_value_t = IndexesOption::Keys, env = "INDEXES", help_heading = "Tables")]
    indexes: IndexesOption,
    /// What a file must be as a whole, else nothing of it is loaded: a JSON object of `max_reject_ratio`,
    /// `min_resources` and `required_types`, or its file
    #[arg(long, value_name = "FILE", env = "GATES", help_heading = "Tables")]
    gates: Option<PathBuf>,
    /// What the database does with documents that are not what their view says
    #[arg(long, value_enum, default_value_t = ValidateViews::Error, env = "VALIDATE_VIEWS")]
    #[arg(help_heading = "Tables")]
    validate_views: ValidateViews,
    #[command(flatten)]
    retention: RetentionSettings,
}

/// How long rows, entries of the ledger and rejects are kept. What is not given stays as the database has it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Retention")]
pub(crate) struct RetentionSettings {
    /// After how many days from the making of their file rows are deleted, by type: `Observation=3650,*=0`; 0 is never
    #[arg(id = "retention_days", long = "retention-days", value_name = "RULES", env = "RETENTION_DAYS")]
    rows: Option<RowRetention>,
    /// After how many days finished entries of the ledger and records of exports are deleted: at least 30; 0 is never
    #[arg(id = "ledger_days", long = "ledger-days", value_name = "DAYS", env = "LEDGER_DAYS")]
    #[arg(value_parser = KeptDays::of_ledger)]
    ledger: Option<KeptDays>,
    /// After how many days rejects are deleted; 0 is never
    #[arg(id = "reject_days", long = "reject-days", value_name = "DAYS", env = "REJECT_DAYS")]
    #[arg(value_parser = KeptDays::of_rejects)]
    rejects: Option<KeptDays>,
}

impl RetentionSettings {
    /// Returns the policy, if each of its rules is for a type that has tables.
    pub(crate) fn policy(&self, types: &ResourceTypes) -> Result<RetentionPolicy, InvalidOptions> {
        let mistake = |mistake| InvalidOptions { mistakes: vec![format!("--retention-days: {mistake}")] };
        let rows = self.rows.clone().map(|rows| rows.checked(types).map_err(mistake));
        let (ledger, rejects) = (self.ledger, self.rejects);
        Ok(RetentionPolicy { rows: rows.transpose()?, ledger, rejects })
    }
}

/// The views that are run, and how their cells are written.
#[derive(Debug, Args)]
pub(crate) struct Views {
    /// A folder of SQL on FHIR views (`ViewDefinition`, `*.json`), or one such file; without it Flatfire's own
    #[arg(id = "views", long = "views", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Resource types that have tables although no release of FHIR has them, by comma or space
    #[arg(long, value_name = "TYPES", default_value = "", hide_default_value = true, env = "RESOURCE_TYPES")]
    pub(crate) resource_types: String,
    /// How decimals are written
    #[arg(long, value_enum, default_value_t = DecimalsOption::Exact, env = "DECIMALS")]
    pub(crate) decimals: DecimalsOption,
}

/// How decimals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DecimalsOption {
    /// With the digits as written, as Decimal128 in MongoDB
    Exact,
    /// As doubles, with the exact text beside a double that is not the same number
    Double,
}

impl From<DecimalsOption> for decimals::Decimals {
    fn from(decimals: DecimalsOption) -> Self {
        match decimals {
            DecimalsOption::Exact => Self::Exact,
            DecimalsOption::Double => Self::Double,
        }
    }
}

/// Which tables are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TablesOption {
    /// One for each resource type
    Automatic,
    /// One for each view
    Views,
    /// All of these
    Both,
}

impl From<TablesOption> for catalog::Tables {
    fn from(tables: TablesOption) -> Self {
        match tables {
            TablesOption::Automatic => Self::Automatic,
            TablesOption::Views => Self::Views,
            TablesOption::Both => Self::Both,
        }
    }
}

/// Where the items of repeating elements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// Into array fields of the row
    Embedded,
    /// Into rows of tables of their own: the layout for CSV and SQL databases
    Tables,
}

/// Whether a database may be filled that another catalog has filled.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OtherCatalogs {
    /// Write also where other views or settings have filled the database: by default that stops the command
    #[arg(long = "catalog-differs-ok", help_heading = "Tables")]
    pub(crate) are_fine: bool,
}

/// The indexes of automatic tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IndexesOption {
    /// On the keys that joins use, identifiers and the code of the resource
    Keys,
    /// Also on every other key, on codings and on moments: at most 60 a table
    All,
    /// None but that on `_id`
    None,
}

impl From<IndexesOption> for indexes::Indexes {
    fn from(indexes: IndexesOption) -> Self {
        match indexes {
            IndexesOption::Keys => Self::Keys,
            IndexesOption::All => Self::All,
            IndexesOption::None => Self::None,
        }
    }
}

/// What the database does with documents that are not what their view says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValidateViews {
    /// Nothing: the collections have no validators, or they are switched off
    Off,
    /// It writes them; its own log tells of it and quotes them
    Warn,
    /// It refuses them
    Error,
}

#[cfg(feature = "mongodb")]
impl From<ValidateViews> for Validation {
    fn from(validate: ValidateViews) -> Self {
        match validate {
            ValidateViews::Off => Self::Off,
            ValidateViews::Warn => Self::Warn,
            ValidateViews::Error => Self::Error,
        }
    }
}

/// What a store does beside when it takes rows.
#[cfg(feature = "mongodb")]
pub(crate) struct Loading<'a> {
    /// Its views have validators.
    pub(crate) catalog: &'a Catalog,
    pub(crate) validation: Validation,
    pub(crate) sql_schemas: bool,
    pub(crate) indexes: indexes::Indexes,
    pub(crate) policy: RetentionPolicy,
}

/// Where rows stand.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct Destination {
    /// The database, as `mongodb://host:27017/database`
    #[arg(long, value_name = "URI", env = "MONGODB_URI", hide_env_values = true)]
    pub(crate) to: Uri,
    /// The database of archived resources; by default that of the rows with `_archive` behind its name
    #[arg(long, value_name = "DB", env = "ARCHIVE_DATABASE")]
    pub(crate) archive: Option<String>,
}

/// A connection string. It is a secret: nothing prints it.
#[derive(Clone)]
pub(crate) struct Uri(pub(crate) String);

/// All that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings are invalid\n{}", mistakes.join("\n"))]
pub(crate) struct InvalidOptions {
    mistakes: Vec<String>,
}

impl Uri {
    /// Returns what stands before `://`: the kind of the store.
    pub(crate) fn scheme(&self) -> Option<&str> {
        self.0.split_once("://").map(|(scheme, _)| scheme)
    }
}

impl From<String> for Uri {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Uri(…)")
    }
}

impl LoadSettings {
    /// Compiles the catalog that the settings describe.
    pub(crate) fn catalog(&self) -> Result<Arc<Catalog>, InvalidOptions> {
        match (self.flattening.catalog(self.gates.as_deref()), self.policy()) {
            (Ok(catalog), Ok(_)) => Ok(catalog),
            (Err(mut invalid), Err(more)) => {
                invalid.mistakes.extend(more.mistakes);
                Err(invalid)
            }
            (Err(invalid), Ok(_)) | (Ok(_), Err(invalid)) => Err(invalid),
        }
    }

    fn policy(&self) -> Result<RetentionPolicy, InvalidOptions> {
        self.retention.policy(&self.flattening.views.types())
    }

    /// Returns how a store is opened to load what the catalog makes.
    #[cfg(feature = "mongodb")]
    pub(crate) fn loading<'a>(&self, catalog: &'a Catalog) -> Loading<'a> {
        let (validation, indexes) = (self.validate_views.into(), self.indexes.into());
        // A mistake in it has been told with those of the catalog.
        let policy = self.policy().unwrap_or_default();
        Loading { catalog, validation, sql_schemas: self.sql_schemas, indexes, policy }
    }
}

impl Flattening {
    /// Returns the catalog that the settings describe. `gates` is a file of what a whole object must be.
    pub(crate) fn catalog(&self, gates: Option<&Path>) -> Result<Arc<Catalog>, InvalidOptions> {
        self.compile(self.tables.map_or(catalog::Tables::Both, catalog::Tables::from), gates).map(Arc::new)
    }

    /// Returns the same catalog for rows that are printed: those of views are among them when views are asked for.
    pub(crate) fn printed_catalog(&self) -> Result<Arc<Catalog>, InvalidOptions> {
        let default =
            if self.views.folder.is_some() { catalog::Tables::Both } else { catalog::Tables::Automatic };
        let catalog = self.compile(self.tables.map_or(default, catalog::Tables::from), None)?;
        Ok(Arc::new(catalog.for_rows_only()))
    }

    fn compile(&self, tables: catalog::Tables, gates: Option<&Path>) -> Result<Catalog, InvalidOptions> {
        let mut mistakes = Vec::new();
        let views = if tables == catalog::Tables::Automatic { Ok(Vec::new()) } else { self.views.texts() };
        let views = views.unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Vec::new()
        });
        let choices = Choices {
            tables,
            automatic: automatic::Settings {
                arrays: match self.arrays {
                    Layout::Embedded => Arrays::Embedded,
                    Layout::Tables => Arrays::Tables,
                },
                decimals: self.views.decimals.into(),
                narrative: self.narrative,
                extension_names: self.extension_names(&mut mistakes),
                resource_types: self.views.types(),
                ..automatic::Settings::default()
            },
            views,
            inactive: self.inactive.iter().flat_map(|rules| catalog::inactive_rules(rules)).collect(),
            checks: self.checks(&mut mistakes),
            gates: gates.and_then(|path| read_text(path, "--gates", &mut mistakes)),
        };
        let catalog = Catalog::compile(choices).map_err(|invalid| mistakes.push(invalid.to_string()));
        catalog.ok().filter(|_| mistakes.is_empty()).ok_or(InvalidOptions { mistakes })
    }

    fn checks(&self, mistakes: &mut Vec<String>) -> Vec<(String, String)> {
        let mut checks = vec![(CHECKS.0.to_owned(), CHECKS.1.to_owned())];
        if let Some(path) = &self.checks {
            let text = read_text(path, "--checks", mistakes);
            checks.extend(text.map(|text| (name_of(path, "CHECKS"), text)));
        }
        checks
    }

    fn extension_names(&self, mistakes: &mut Vec<String>) -> BTreeMap<String, String> {
        let Some(path) = &self.extension_names else { return BTreeMap::new() };
        let text = read_text(path, "--extension-names", mistakes).unwrap_or_else(|| "{}".to_owned());
        automatic::extension_names(&text).unwrap_or_else(|mistake| {
            mistakes.push(format!("--extension-names {}: {mistake}", name_of(path, "EXTENSION_NAMES")));
            BTreeMap::new()
        })
    }
}

/// Reads the file, or returns the JSON that stands in place of its name, as in the function's environment.
fn read_text(path: &Path, argument: &str, mistakes: &mut Vec<String>) -> Option<String> {
    if let Some(text) = json_text(path) {
        return Some(text.to_owned());
    }
    let text = fs::read_to_string(path);
    text.map_err(|error| mistakes.push(format!("{argument} {}: {error}", path.display()))).ok()
}

fn json_text(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.trim_start().starts_with(['{', '[']))
}

/// Returns the name under which a mistake in the text is told.
fn name_of(path: &Path, variable: &str) -> String {
    if json_text(path).is_some() { variable.to_owned() } else { path.display().to_string() }
}

/// Reads a variable of the environment; an empty one counts as absent, as in the function.
#[allow(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    if is_empty(OsStr::new(name)) { None } else { std::env::var_os(name) }
}

/// Returns whether a variable of the environment is set and empty.
#[allow(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
pub(crate) fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

impl Views {
    /// Returns the resource types that have tables.
    pub(crate) fn types(&self) -> ResourceTypes {
        ResourceTypes::read(&self.resource_types)
    }

    /// Returns the texts of the views, each with the name of its file.
    pub(crate) fn texts(&self) -> Result<Vec<(String, String)>, String> {
        let Some(path) = &self.folder else {
            return Ok(VIEWS.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect());
        };
        match read_views(path) {
            Ok(views) if !views.is_empty() => Ok(views),
            Ok(_) => Err(format!("{}: no file in it ends in .json", path.display())),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

/// Reads the views of a folder in the order of their names, or the one of a file.
fn read_views(path: &Path) -> io::Result<Vec<(String, String)>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
    }
    files.iter().map(|file| Ok((file.display().to_string(), fs::read_to_string(file)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Args as _, Command, Parser};

    use super::{LoadSettings, TABLE_VARIABLES};

    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        settings: LoadSettings,
    }

    #[test]
    fn the_command_line_reads_the_variables_of_the_function_that_shape_tables() {
        let command = LoadSettings::augment_args(Command::new("load"));
        let variables = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        assert_eq!(variables.collect::<BTreeSet<_>>(), BTreeSet::from(TABLE_VARIABLES));
    }

    #[test]
    fn the_function_and_the_command_line_make_the_same_catalog_of_the_same_settings() {
        let settings = [
            ("FLATTEN_TABLES", "--tables", "automatic"),
            ("FLATTEN_ARRAYS", "--arrays", "tables"),
            ("FLATTEN_NARRATIVE", "--narrative", "true"),
            ("DECIMALS", "--decimals", "double"),
            ("EXTENSION_NAMES", "--extension-names", r#"{"http://x.example/e":"mine"}"#),
            ("RESOURCE_TYPES", "--resource-types", "Odd"),
            ("INACTIVE_TYPES", "--inactive", "AuditEvent, Provenance; Encounter where status = 'planned'"),
            (
                "CHECKS",
                "--checks",
                r#"[{"type":"Patient","path":"id.exists()","severity":"warn","message":"m"}]"#,
            ),
            ("GATES", "--gates", r#"{"min_resources":1}"#),
        ];
        let uri = ("MONGODB_URI", Some("mongodb://host/".to_owned()));
        let mut fingerprints = BTreeSet::new();
        for count in 0..=settings.len() {
            let settings = settings.iter().take(count);
            let variables =
                settings.clone().map(|(variable, _, value)| (*variable, Some((*value).to_owned())));
            let variables: Vec<_> = variables.chain([uri.clone()]).collect();
            let function = ingest::FunctionSettings::from_environment_and(&variables).unwrap();
            let options = settings.map(|(_, option, value)| format!("{option}={value}"));
            let options = Options::parse_from(["load".to_owned()].into_iter().chain(options));
            let catalog = options.settings.catalog().unwrap();
            assert_eq!(catalog.fingerprint(), function.catalog().fingerprint(), "{variables:?}");
            fingerprints.insert(catalog.fingerprint().to_owned());
        }
        assert!(
            fingerprints.len() >= settings.len(),
            "all but gates show in the fingerprint: {fingerprints:?}"
        );
    }
}
