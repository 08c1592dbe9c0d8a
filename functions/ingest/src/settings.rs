//! The settings: the environment, read in this one place, every mistake reported at once.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use flatten::automatic::{self, Arrays};
use flatten::catalog::{self, Catalog, Choices, InvalidCatalog, Tables};
use flatten::decimals::Decimals;
use flatten::indexes::Indexes;
use flatten::model::ResourceTypes;
use pipeline::retention::{KeptDays, RetentionPolicy, RowRetention};
use process::random_name;

use crate::database::{Retention, StoreSettings, URI_RULE, Validation, is_database_name, is_uri};
use crate::log_names::{LogHash, LogKeys};
use crate::watched::{LargeObjects, Watched};

/// What a deployment can choose. Nothing behind it sees the environment.
#[derive(Debug)]
pub struct FunctionSettings {
    /// `MONGODB_URI` or `MONGODB_SECRET_ARN`: where the database is.
    pub(crate) connection: ConnectionSource,
    /// What the store is to be like.
    pub(crate) store: StoreSettings,
    /// `WATCHED_BUCKET`, `WATCHED_PREFIX`, `WATCHED_SUFFIX`: which objects are loaded; all.
    pub(crate) watched: Watched,
    /// `QUEUE_URL`: the queue that delivers the notifications and takes continuations.
    pub queue_url: Option<String>,
    /// `LOG_KEYS`: whether object keys stand in the log; hashed.
    pub(crate) log_keys: LogKeys,
    /// `LOG_KEY_SECRET`: what they are hashed with; a random value of the process.
    pub(crate) log_hash: LogHash,
    /// `LOG_LEVEL`; `info`.
    pub log_level: LogLevel,
    /// `AWS_ENDPOINT_URL` is set: a local cloud, whose buckets are no host names.
    pub(crate) path_style: bool,
    /// What resources become, by the [choices](Reader::choices) of the environment.
    pub(crate) catalog: Arc<Catalog>,
    /// `LARGE_OBJECT_QUEUE_URL`, `LARGE_OBJECT_MEGABYTES`: larger objects go to that queue; none do.
    pub(crate) large_objects: Option<LargeObjects>,
    /// `STACK_NAME`: the dimension of the metrics; without it no metrics are written.
    pub(crate) stack: Option<String>,
    /// `BATCH_MEGABYTES`: about how much is written to the database at once, in bytes; 4 MB.
    pub(crate) batch_bytes: usize,
}

/// Where the connection string of the database is found. It is a secret: nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ConnectionSource {
    /// It is this.
    Uri(String),
    /// It is the value of this secret of Secrets Manager.
    SecretArn(String),
}

/// What is logged. There is no `trace`: at that level the Lambda runtime prints whole payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What needs attention.
    Error,
    /// What did not go as it should, too.
    Warn,
    /// A line an object, too.
    Info,
    /// What helps to find a mistake, too.
    Debug,
}

/// All that is wrong with the environment. It names variables and rules, never values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings {
    mistakes: Vec<SettingMistake>,
    /// What is wrong with the rules in them: these are the deployment's own words, and are quoted.
    catalog: Option<InvalidCatalog>,
}

#[derive(Debug, PartialEq, Eq)]
struct SettingMistake {
    name: &'static str,
    rule: &'static str,
}

impl FunctionSettings {
    /// Reads the process's environment. An empty variable counts as absent: templates cannot leave one out.
    pub fn from_environment() -> Result<Self, InvalidSettings> {
        Self::from_environment_and(&[])
    }

    /// Reads the process's environment, and takes these variables from here where they have a value.
    #[allow(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
    pub fn from_environment_and(given: &[(&str, Option<String>)]) -> Result<Self, InvalidSettings> {
        Self::read(|name| {
            let given = given.iter().find(|(given, value)| *given == name && value.is_some());
            given.and_then(|(_, value)| value.clone().map(OsString::from)).or_else(|| std::env::var_os(name))
        })
    }

    /// Returns what resources become.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Replaces what decides how tables look, for callers that read it from options.
    #[must_use]
    pub fn with_tables(
        self,
        catalog: Arc<Catalog>,
        validation: Validation,
        sql_schemas: bool,
        indexes: Indexes,
    ) -> Self {
        let store = StoreSettings { validation, sql_schemas, indexes, ..self.store };
        Self { store, catalog, ..self }
    }

