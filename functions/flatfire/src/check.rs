//! `flatfire check`: whether views compile, and the tables that they make.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use flatten::automatic;
use flatten::catalog::{Catalog, Choices};
use flatten::model::Primitive;
use flatten::view::{Plan, Profile, ViewColumn};
use serde_json::{Value, json};

use crate::console;
use crate::outcome::Outcome;
use crate::settings::{DecimalsOption, Views};

/// Compile views and print the tables they make, or every mistake in them.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all of them compile and fit the profile, 1 some do not.")]
pub(crate) struct CheckArguments {
    /// A folder of SQL on FHIR views (`ViewDefinition`, `*.json`), or one such file
    #[arg(value_name = "DIR")]
    views: PathBuf,
    /// Resource types that have tables although no release of FHIR has them, by comma or space
    #[arg(long, value_name = "TYPES", default_value = "", hide_default_value = true, env = "RESOURCE_TYPES")]
    resource_types: String,
    /// How decimals are written
    #[arg(long, value_enum, default_value_t = DecimalsOption::Exact, env = "DECIMALS")]
    decimals: DecimalsOption,
    /// Whether the views fit a profile of HL7 as well: to be shared between systems, or of simple values only
    #[arg(long, value_name = "PROFILE")]
    view_profile: Option<ProfileName>,
    /// Print a JSON array: `name`, `resourceType`, `atMostOneRow`, `columns` and `notices` of each table
    #[arg(long)]
    json: bool,
}

/// The profiles of `ViewDefinition`s.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileName {
    Shareable,
    Tabular,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Shareable => Self::Shareable,
            ProfileName::Tabular => Self::Tabular,
        }
    }
}

/// Prints the tables of all views.
pub(crate) fn run(arguments: &CheckArguments) -> anyhow::Result<Outcome> {
    let CheckArguments { views, resource_types, decimals, view_profile, json } = arguments;
    let views =
        Views { folder: Some(views.clone()), resource_types: resource_types.clone(), decimals: *decimals };
    let catalog = compile(&views)?;
    if let Some(name) = view_profile {
        check_profile(&views, *name)?;
    }
    if *json {
        let tables: Vec<_> = catalog.plans().iter().map(|plan| described(plan)).collect();
        console::print_json(&tables.into())?;
        return Ok(Outcome::Done);
    }
    let tables: Vec<_> = catalog.plans().iter().map(|plan| table(plan)).collect();
    console::print(&tables.join("\n\n"))?;
    for plan in catalog.plans() {
        for notice in plan.notices() {
            console::line(&format!("{}: {notice}", plan.name()));
        }
    }
    Ok(Outcome::Done)
}

/// Fails with everything that keeps one of the views from fitting the profile.
fn check_profile(views: &Views, name: ProfileName) -> anyhow::Result<()> {
    let mut violations = Vec::new();
    for (file, text) in views.texts().map_err(anyhow::Error::msg)? {
        let view = serde_json::from_str(&text).with_context(|| file.clone())?;
        let found = Profile::from(name).violations(&view);
        violations.extend(found.iter().map(|violation| format!("{file}: {violation}")));
    }
    if violations.is_empty() {
        return Ok(());
    }
    let name = name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    bail!("not {name}:\n{}", violations.join("\n"))
}

/// Compiles the views; the error lists every mistake in all of them.
pub(crate) fn compile(views: &Views) -> anyhow::Result<Catalog> {
    let automatic = automatic::Settings {
        resource_types: views.types(),
        decimals: views.decimals.into(),
        ..automatic::Settings::default()
    };
    let views = views.texts().map_err(anyhow::Error::msg)?;
    Ok(Catalog::compile(Choices { views, automatic, ..Choices::default() })?)
}

fn described(plan: &Plan) -> Value {
    let column = |column: &ViewColumn| {
        json!({
            "name": column.name, "type": column.cell.name(), "isList": column.collection,
            "fhirType": column.datatype.map(Primitive::name), "path": column.path,
        })
    };
    json!({
        "name": plan.name(), "resourceType": plan.resource_type(), "atMostOneRow": plan.at_most_one_row(),
        "columns": plan.columns().iter().map(column).collect::<Vec<_>>(),
        "notices": plan.notices().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn table(plan: &Plan) -> String {
    let mut table = console::table();
    table.set_header(["column", "type", "FHIR", "path"]);
    for column in plan.columns() {
        let array = if column.collection { "[]" } else { "" };
        let cell = format!("{}{array}", column.cell.name());
        let datatype = column.datatype.map_or("", |datatype| datatype.name());
        table.add_row([column.name.as_str(), &cell, datatype, &column.path]);
    }
    let rows = if plan.at_most_one_row() { "at most one row" } else { "any number of rows" };
    format!("{}: {rows} for each {}\n{table}", plan.name(), plan.resource_type())
}
