//! `flatfire forget`: resources are erased, with everything that was made of them, and kept out for good.

mod objects;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use clap::Args;
use flatten::reference::{Reference, parse};
use pipeline::erasure::Eraser;
use pipeline::interrupted::Interrupted;
use pipeline::store::admin::KeptOut;
use pipeline::store::standing::Standing;
use pipeline::store::{Store, StoreError};
use serde_json::{Value, json};

use crate::compartment::{self, Compartment};
use crate::console;
use crate::kept_out;
use crate::outcome::Outcome;
use crate::settings::Destination;

use objects::ErasedObjects;
use record::Warrant;

/// Erase resources for good, and keep them out of the tables.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct ForgetArguments {
    #[command(flatten)]
    destination: Destination,
    /// Why; it is kept in `_erasures`, so it should not name the person
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["dry_run", "lift"])]
    #[arg(value_parser = some_words)]
    reason: Option<String>,
    /// Erase everything that belongs to this patient alone
    #[arg(long)]
    compartment: bool,
    /// With --compartment: erase these types too, though they speak of others; such as `Group,List`
    #[arg(long, value_name = "TYPES", value_delimiter = ',', requires = "compartment")]
    types: Vec<String>,
    /// Only show what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Erase without asking
    #[arg(long)]
    yes: bool,
    /// Let erased resources in again; nothing comes back before it is loaded again
    #[arg(long, conflicts_with_all = ["compartment", "dry_run"])]
    lift: bool,
    /// Who erases, for `_erasures`; by default the user of this machine
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true)]
    by: Option<String>,
    /// Print JSON, an object a line: `resource` and `outcome` (found, stays, nowhere, erased, failed, let-in), or `advice`
    #[arg(long)]
    json: bool,
    /// The resources, as `Patient/123`
    #[arg(required = true, value_name = "TYPE/ID")]
    keys: Vec<String>,
}

const NOTES: &str = "\
No version of an erased resource comes back, from whichever file and with whichever time, until `forget --lift`. What
remains: a mark that keeps it out and does not say its key, and in `_erasures` who, when, why, and which objects held it.

A compartment is HL7's of FHIR R4 and R5. What also names another patient, or contains one, is listed and stays; so do
Group, List, CareTeam, Provenance and AuditEvent, unless --types names them.

Not in the database, and so not erased here: the original files (the commands that remove them are printed; older
versions are found by `flatfire find`), backups, the database's own log, and whoever has copied rows.

Exit codes: 0 erased, 2 some of it stands nowhere, 1 failed.";

/// What is going to be erased, and what is known of it.
struct ErasurePlan {
    standing: BTreeMap<String, Standing>,
    /// Keys of which nothing stands.
    nowhere: Vec<String>,
    spared: BTreeMap<String, String>,
    objects: ErasedObjects,
}

/// Erases what the arguments name, or lets it in again.
pub(crate) async fn run(arguments: ForgetArguments) -> anyhow::Result<Outcome> {
    let keys: BTreeSet<String> =
        arguments.keys.iter().map(|key| resource_key(key)).collect::<anyhow::Result<_>>()?;
    if let Some(wrong) = keys.iter().find(|key| arguments.compartment && !key.starts_with("Patient/")) {
        bail!("--compartment: {wrong} is no patient");
    }
    let store = arguments.destination.connect().await?;
    let store = &*store;
    compartment::check_types(store, &arguments.types).await?;
    if arguments.lift {
        return lift(store, &arguments, &keys).await;
    }
    has_its_archive(store).await?;
    let plan = ErasurePlan::of(store, &arguments, &keys).await?;
    plan.print(store, &arguments).await?;
    let outcome = if plan.nowhere.is_empty() { Outcome::Done } else { Outcome::Partial };
    if arguments.dry_run || plan.standing.is_empty() || !is_wanted(&arguments, plan.standing.len())? {
        return Ok(outcome);
    }
    Ok(outcome.max(erase(store, &arguments, &plan).await?))
}

/// Refuses an archive that is not the one that loads have filled: a copy would stay there.
async fn has_its_archive(store: &dyn Store) -> anyhow::Result<()> {
    if store.is_other_archive().await? {
        bail!(
            "loads have archived resources, and the archive `{}` is empty; name theirs with --archive",
            store.archive_database()
        );
    }
    Ok(())
}