    /// Replaces how long rows, entries of the ledger and rejects are kept, for callers that read it from options.
    #[must_use]
    pub fn with_policy(self, policy: RetentionPolicy) -> Self {
        Self { store: StoreSettings { policy, ..self.store }, ..self }
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, InvalidSettings> {
        let mut reader = VariableReader { variable, mistakes: Vec::new(), invalid_catalog: None };
        let database = reader.database("MONGODB_DATABASE");
        let archive_database = reader.archive_database(database.as_deref());
        let store = StoreSettings {
            database,
            archive_database,
            retention: reader.retention(),
            policy: reader.policy(),
            validation: reader.choice(
                "VALIDATE_VIEWS",
                "off, warn or error",
                VALIDATION,
                Validation::default(),
            ),
            sql_schemas: reader.choice("SQL_SCHEMAS", "on or off", SWITCH, false),
            indexes: reader.choice("INDEXES", "keys, all or none", INDEXES, Indexes::default()),
        };
        let settings = Self {
            connection: reader.connection(),
            store,
            watched: reader.watched(),
            queue_url: reader.text_if("QUEUE_URL", "a URL that begins with https:// or http://", is_url),
            log_keys: reader.choice("LOG_KEYS", "hash or plain", LOG_KEYS, LogKeys::Hash),
            log_hash: LogHash::new(&reader.text("LOG_KEY_SECRET").unwrap_or_else(random_name)),
            log_level: reader.choice("LOG_LEVEL", "error, warn, info or debug", LOG_LEVELS, LogLevel::Info),
            path_style: reader.text("AWS_ENDPOINT_URL").is_some(),
            catalog: reader.catalog(),
            large_objects: reader.large_objects(),
            stack: reader.text("STACK_NAME"),
            batch_bytes: reader.batch_bytes(),
        };
        let VariableReader { mistakes, invalid_catalog: catalog, .. } = reader;
        if mistakes.is_empty() && catalog.is_none() {
            Ok(settings)
        } else {
            Err(InvalidSettings { mistakes, catalog })
        }
    }
}

impl LogLevel {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

const LOG_KEYS: &[(&str, LogKeys)] = &[("hash", LogKeys::Hash), ("plain", LogKeys::Plain)];
const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];
const TABLES: &[(&str, Tables)] =
    &[("automatic", Tables::Automatic), ("views", Tables::Views), ("both", Tables::Both)];
const VALIDATION: &[(&str, Validation)] =
    &[("off", Validation::Off), ("warn", Validation::Warn), ("error", Validation::Error)];
const ARRAYS: &[(&str, Arrays)] = &[("embedded", Arrays::Embedded), ("tables", Arrays::Tables)];
const DECIMALS: &[(&str, Decimals)] = &[("exact", Decimals::Exact), ("double", Decimals::Double)];
const INDEXES: &[(&str, Indexes)] =
    &[("keys", Indexes::Keys), ("all", Indexes::All), ("none", Indexes::None)];
const SWITCH: &[(&str, bool)] = &[("on", true), ("off", false)];
const TRUTH: &[(&str, bool)] = &[("true", true), ("false", false)];

const CONNECTION_RULE: &str = "give exactly one of MONGODB_URI and MONGODB_SECRET_ARN";
const DATABASE_RULE: &str = "a database name: up to 63 bytes, none of / \\ . \" $ * < > : | ? or a space";
const ARCHIVE_RULE: &str =
    "a name of its own, because `_archive` behind MONGODB_DATABASE is longer than 63 bytes";
const RETENTION_RULE: &str = "rules TYPE=DAYS between commas, such as Observation=3650,*=0: each type once, one that has \
     tables or * for all others, and a whole number of days from 0, which is for ever, to 24855";
const EXTENSIONS_RULE: &str = "a JSON object from extension URLs to column names of letters, digits and _";

/// Reads variables and remembers what is wrong with them.
struct VariableReader<F> {
    variable: F,
    mistakes: Vec<SettingMistake>,
    invalid_catalog: Option<InvalidCatalog>,
}

impl<F: Fn(&str) -> Option<OsString>> VariableReader<F> {
    fn text(&mut self, name: &'static str) -> Option<String> {
        let text = (self.variable)(name)?.into_string();
        let text = text.map_err(|_| self.mistake(name, "must be UTF-8")).ok()?;
        Some(text).filter(|text| !text.is_empty())
    }

