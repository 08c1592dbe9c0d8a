//! Any bytes as a resource: its automatic rows.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, CatalogFlattener, Choices, Tables};
use flatten::decimals::Decimals;
use flatten::defect::Defect;
use flatten::json::{Limits, Tape};
use flatten::links::Links;
use flatten::model;
use flatten::resource::Resource;
use flatten::row::{Cells, NameList, Rows, Value};

/// A flattener of each form of rows that has seen all inputs before this one.
struct Veterans([CatalogFlattener; 3]);

thread_local! {
    static VETERANS: RefCell<Veterans> = RefCell::new(Veterans(FORMS.map(flattener)));
}

/// How arrays and decimals are written.
const FORMS: [(Arrays, Decimals); 3] = [
    (Arrays::Embedded, Decimals::Exact),
    (Arrays::Tables, Decimals::Exact),
    (Arrays::Embedded, Decimals::Double),
];

fn flattener((arrays, decimals): (Arrays, Decimals)) -> CatalogFlattener {
    let automatic = Settings { arrays, decimals, narrative: true, ..Settings::default() };
    let choices = Choices { tables: Tables::Automatic, automatic, ..Choices::default() };
    CatalogFlattener::new(Arc::new(Catalog::compile(choices).unwrap()))
}

/// Flattens a resource in all forms.
///
/// # Panics
/// Where a row has a column twice, where rows depend on what was flattened before, and where a defect has no code or
/// its path has a name that is not FHIR's.
pub(crate) fn check(input: &[u8]) {
    VETERANS.with_borrow_mut(|veterans| {
        for (form, veteran) in FORMS.into_iter().zip(&mut veterans.0) {
            veteran.begin_batch();
            let rows = flatten(veteran, input);
            assert_eq!(rows, flatten(veteran, input), "the second time it is something else");
            assert_eq!(rows, flatten(&mut flattener(form), input), "it depends on what came before");
            if let Err(Some(defect)) = rows {
                assert!(!defect.code.as_str().is_empty());
                assert!(defect.path.split('/').all(is_ours), "{defect:?}");
                assert!(defect.offset.is_none_or(|offset| offset <= input.len()), "{defect:?}");
            }
        }
    });
}

/// Returns the rows as text, or what is wrong with the resource; `None` if the bytes are no resource.
fn flatten(flattener: &mut CatalogFlattener, input: &[u8]) -> Result<Vec<String>, Option<Defect>> {
    let (mut tape, mut rows) = (Tape::default(), Rows::default());
    let document = tape.parse(input, Limits::default()).map_err(|_| None)?;
    let resource = Resource::read(document.root()).map_err(Some)?;
    let key = resource.key(None, None);
    flattener.flatten(&resource, &key, &Links::default(), &mut rows).map_err(Some)?;
    flattener.count(&rows);
    let names = flattener.names();
    let rows = rows.iter().map(|row| {
        assert!(row.key().starts_with(&key), "{} is no row of {key}", row.key());
        format!("{} {}: {}", names.table(row.table()), row.key(), shown(&names, row.cells()))
    });
    Ok(rows.collect())
}

fn shown(names: &NameList, cells: Cells<'_>) -> String {
    let mut seen = BTreeSet::new();
    let cells = cells.map(|(column, value)| {
        let name = names.column(column);
        assert!(name.is_empty() || seen.insert(name.to_owned()), "{name} stands twice");
        match value {
            Value::List(inner) => format!("{name}: [{}]", shown(names, inner)),
            Value::Record(inner) => format!("{name}: {{{}}}", shown(names, inner)),
            value => format!("{name}: {value:?}"),
        }
    });
    cells.collect::<Vec<_>>().join(", ")
}

/// Returns whether a part of a path is a number or a name of FHIR; `?` stands for all others.
fn is_ours(part: &str) -> bool {
    let name = part.strip_prefix('_').unwrap_or(part);
    part.is_empty()
        || part == "?"
        || part.bytes().all(|byte| byte.is_ascii_digit())
        || model::is_known_element_name(part)
        || model::is_known_element_name(name)
}