/// Returns the key that a text names, by type and id.
pub(crate) fn resource_key(text: &str) -> anyhow::Result<String> {
    match parse(text) {
        Reference::Resource { resource_type, id } if text == format!("{resource_type}/{id}") => {
            Ok(text.to_owned())
        }
        // A resource without an id has a key made of its bytes.
        _ if text.split_once("/~").is_some_and(|(_, digest)| digest.len() == 32) => Ok(text.to_owned()),
        _ => bail!("`{text}` names no resource; write it as Patient/123"),
    }
}

impl ErasurePlan {
    async fn of(
        store: &dyn Store,
        arguments: &ForgetArguments,
        keys: &BTreeSet<String>,
    ) -> Result<Self, StoreError> {
        let mut wanted = Compartment { members: keys.clone(), ..Compartment::default() };
        if arguments.compartment {
            let types: BTreeSet<String> = arguments.types.iter().cloned().collect();
            for patient in keys {
                let found = compartment::of(store, patient, &types).await?;
                wanted.members.extend(found.members);
                wanted.spared.extend(found.spared);
            }
            wanted.spared.retain(|key, _| !wanted.members.contains(key));
        }
        let standing = store.standing(&wanted.members).await?;
        let nowhere = keys.iter().filter(|key| !standing.contains_key(*key)).cloned().collect();
        let objects = ErasedObjects::of(store, standing.values()).await?;
        Ok(Self { standing, nowhere, spared: wanted.spared, objects })
    }

    /// Shows what goes, what stays and what is left to do, before anything is erased: afterwards it cannot be known.
    async fn print(&self, store: &dyn Store, arguments: &ForgetArguments) -> anyhow::Result<()> {
        for key in &self.nowhere {
            let known = kept_out::reason(store, key).await?.map(|reason| format!("; it is {reason}"));
            console::line(&format!(
                "flatfire: {key}: nothing of it stands anywhere{}",
                known.unwrap_or_default()
            ));
        }
        if arguments.json {
            return Ok(self.described().iter().try_for_each(console::print_json)?);
        }
        let outcome = if arguments.dry_run { "would be erased" } else { "to be erased" };
        for (key, standing) in &self.standing {
            console::print(&format!("{key}: {outcome}: {}", standing.listed()))?;
        }
        for (key, reason) in &self.spared {
            console::print(&format!("{key}: stays: {reason}"))?;
        }
        let advice = self.objects.advice();
        if !advice.is_empty() {
            console::print("# The original files held it; these commands remove it there:")?;
            advice.iter().try_for_each(|line| console::print(line))?;
            console::print(
                "# Other files may hold other versions: `flatfire find TYPE/ID --in s3://bucket/prefix`",
            )?;
        }
        Ok(())
    }
}

impl ErasurePlan {
    fn described(&self) -> Vec<Value> {
        let nowhere = self.nowhere.iter().map(|key| json!({ "resource": key, "outcome": "nowhere" }));
        let found = self
            .standing
            .iter()
            .map(|(key, standing)| json!({ "resource": key, "outcome": "found", "places": standing.places }));
        let spared = self.spared.iter();
        let spared =
            spared.map(|(key, reason)| json!({ "resource": key, "outcome": "stays", "reason": reason }));
        let advice = self.objects.advice().into_iter().map(|advice| json!({ "advice": advice }));
        nowhere.chain(found).chain(spared).chain(advice).collect()
    }
}

/// Asks on a terminal; elsewhere the arguments must say so.
fn is_wanted(arguments: &ForgetArguments, resources: usize) -> anyhow::Result<bool> {
    if arguments.yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked here; say --yes to erase, or --dry-run to look");
    }
    console::line(&format!("Erase {resources} resources for good? Type `erase`:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "erase" {
        return Ok(true);
    }
    bail!("nothing was erased")
}

