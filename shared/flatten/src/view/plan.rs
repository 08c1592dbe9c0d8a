//! Plans: compiled views.

use std::sync::Arc;

use crate::column_type::CellType;
use crate::decimals::Decimals;
use crate::dictionary::{Dictionary, Meaning, ScopeId, Tally};
use crate::fhirpath::{Pool, SetId};
use crate::model::Primitive;
use crate::row::{ColumnId, Names, TableId};

use super::column::ViewColumn;
use super::invalid::Mistake;
use super::select::{PathProgram, Select};

/// A compiled view: paths are programs, constants are bound, columns are known. It never changes and is shared
/// by all workers.
#[derive(Debug)]
pub struct Plan {
    pub(super) name: String,
    pub(super) resource_type: String,
    pub(super) columns: Vec<ViewColumn>,
    /// How the cells of each column are written.
    pub(super) formats: Vec<CellFormat>,
    pub(super) notices: Vec<Mistake>,
    pub(super) pool: Pool,
    pub(super) resource: SetId,
    pub(super) conditions: Vec<Condition>,
    pub(super) root: Select,
    /// Whether a resource can have several rows.
    pub(super) many: bool,
}

/// How the cells of a column are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellFormat {
    pub(super) cell: CellType,
    pub(super) collection: bool,
}

/// A filter of the view.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) element: String,
    pub(super) program: PathProgram,
}

impl Plan {
    /// Returns the view's name, which is the name of its table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the type of the resources that the view is for.
    #[must_use]
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// Returns the columns in order.
    #[must_use]
    pub fn columns(&self) -> &[ViewColumn] {
        &self.columns
    }

    /// Returns whether a resource can have at most one row, so that the row has the key of the resource. Otherwise keys
    /// are `<key>#<n>`, n from 0. The definition alone decides, never the data.
    #[must_use]
    pub fn at_most_one_row(&self) -> bool {
        !self.many
    }

    /// Returns elements that no release has, which may be typing errors. They are looked for, because a later release may
    /// have them, and are empty until then.
    #[must_use]
    pub fn notices(&self) -> &[Mistake] {
        &self.notices
    }

    /// Sets how the decimals of all columns are written. A new plan writes them exactly.
    #[must_use]
    pub fn with_decimals(mut self, decimals: Decimals) -> Self {
        for cell in self.columns.iter_mut().map(|column| &mut column.cell) {
            *cell = cell.with_decimals(decimals);
        }
        for form in &mut self.formats {
            form.cell = form.cell.with_decimals(decimals);
        }
        self
    }

    /// Returns the columns that join: the keys of resources and references.
    pub fn key_columns(&self) -> impl Iterator<Item = &ViewColumn> {
        self.columns.iter().filter(|column| column.key.is_some())
    }
}

/// A plan with the names of its table and columns, which are looked up once.
#[derive(Debug, Clone)]
pub struct NamedPlan {
    pub(super) plan: Arc<Plan>,
    pub(super) table: TableId,
    pub(super) columns: Vec<ColumnId>,
}

impl NamedPlan {
    /// Names a view's table and columns.
    pub fn new(plan: Arc<Plan>, names: &mut Names) -> Self {
        let columns = plan.columns.iter().map(|column| names.column(&column.name)).collect();
        let table = names.table(&plan.name);
        Self { plan, table, columns }
    }

    /// Returns the plan.
    #[must_use]
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Writes what was counted in the view's table into the dictionary.
    pub(crate) fn describe(&self, tally: &Tally, scope: ScopeId, dictionary: &mut Dictionary) {
        for (id, rows, _) in tally.columns(scope) {
            let at = self.columns.iter().position(|&known| known == id);
            let Some(column) = at.and_then(|at| self.plan.columns.get(at)) else { continue };
            let meaning = Meaning {
                datatype: column.datatype.map(Primitive::name),
                ..Meaning::of(Some(column.path.as_str().into()), column.column_type())
            };
            dictionary.add(&self.plan.name, column.name.clone(), meaning, rows);
        }
    }
}