    fn text_if(&mut self, name: &'static str, rule: &'static str, holds: fn(&str) -> bool) -> Option<String> {
        let text = self.text(name)?;
        if !holds(&text) {
            self.mistake(name, rule);
        }
        Some(text)
    }

    fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        rule: &'static str,
        known: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        known.iter().find(|(word, _)| *word == text).map_or_else(
            || {
                self.mistake(name, rule);
                default
            },
            |(_, value)| *value,
        )
    }

    fn connection(&mut self) -> ConnectionSource {
        let uri = self.text_if("MONGODB_URI", URI_RULE, is_uri);
        let secret = self.text_if("MONGODB_SECRET_ARN", "the ARN of a secret", |arn| arn.starts_with("arn:"));
        match (uri, secret) {
            (Some(uri), None) => ConnectionSource::Uri(uri),
            (None, Some(arn)) => ConnectionSource::SecretArn(arn),
            (Some(_), Some(_)) | (None, None) => {
                self.mistake("MONGODB_URI", CONNECTION_RULE);
                ConnectionSource::Uri(String::new())
            }
        }
    }

    fn database(&mut self, name: &'static str) -> Option<String> {
        self.text_if(name, DATABASE_RULE, is_database_name)
    }

    /// Reads the name of the archive. That it suits a database which the connection string names is seen at the
    /// connection.
    fn archive_database(&mut self, database: Option<&str>) -> Option<String> {
        let archive = self.database("ARCHIVE_DATABASE");
        let is_too_long =
            |name: &str| is_database_name(name) && !is_database_name(&format!("{name}_archive"));
        if archive.is_none() && database.is_some_and(is_too_long) {
            self.mistake("ARCHIVE_DATABASE", ARCHIVE_RULE);
        }
        if archive.is_some() && archive.as_deref() == database {
            self.mistake("ARCHIVE_DATABASE", "another database than MONGODB_DATABASE");
        }
        archive
    }

    fn watched(&mut self) -> Watched {
        Watched {
            bucket: self.text("WATCHED_BUCKET"),
            prefix: self.text("WATCHED_PREFIX").unwrap_or_default(),
            suffix: self.text("WATCHED_SUFFIX").unwrap_or_default(),
        }
    }

    fn catalog(&mut self) -> Arc<Catalog> {
        let choices = self.choices();
        crate::catalog::compile(choices).unwrap_or_else(|invalid| {
            self.invalid_catalog = Some(invalid);
            Arc::default()
        })
    }

    /// Reads what resources become:
    ///
    /// - `FLATTEN_TABLES`: which tables are written; both.
    /// - `FLATTEN_ARRAYS`, `FLATTEN_NARRATIVE`, `DECIMALS`, `EXTENSION_NAMES`.
    /// - `RESOURCE_TYPES`: types that have tables although no release of FHIR has them, by comma or space; none.
    /// - `INACTIVE_TYPES`: what goes to the archive instead of the tables, `Type` or `Type where <FHIRPath>`; nothing.
    /// - `CHECKS`: checks besides those of `checks.json`, which is compiled in: a JSON array of `{name, type, path,
    ///   severity, message}`, where `path` is a FHIRPath condition, severity `warn` or `reject`, and the name may be
    ///   left out; none.
    /// - `GATES`: what an object must be as a whole before anything of it is written, a JSON object of
    ///   `max_reject_ratio` (0 to 1), `min_resources` and `required_types`; with a gate objects are read twice; none.
    fn choices(&mut self) -> Choices {
        Choices {
            tables: self.choice("FLATTEN_TABLES", "automatic, views or both", TABLES, Tables::Both),
            automatic: self.automatic(),
            views: Vec::new(),
            inactive: self.inactive(),
            checks: self.text("CHECKS").map(|text| ("CHECKS".to_owned(), text)).into_iter().collect(),
            gates: self.text("GATES"),
        }
    }

    fn automatic(&mut self) -> automatic::Settings {
        let default = automatic::Settings::default();
        automatic::Settings {
            arrays: self.choice("FLATTEN_ARRAYS", "embedded or tables", ARRAYS, default.arrays),
            decimals: self.choice("DECIMALS", "exact or double", DECIMALS, default.decimals),
            narrative: self.choice("FLATTEN_NARRATIVE", "true or false", TRUTH, default.narrative),
            extension_names: self.extension_names(),
            resource_types: ResourceTypes::read(&self.text("RESOURCE_TYPES").unwrap_or_default()),
            ..default
        }
    }

