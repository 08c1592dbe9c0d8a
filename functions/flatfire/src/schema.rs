//! `flatfire schema`: the tables that views make, or those of a database, for databases and people.

#[cfg(feature = "mongodb")]
mod standing;
#[cfg(feature = "mongodb")]
mod types;

use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use flatten::view::{Plan, schema};
#[cfg(feature = "mongodb")]
use mongodb_store::sql_schema::{table_json, validator_json};
use serde_json::{Map, Value as Json};

use crate::check::compile;
use crate::console;
use crate::outcome::Outcome;
use crate::settings::Views;
#[cfg(feature = "mongodb")]
use crate::settings::{Destination, Uri};

#[cfg(feature = "mongodb")]
use standing::StandingTable;

/// Print the schema of the tables that views make, or of all tables of a database.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 failed.")]
pub(crate) struct SchemaArguments {
    #[command(flatten)]
    views: Views,
    /// Print the tables of this database instead: `mongodb://host:27017/database`
    #[cfg(feature = "mongodb")]
    #[arg(long, value_name = "URI", conflicts_with = "views")]
    to: Option<Uri>,
    /// What is printed
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: SchemaForm,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SchemaForm {
    /// A JSON array of the documents that MongoDB's SQL interface reads from `__sql_schemas`; needs `--to`
    Mongosql,
    /// One JSON object: for each table the `$jsonSchema` of a MongoDB validator
    JsonSchema,
    /// The statements of SQL that create the tables
    Sql,
    /// A line a column: table, column, type, FHIR datatype and path, separated by tabs
    Columns,
}

/// Prints the schema of all views, or that of the tables of a database.
pub(crate) async fn run(arguments: SchemaArguments) -> anyhow::Result<Outcome> {
    #[cfg(feature = "mongodb")]
    if let Some(to) = &arguments.to {
        console::print(of_database(to, arguments.form).await?.trim_end())?;
        return Ok(Outcome::Done);
    }
    console::print(of_views(&arguments.views, arguments.form)?.trim_end())?;
    Ok(Outcome::Done)
}

fn of_views(views: &Views, form: SchemaForm) -> anyhow::Result<String> {
    let catalog = compile(views)?;
    let plans = catalog.plans();
    Ok(match form {
        SchemaForm::Mongosql => bail!(
            "--as mongosql prints the schemas of a database, and none is named; add --to mongodb://host:27017/database"
        ),
        SchemaForm::JsonSchema => json_schemas(plans)?,
        SchemaForm::Sql => plans.iter().map(|plan| schema::sql(plan)).collect::<Vec<_>>().join("\n"),
        SchemaForm::Columns => plans.iter().map(|plan| schema::columns(plan)).collect(),
    })
}

fn json_schemas(plans: &[Arc<Plan>]) -> serde_json::Result<String> {
    let schema = |plan: &Arc<Plan>| (plan.name().to_owned(), schema::json_schema(plan));
    let schemas: Map<String, Json> = plans.iter().map(schema).collect();
    serde_json::to_string_pretty(&schemas)
}

#[cfg(feature = "mongodb")]
async fn of_database(to: &Uri, form: SchemaForm) -> anyhow::Result<String> {
    let store = Destination { to: to.clone(), archive: None }.connect().await?;
    let tables = standing::tables(&*store).await?;
    if tables.is_empty() {
        bail!(
            "the database `{}` has no tables that Flatfire knows: `__sql_schemas` and `_columns` are empty; load a file \
             first, or name another database in --to",
            store.database()
        );
    }
    let guessed = tables.iter().filter(|table| !table.is_exact).count();
    if guessed > 0 {
        console::line(&format!(
            "flatfire: {guessed} of {} tables have no entry in `__sql_schemas`: their types are those that `_columns` \
             expects; load with SQL_SCHEMAS=on (--sql-schemas) for the types that stand in the cells",
            tables.len()
        ));
    }
    Ok(match form {
        SchemaForm::Mongosql => {
            let documents = tables.iter().map(|table| table_json(&table.name, &table.schema));
            serde_json::to_string_pretty(&documents.collect::<Vec<_>>())?
        }
        SchemaForm::JsonSchema => {
            let schemas = tables.iter().map(|table| (table.name.clone(), validator_json(&table.schema)));
            serde_json::to_string_pretty(&schemas.collect::<Map<String, Json>>())?
        }
        SchemaForm::Sql => tables.iter().map(StandingTable::sql).collect::<Vec<_>>().join("\n"),
        SchemaForm::Columns => tables.iter().map(StandingTable::columns).collect(),
    })
}
