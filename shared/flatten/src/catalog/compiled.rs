//! The catalog: the compiled choices of a deployment, which tell what tables a resource becomes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::automatic::{Arrays, Settings};
use crate::check::{Gates, ResourceCheck};
use crate::fhirpath::Predicate;
use crate::model::{ResourceTypes, UNKNOWN_TYPE};
use crate::reference::is_type;
use crate::view::{InvalidView, Plan};

use super::choices::{Choices, Tables};
use super::fingerprint::fingerprint;
use super::pool::FlattenerPool;

/// The compiled choices of a deployment.
#[derive(Debug, Default)]
pub struct Catalog {
    pub(super) tables: Tables,
    pub(super) automatic: Settings,
    plans: Vec<Arc<Plan>>,
    pub(super) inactive: Vec<Inactive>,
    checks: Vec<ResourceCheck>,
    gates: Gates,
    fingerprint: String,
    /// Whether the caller reads rows only, and neither findings nor the dictionary.
    only_rows: bool,
    pub(super) pool: FlattenerPool,
}

/// A rule that sends resources whole to the archive.
#[derive(Debug)]
pub(super) struct Inactive {
    pub(super) resource_type: String,
    pub(super) condition: Option<Predicate>,
}

/// Everything that is wrong with a deployment's choices, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCatalog {
    /// Views that cannot be compiled, by the name of their file.
    pub views: Vec<(String, InvalidView)>,
    /// Everything else, in words.
    pub others: Vec<String>,
}

impl fmt::Display for InvalidCatalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views = self.views.iter().map(|(file, view)| format!("{file}: {view}"));
        let lines: Vec<String> = views.chain(self.others.iter().cloned()).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for InvalidCatalog {}

impl Catalog {
    /// Compiles a deployment's choices.
    pub fn compile(choices: Choices) -> Result<Self, InvalidCatalog> {
        let mut invalid = InvalidCatalog { views: Vec::new(), others: Vec::new() };
        let fingerprint = fingerprint(&choices);
        let plans = compile_views(&choices, &mut invalid);
        let types = &choices.automatic.resource_types;
        let inactive = choices.inactive.iter().filter_map(|rule| match Inactive::read(rule, types) {
            Ok(rule) => Some(rule),
            Err(problem) => {
                invalid.others.push(format!("inactive rule `{rule}`: {problem}"));
                None
            }
        });
        let inactive = inactive.collect();
        invalid.others.extend(types.mistakes());
        invalid.others.extend(crate::automatic::mistakes(&choices.automatic));
        let checks = compile_checks(&choices.checks, types, &mut invalid.others);
        let gates = choices.gates.as_ref();
        let gates = gates.map_or_else(Gates::default, |text| Gates::read(text, types, &mut invalid.others));
        if invalid.views.is_empty() && invalid.others.is_empty() {
            Ok(Self {
                tables: choices.tables,
                automatic: choices.automatic,
                plans,
                inactive,
                checks,
                gates,
                fingerprint,
                only_rows: false,
                pool: FlattenerPool::default(),
            })
        } else {
            Err(invalid)
        }
    }

    /// Returns the catalog for a caller that reads rows and rejects only. Its flatteners make no structural checks and
    /// count no columns: [`CatalogFlattener::findings`](super::CatalogFlattener::findings) has only the checks of the
    /// deployment, and the dictionary is empty. Views alone are then filled without a walk through the whole resource.
    #[must_use]
    pub fn for_rows_only(self) -> Self {
        Self { only_rows: true, ..self }
    }

    /// Returns whether the caller reads rows and rejects only.
    #[must_use]
    pub const fn is_for_rows_only(&self) -> bool {
        self.only_rows
    }

    /// Returns the compiled views, in the order in which they were given.
    #[must_use]
    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.plans
    }

    /// Returns the deployment's own checks.
    #[must_use]
    pub fn checks(&self) -> &[ResourceCheck] {
        &self.checks
    }

    /// Returns the conditions that an object must meet before anything of it is written.
    #[must_use]
    pub const fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Returns sixteen hex digits that differ between any two choices, to tell rows of one catalog from another's.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn has_automatic(&self) -> bool {
        self.tables != Tables::Views
    }

    pub(super) fn has_views(&self) -> bool {
        self.tables != Tables::Automatic
    }
}

impl Inactive {
    fn read(rule: &str, types: &ResourceTypes) -> Result<Self, String> {
        let (name, condition) =
            rule.split_once(" where ").map_or((rule, None), |(name, path)| (name, Some(path)));
        let resource_type = name.trim().to_owned();
        if !is_type(&resource_type) {
            return Err("it should be `Type` or `Type where <FHIRPath>`".to_owned());
        }
        if !types.contains(&resource_type) {
            return Err(
                "no release of FHIR has such a resource type, and RESOURCE_TYPES does not name it".to_owned()
            );
        }
        let condition = condition.map(|path| Predicate::compile(&resource_type, path.trim())).transpose();
        Ok(Self { resource_type, condition: condition.map_err(|invalid| invalid.to_string())? })
    }
}

