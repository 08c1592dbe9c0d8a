//! Conditions taken apart: the server says of each row which tests it passes, each test once, and what follows for the
//! conditions is worked out here, once for each pattern of answers.

use bson::{Bson, doc};
use pipeline::store::quality::RowCondition;

use super::expressions::{Scope, expression};

/// The different tests of some conditions, over the columns of a row or of a record.
#[derive(Debug, Default)]
pub(super) struct ConditionParts {
    tests: Vec<RowCondition>,
    /// The tests of records, by the column of their list.
    lists: Vec<(String, Self)>,
}

impl ConditionParts {
    /// Takes conditions of rows apart.
    pub(super) fn of(conditions: &[&RowCondition]) -> Self {
        let mut parts = Self::default();
        for condition in conditions {
            parts.add(condition);
        }
        parts
    }

    fn add(&mut self, condition: &RowCondition) {
        match condition {
            RowCondition::All(conditions) | RowCondition::Any(conditions) => {
                for condition in conditions {
                    self.add(condition);
                }
            }
            RowCondition::Not(condition) => self.add(condition),
            RowCondition::AnyItem(list, condition) => {
                if let Some((_, parts)) = self.lists.iter_mut().find(|(name, _)| name == list) {
                    parts.add(condition);
                    return;
                }
                self.lists.push((list.clone(), Self::of(&[condition])));
            }
            test if self.tests.contains(test) => {}
            test => self.tests.push(test.clone()),
        }
    }

    /// Returns the expressions of a row's pattern: whether it passes each test, then of each list the set of its records'
    /// patterns.
    pub(super) fn pattern(&self, scope: Scope) -> Vec<Bson> {
        let tests = self.tests.iter().map(|test| expression(test, scope).into());
        let lists = self.lists.iter().map(|(list, parts)| {
            let (field, inside) = (scope.field(list), scope.inside());
            let records =
                doc! { "$map": { "input": &field, "as": inside.variable(), "in": parts.pattern(inside) } };
            doc! { "$cond": [{ "$isArray": [field] }, { "$setUnion": [records] }, Bson::Null] }.into()
        });
        tests.chain(lists).collect()
    }

    /// Returns whether a condition, one of those that were taken apart, holds for rows of this pattern.
    pub(super) fn holds(&self, condition: &RowCondition, pattern: &[Bson]) -> bool {
        match condition {
            RowCondition::All(conditions) => conditions.iter().all(|one| self.holds(one, pattern)),
            RowCondition::Any(conditions) => conditions.iter().any(|one| self.holds(one, pattern)),
            RowCondition::Not(condition) => !self.holds(condition, pattern),
            RowCondition::AnyItem(list, condition) => {
                let Some(index) = self.lists.iter().position(|(name, _)| name == list) else { return false };
                let records = pattern.get(self.tests.len() + index).and_then(Bson::as_array);
                let holds = |record: &Bson| {
                    let parts = self.lists.get(index).map(|(_, parts)| parts);
                    parts.zip(record.as_array()).is_some_and(|(parts, record)| parts.holds(condition, record))
                };
                records.is_some_and(|records| records.iter().any(holds))
            }
            test => {
                let index = self.tests.iter().position(|known| known == test);
                index.and_then(|index| pattern.get(index)) == Some(&Bson::Boolean(true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson};
    use pipeline::store::quality::RowCondition;

    use super::super::expressions::Scope;
    use super::ConditionParts;

    fn present(column: &str) -> RowCondition {
        RowCondition::Present(column.to_owned())
    }

    fn without(one: &str, other: &str) -> RowCondition {
        RowCondition::All(vec![present(one), RowCondition::Not(Box::new(present(other)))])
    }

    fn in_list(condition: RowCondition) -> RowCondition {
        RowCondition::AnyItem("component".to_owned(), Box::new(condition))
    }

    #[test]
    fn each_test_is_asked_once() {
        let conditions = [without("code", "system"), without("system", "code"), in_list(present("code"))];
        let parts = ConditionParts::of(&conditions.iter().collect::<Vec<_>>());
        assert_eq!(parts.pattern(Scope::ROW).len(), 3);
    }

    #[test]
    fn conditions_follow_from_the_pattern() {
        let conditions = [
            without("code", "system"),
            without("system", "code"),
            in_list(without("code", "system")),
            RowCondition::Any(vec![present("system"), in_list(present("system"))]),
        ];
        let parts = ConditionParts::of(&conditions.iter().collect::<Vec<_>>());
        for (pattern, expected) in [
            (bson!([true, false, null]), [true, false, false, false]),
            (bson!([true, true, []]), [false, false, false, true]),
            (bson!([false, true, [[true, true], [false, false]]]), [false, true, false, true]),
            (bson!([false, false, [[true, false], [false, true]]]), [false, false, true, true]),
        ] {
            let Bson::Array(pattern) = pattern else { panic!("{pattern:?}") };
            assert_eq!(conditions.each_ref().map(|one| parts.holds(one, &pattern)), expected, "{pattern:?}");
        }
    }
}
