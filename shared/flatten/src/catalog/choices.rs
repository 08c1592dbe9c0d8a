//! Choices: what a deployment asks for, before it is compiled.

use crate::automatic::Settings;

/// What a deployment asks for, as it is written.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// Which tables are filled.
    pub tables: Tables,
    /// How automatic rows are made.
    pub automatic: Settings,
    /// `ViewDefinition`s, each with a name to call it by in errors (its file).
    pub views: Vec<(String, String)>,
    /// What goes whole to the archive instead of the tables: `Type` or `Type where <FHIRPath>`.
    pub inactive: Vec<String>,
    /// Checks of the deployment's own, JSON arrays as [`crate::check`] reads them, each with a name to call it by.
    pub checks: Vec<(String, String)>,
    /// What an object must be as a whole, as JSON: `{max_reject_ratio, min_resources, required_types}`.
    pub gates: Option<String>,
}

/// Chooses which tables are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tables {
    /// One table a resource type, by `docs/flattening.md`.
    Automatic,
    /// One table a view.
    Views,
    /// Both.
    #[default]
    Both,
}

/// Splits rules of what goes to the archive. Those with a condition stand between semicolons, because a condition may
/// have commas of its own. Whether a rule can be understood is found when the catalog is compiled.
#[must_use]
pub fn inactive_rules(text: &str) -> Vec<String> {
    let rules = text
        .split([';', '\n'])
        .flat_map(|rule| if rule.contains(" where ") { vec![rule] } else { rule.split(',').collect() });
    rules.map(str::trim).filter(|rule| !rule.is_empty()).map(str::to_owned).collect()
}
