//! `flatfire schema`: the tables that views make, for databases and people.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use flatten::view::{Plan, schema};
use serde_json::{Map, Value as Json};

use crate::check::compile;
use crate::console;
use crate::outcome::Outcome;
use crate::settings::Views;

/// Print the schema of the tables that views make.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    #[command(flatten)]
    views: Views,
    /// What is printed
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Form,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One JSON object: for each table the `$jsonSchema` of a MongoDB validator
    JsonSchema,
    /// The statements of standard SQL that create the tables, and the indexes that joins need
    Sql,
    /// A line a column: table, column, type, FHIR datatype and path, separated by tabs
    Columns,
}

/// Prints the schema of all views.
pub(crate) fn run(arguments: &Schema) -> anyhow::Result<Outcome> {
    let catalog = compile(&arguments.views)?;
    let plans = catalog.plans();
    let text = match arguments.form {
        Form::JsonSchema => json_schemas(plans)?,
        Form::Sql => plans.iter().map(|plan| schema::sql(plan)).collect::<Vec<_>>().join("\n"),
        Form::Columns => plans.iter().map(|plan| schema::columns(plan)).collect(),
    };
    console::print(text.trim_end())?;
    Ok(Outcome::Done)
}

fn json_schemas(plans: &[Arc<Plan>]) -> serde_json::Result<String> {
    let schema = |plan: &Arc<Plan>| (plan.name().to_owned(), schema::json_schema(plan));
    let schemas: Map<String, Json> = plans.iter().map(schema).collect();
    serde_json::to_string_pretty(&schemas)
}
