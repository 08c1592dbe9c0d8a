//! HL7's two profiles of `ViewDefinition`s, in SQL on FHIR 2.0 and 3.0: what a view that is shared has to say, and what a
//! view is whose cells are simple values.

use serde_json::{Map, Value as Json};

use super::definition::join;
use super::invalid::Mistake;

/// A profile of `ViewDefinition`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `ShareableViewDefinition`: its URL, name, FHIR versions and the type of each column are stated.
    Shareable,
    /// `TabularViewDefinition`: every column holds one primitive value, whose type is stated.
    Tabular,
}

/// The types that the invariant `primitives-only` lists. It leaves out `date` and `uri`.
const TABULAR_TYPES: [&str; 18] = [
    "base64Binary",
    "boolean",
    "canonical",
    "code",
    "dateTime",
    "decimal",
    "id",
    "instant",
    "integer",
    "integer64",
    "markdown",
    "oid",
    "positiveInt",
    "string",
    "time",
    "unsignedInt",
    "url",
    "uuid",
];

/// The codes of `ViewDefinition.status`.
const STATUS: [&str; 4] = ["draft", "active", "retired", "unknown"];

impl Profile {
    /// Returns what keeps a view from fitting the profile. That the view compiles is another question.
    ///
    /// ```
    /// use flatten::view::Profile;
    /// let view = serde_json::json!({
    ///     "status": "active", "name": "patients", "resource": "Patient",
    ///     "select": [{"column": [{"name": "active", "path": "active", "type": "boolean"}]}],
    /// });
    /// assert!(Profile::Tabular.violations(&view).is_empty());
    /// let missing: Vec<String> = Profile::Shareable.violations(&view).iter().map(|it| it.element.clone()).collect();
    /// assert_eq!(missing, ["url", "fhirVersion"]);
    /// ```
    #[must_use]
    pub fn violations(self, view: &Json) -> Vec<Mistake> {
        let mut found = Vec::new();
        let Some(view) = view.as_object() else { return vec![Mistake::new("", "a JSON object")] };
        if !text(view, "status").is_some_and(|status| STATUS.contains(&status)) {
            found.push(Mistake::new("status", format!("one of {}", STATUS.join(", "))));
        }
        if text(view, "resource").is_none() {
            found.push(Mistake::new("resource", "a resource type"));
        }
        if self == Self::Shareable {
            for (member, expected) in [("url", "the view's canonical URL"), ("name", "the view's name")] {
                if text(view, member).is_none() {
                    found.push(Mistake::new(member, expected));
                }
            }
            let versions = view.get("fhirVersion").and_then(Json::as_array);
            if !versions.is_some_and(|versions| !versions.is_empty() && versions.iter().all(Json::is_string))
            {
                found.push(Mistake::new(
                    "fhirVersion",
                    "the versions of FHIR that the view is for, as an array",
                ));
            }
        }
        self.selects(view, "select", "", &mut found);
        found
    }

    fn selects(self, owner: &Map<String, Json>, member: &str, at: &str, found: &mut Vec<Mistake>) {
        for (place, select) in objects(owner, member, at) {
            for (place, column) in objects(select, "column", &place) {
                self.column(column, &place, found);
            }
            self.selects(select, "select", &place, found);
            self.selects(select, "unionAll", &place, found);
        }
    }

    fn column(self, column: &Map<String, Json>, place: &str, found: &mut Vec<Mistake>) {
        let named = |expected: &str| format!("{expected} (column `{}`)", text(column, "name").unwrap_or("?"));
        let declared = text(column, "type");
        match self {
            Self::Shareable if declared.is_none() => {
                found.push(Mistake::new(join(place, "type"), named("the FHIR type of the column")));
            }
            Self::Shareable => {}
            Self::Tabular => {
                if column.get("collection").is_some_and(|collection| collection != &Json::Bool(false)) {
                    found.push(Mistake::new(join(place, "collection"), named("no collection")));
                }
                let is_listed =
                    |declared: &str| TABULAR_TYPES.contains(&declared.rsplit('/').next().unwrap_or_default());
                if !declared.is_some_and(is_listed) {
                    let expected = named(&format!("one of {}", TABULAR_TYPES.join(", ")));
                    found.push(Mistake::new(join(place, "type"), expected));
                }
            }
        }
    }
}

fn text<'j>(owner: &'j Map<String, Json>, member: &str) -> Option<&'j str> {
    owner.get(member).and_then(Json::as_str).filter(|text| !text.is_empty())
}

/// Returns the objects of an array member, each with its place.
fn objects<'j>(
    owner: &'j Map<String, Json>,
    member: &str,
    at: &str,
) -> impl Iterator<Item = (String, &'j Map<String, Json>)> {
    let place = join(at, member);
    let items = owner.get(member).and_then(Json::as_array).into_iter().flatten().enumerate();
    items.filter_map(move |(index, item)| Some((format!("{place}[{index}]"), item.as_object()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Profile;

    fn violations(profile: Profile, view: &serde_json::Value) -> Vec<String> {
        profile.violations(view).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_shared_view_states_url_name_versions_and_types() {
        let mut view = json!({
            "status": "draft", "url": "https://v.example/v", "name": "v", "fhirVersion": ["4.0.1"], "resource": "Patient",
            "select": [{"column": [{"name": "a", "path": "name.given", "type": "string", "collection": true}],
                "select": [{"unionAll": [{"column": [{"name": "b", "path": "id"}]}]}]}],
        });
        let expected = [
            "select[0].select[0].unionAll[0].column[0].type: expected the FHIR type of the column (column `b`)",
        ];
        assert_eq!(violations(Profile::Shareable, &view), expected);
        view["select"][0]["select"] = json!([]);
        assert_eq!(violations(Profile::Shareable, &view), [""; 0]);
        for (member, wrong) in
            [("url", json!("")), ("name", json!(null)), ("fhirVersion", json!([])), ("status", json!("new"))]
        {
            let mut other = view.clone();
            other[member] = wrong;
            assert_eq!(violations(Profile::Shareable, &other).len(), 1, "{member}");
        }
    }

    #[test]
    fn a_tabular_view_has_simple_values_whose_types_are_stated() {
        let view = |column: serde_json::Value| json!({"status": "active", "resource": "Patient", "select": [{"column": [column]}]});
        for fits in [
            json!({"name": "a", "path": "active", "type": "boolean"}),
            json!({"name": "a", "path": "active", "type": "http://hl7.org/fhirpath/boolean", "collection": false}),
        ] {
            assert_eq!(violations(Profile::Tabular, &view(fits)), [""; 0]);
        }
        let list = view(json!({"name": "a", "path": "name.given", "type": "string", "collection": true}));
        assert_eq!(
            violations(Profile::Tabular, &list),
            ["select[0].column[0].collection: expected no collection (column `a`)"]
        );
        for other in
            [json!({"name": "a", "path": "id"}), json!({"name": "a", "path": "birthDate", "type": "date"})]
        {
            assert_eq!(violations(Profile::Tabular, &view(other)).len(), 1);
        }
    }
}