async fn erase(
    store: &dyn Store,
    arguments: &ForgetArguments,
    plan: &ErasurePlan,
) -> anyhow::Result<Outcome> {
    let marks = store.erasure_marks().await?;
    let reason = arguments.reason.as_deref().unwrap_or_default();
    let warrant = Warrant::of(store, arguments.by.as_deref(), reason).await?;
    let eraser = Eraser::new(store, marks.clone());
    let mut outcome = Outcome::Done;
    for (key, standing) in &plan.standing {
        let objects = plan.objects.kept(standing, &marks);
        let record = warrant.begin(store, &marks.of_resource(key), &standing.places, objects).await?;
        match erase_one(store, &eraser, key, standing).await {
            Ok(()) => {
                record::end(store, &record).await?;
                print_outcome(arguments, key, "erased", "erased")?;
            }
            Err(error) => {
                if arguments.json {
                    console::print_json(&json!({ "resource": key, "outcome": "failed" }))?;
                }
                console::file_error(key, &format!("not erased, or not all of it: {error:#}"));
                outcome = Outcome::Failed;
            }
        }
    }
    for name in plan.objects.rename(store, &marks).await? {
        console::line(&format!(
            "flatfire: the name of {name} stays in the ledger: it is being loaded, or was loaded again meanwhile"
        ));
    }
    Ok(outcome)
}

/// Erases a resource, and makes sure that it is gone.
async fn erase_one(
    store: &dyn Store,
    eraser: &Eraser<'_>,
    key: &str,
    standing: &Standing,
) -> anyhow::Result<()> {
    let keys = BTreeSet::from([key.to_owned()]);
    let look = async || {
        let left = store.standing(&keys).await?.remove(key);
        Ok::<_, anyhow::Error>(left.map(|left| left.tables))
    };
    if eraser.erase(key, standing.tables.clone(), look).await.map_err(explained)? {
        return Ok(());
    }
    let left = store.standing(&keys).await?.remove(key).unwrap_or_default();
    if left.is_empty() { Ok(()) } else { bail!("somebody writes it again and again ({})", left.listed()) }
}

/// Replaces an interruption by the words that the command line has for it.
fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Interrupted>() {
        Ok(interrupted) => anyhow::Error::msg(console::explained(&interrupted)),
        Err(error) => error,
    }
}

/// Lets resources in again. Nothing of them may stand: a writer would take half of a resource for its own.
async fn lift(
    store: &dyn Store,
    arguments: &ForgetArguments,
    keys: &BTreeSet<String>,
) -> anyhow::Result<Outcome> {
    let reason = arguments.reason.as_deref().unwrap_or_default();
    let warrant = Warrant::of(store, arguments.by.as_deref(), reason).await?;
    let standing = store.standing(keys).await?;
    let mut outcome = Outcome::Done;
    for key in keys {
        let Some(KeptOut { mark, .. }) = store.kept_out(key).await? else {
            console::line(&format!("flatfire: {key}: was not erased"));
            outcome = outcome.max(Outcome::Partial);
            continue;
        };
        if let Some(left) = standing.get(key) {
            console::file_error(
                key,
                &format!("its erasure is not finished ({}); erase it again first", left.listed()),
            );
            outcome = Outcome::Failed;
        } else {
            store.remove_mark(key).await?;
            warrant.lift(store, &mark).await.context("the record of the erasure")?;
            print_outcome(arguments, key, "let-in", "let in again; load a file that holds it with --again")?;
        }
    }
    Ok(outcome)
}

/// Prints what became of a resource.
fn print_outcome(arguments: &ForgetArguments, key: &str, outcome: &str, words: &str) -> std::io::Result<()> {
    if arguments.json {
        console::print_json(&json!({ "resource": key, "outcome": outcome }))
    } else {
        console::print(&format!("{key}: {words}"))
    }
}

/// Checks that a reason says something.
fn some_words(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("a reason needs words".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::resource_key;

    #[test]
    fn keys_are_types_and_ids() {
        for good in ["Patient/123", "Patient/~0123456789abcdef0123456789abcdef"] {
            assert_eq!(resource_key(good).unwrap(), good);
        }
        for bad in
            ["Patient", "123", "Patient/a b", "https://x.example/Patient/1", "Patient/1/_history/2", ""]
        {
            assert!(resource_key(bad).is_err(), "{bad}");
        }
    }
}