/// Compiles the checks of all files. No two checks of any files may have one name.
fn compile_checks(
    files: &[(String, String)],
    types: &ResourceTypes,
    mistakes: &mut Vec<String>,
) -> Vec<ResourceCheck> {
    let (mut checks, mut names) = (Vec::new(), BTreeSet::new());
    for (file, text) in files {
        for check in ResourceCheck::read_all(file, text, types, mistakes) {
            if names.insert(check.name().to_owned()) {
                checks.push(check);
            } else {
                mistakes.push(format!("{file}: two checks are called `{}`", check.name()));
            }
        }
    }
    checks
}

/// Returns whether automatic rows can have a table of that name for parts of a resource.
fn is_name_of_part(name: &str, settings: &Settings) -> bool {
    let (types, arrays) = (&settings.resource_types, settings.arrays);
    name.split_once('_').is_some_and(|(resource_type, part)| {
        (types.contains(resource_type) || resource_type == UNKNOWN_TYPE)
            && (arrays == Arrays::Tables || part == "contained")
    })
}

fn compile_views(choices: &Choices, invalid: &mut InvalidCatalog) -> Vec<Arc<Plan>> {
    let (mut plans, mut names) = (Vec::new(), BTreeSet::new());
    let types = &choices.automatic.resource_types;
    for (file, text) in &choices.views {
        let view = match serde_json::from_str(text) {
            Ok(view) => view,
            Err(error) => {
                invalid.others.push(format!(
                    "{file}: no JSON at line {}, column {}",
                    error.line(),
                    error.column()
                ));
                continue;
            }
        };
        match Plan::compile_for(&view, types) {
            Ok(plan) if types.contains(plan.name()) || plan.name() == UNKNOWN_TYPE => {
                invalid
                    .others
                    .push(format!("{file}: `{}` is the name of a resource type's own table", plan.name()));
            }
            Ok(plan) if is_name_of_part(plan.name(), &choices.automatic) => {
                invalid.others.push(format!(
                    "{file}: `{}` can be the name of a table of the automatic rows",
                    plan.name()
                ));
            }
            Ok(plan) if !names.insert(plan.name().to_owned()) => {
                invalid.others.push(format!("{file}: another view is called `{}`", plan.name()));
            }
            Ok(plan) => plans.push(Arc::new(plan.with_decimals(choices.automatic.decimals))),
            Err(view) => invalid.views.push((file.clone(), view)),
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::{Catalog, Choices};

    #[test]
    fn every_mistake_is_told_at_once() {
        let view = |name: &str, path: &str| {
            format!(
                r#"{{"name":"{name}","resource":"Patient","select":[{{"column":[{{"name":"a","path":"{path}"}}]}}]}}"#
            )
        };
        let views = vec![
            ("good.json".to_owned(), view("good", "id")),
            ("twin.json".to_owned(), view("good", "id")),
            ("own.json".to_owned(), view("Patient", "id")),
            ("part.json".to_owned(), view("Patient_contained", "id")),
            ("path.json".to_owned(), view("path", "name.nosuch()")),
            ("json.json".to_owned(), "{".to_owned()),
            ("unknown.json".to_owned(), view("Unknown", "id")),
            ("contained.json".to_owned(), view("Unknown_contained", "id")),
            ("rocket.json".to_owned(), view("rocket", "id").replace("Patient", "Rocket")),
        ];
        let inactive = vec!["Patient".to_owned(), "patient".to_owned(), "Patient where (".to_owned()];
        let invalid = Catalog::compile(Choices { views, inactive, ..Choices::default() }).unwrap_err();
        let text = invalid.to_string();
        for part in [
            "twin.json",
            "own.json",
            "part.json",
            "path.json",
            "nosuch",
            "json.json: no JSON at line 1",
            "unknown.json",
            "contained.json",
            "rocket.json",
            "`patient`",
            "`Patient where (`",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(!text.contains("good.json"), "{text}");
    }

    #[test]
    fn names_of_extensions_cannot_be_mistaken() {
        let compile = |names: &[(&str, &str)]| {
            let named = names.iter().map(|(url, name)| ((*url).to_owned(), (*name).to_owned()));
            let automatic =
                crate::automatic::Settings { extension_names: named.collect(), ..Default::default() };
            Catalog::compile(Choices { automatic, ..Choices::default() })
        };
        let race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
        assert!(compile(&[("http://a.example/x", "favouriteColour"), (race, "usCoreRace")]).is_ok());
        assert!(compile(&[("http://a.example/x", "home_town"), ("http://b.example/x", "homeTown")]).is_ok());
        for names in [
            &[("http://a.example/x", "home"), ("http://a.example/x|1", "house")][..],
            &[("http://a.example/x", "birthDate")],
            &[("http://a.example/x", "name_family")],
            &[("http://a.example/x", "deceased")],
            &[("http://a.example/x", "at")],
            &[("http://a.example/x", "choice_x")],
            &[("http://a.example/x", "usCoreRace")],
            &[("http://a.example/x", "home_abc123")],
            &[("http://a.example/x", "_home")],
            &[("http://a.example/x", "home"), ("http://b.example/x", "home")],
            &[("http://a.example/x", "home"), ("http://b.example/x", "home_town")],
        ] {
            let told = compile(names).unwrap_err().to_string();
            assert!(told.contains(&format!("`{}`", names[0].1)), "{told}");
        }
    }
}