    fn extension_names(&mut self) -> BTreeMap<String, String> {
        let Some(text) = self.text("EXTENSION_NAMES") else { return BTreeMap::new() };
        automatic::extension_names(&text).unwrap_or_else(|_| {
            self.mistake("EXTENSION_NAMES", EXTENSIONS_RULE);
            BTreeMap::new()
        })
    }

    fn inactive(&mut self) -> Vec<String> {
        catalog::inactive_rules(&self.text("INACTIVE_TYPES").unwrap_or_default())
    }

    fn large_objects(&mut self) -> Option<LargeObjects> {
        const RULE: &str =
            "give both LARGE_OBJECT_QUEUE_URL and LARGE_OBJECT_MEGABYTES, a whole number, or neither";
        let queue_url =
            self.text_if("LARGE_OBJECT_QUEUE_URL", "a URL that begins with https:// or http://", is_url);
        let megabytes = self.text("LARGE_OBJECT_MEGABYTES").filter(|text| text != "0");
        match (queue_url, megabytes.map(|text| text.parse::<u32>())) {
            (None, None) => None,
            (Some(queue_url), Some(Ok(megabytes))) => {
                Some(LargeObjects { queue_url, above: u64::from(megabytes) * 1_000_000 })
            }
            _ => {
                self.mistake("LARGE_OBJECT_MEGABYTES", RULE);
                None
            }
        }
    }

    fn batch_bytes(&mut self) -> usize {
        let megabytes = self.text("BATCH_MEGABYTES").map_or(Ok(4), |text| text.parse());
        // A message of the database's protocol ends at 48 MB.
        if let Ok(megabytes @ 1..=40) = megabytes {
            return megabytes * 1_000_000;
        }
        self.mistake("BATCH_MEGABYTES", "a whole number from 1 to 40");
        0
    }

    /// Reads the days that archived resources are kept, at most as long as a TTL index can say: its seconds are a
    /// 32-bit number.
    fn retention(&mut self) -> Retention {
        match self.text("ARCHIVE_DAYS").map_or(Ok(0), |text| text.parse()) {
            Ok(0) => Retention::Forever,
            Ok(days @ 1..=24_855) => Retention::Days(days),
            _ => {
                self.mistake("ARCHIVE_DAYS", "a whole number of days from 0, which is for ever, to 24855");
                Retention::Forever
            }
        }
    }

    /// Reads how long the rest is kept. What has no setting is kept for ever: an index that says otherwise is removed.
    fn policy(&mut self) -> RetentionPolicy {
        let types = ResourceTypes::read(&self.text("RESOURCE_TYPES").unwrap_or_default());
        let rows = RowRetention::read(&self.text("RETENTION_DAYS").unwrap_or_default(), &types);
        if rows.is_err() {
            self.mistake("RETENTION_DAYS", RETENTION_RULE);
        }
        let ledger = self.text("LEDGER_DAYS").map(|text| KeptDays::of_ledger(&text)).transpose();
        if ledger.is_err() {
            self.mistake("LEDGER_DAYS", "0, which is for ever, or a whole number of days from 30 to 24855");
        }
        let rejects = self.text("REJECT_DAYS").map(|text| KeptDays::of_rejects(&text)).transpose();
        if rejects.is_err() {
            self.mistake("REJECT_DAYS", "a whole number of days from 0, which is for ever, to 24855");
        }
        let [ledger, rejects] = [ledger, rejects].map(|kept| kept.ok().flatten().unwrap_or_default());
        RetentionPolicy { rows: rows.ok(), ledger: Some(ledger), rejects: Some(rejects) }
    }

    fn mistake(&mut self, name: &'static str, rule: &'static str) {
        self.mistakes.push(SettingMistake { name, rule });
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

impl fmt::Debug for ConnectionSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(_) => formatter.write_str("Uri(…)"),
            Self::SecretArn(arn) => formatter.debug_tuple("SecretArn").field(arn).finish(),
        }
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the settings are invalid")?;
        self.mistakes
            .iter()
            .try_for_each(|mistake| write!(formatter, "\n  {}: {}", mistake.name, mistake.rule))?;
        let catalog = self.catalog.as_ref().map(ToString::to_string).unwrap_or_default();
        catalog.lines().try_for_each(|line| write!(formatter, "\n  {line}"))
    }
}
