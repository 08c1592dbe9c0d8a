//! Rows that may have a rare text: an empty one, or one with broken characters. Few rows do, and only for these each text is
//! looked at on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use bson::{Bson, Document, doc};
use pipeline::store::quality::{RowCondition, TextTest};

use crate::admin::selection::literal;

use super::expressions::Scope;

/// Every text of white space alone comes before this one, and no text that begins with another visible character does.
const FIRST_VISIBLE: &str = "!";

/// The texts that conditions ask for, and how the rare ones begin.
#[derive(Debug, Default)]
pub(super) struct RareTexts {
    texts: TextPlaces,
    /// The first characters of what is looked for, none of them of ASCII.
    beginnings: BTreeSet<char>,
}

/// Where texts stand in a row, or in an item of a list.
#[derive(Debug, Default)]
struct TextPlaces {
    columns: BTreeSet<String>,
    /// Whether the item itself is a text.
    is_text: bool,
    lists: BTreeMap<String, Self>,
}

impl RareTexts {
    /// Returns what conditions ask for; `None` if one of them may hold without a rare text.
    pub(super) fn of(conditions: &[&RowCondition]) -> Option<Self> {
        let (mut texts, mut beginnings) = (TextPlaces::default(), BTreeSet::new());
        let are_rare = conditions.iter().all(|condition| texts.add(condition, &mut beginnings));
        (are_rare && !conditions.is_empty()).then_some(Self { texts, beginnings })
    }

    /// Returns the expression that a row may have a rare text: the least text is blank, or all texts together have one of the
    /// beginnings. A server tells a text of ASCII alone from others much faster than by a regular expression.
    pub(super) fn may_stand(&self) -> Document {
        let mut texts = self.texts.all_of(Scope::ROW);
        texts.push(FIRST_VISIBLE.into());
        let begins_blank = doc! { "$lt": [{ "$min": texts }, FIRST_VISIBLE] };
        if self.beginnings.is_empty() {
            return begins_blank;
        }
        let is_ascii = doc! { "$eq": [{ "$strLenBytes": "$$texts" }, { "$strLenCP": "$$texts" }] };
        let beginnings = self.beginnings.iter().map(|first| literal(&first.to_string()));
        let pattern = format!("[{}]", beginnings.collect::<String>());
        let has_beginning = doc! { "$let": {
            "vars": { "texts": { "$concat": self.texts.parts("$") } },
            "in": { "$and": [
                { "$not": [is_ascii] }, { "$regexMatch": { "input": "$$texts", "regex": pattern } },
            ] },
        } };
        doc! { "$or": [begins_blank, has_beginning] }
    }
}

impl TextPlaces {
    /// Adds the texts of a condition. Returns `false` if it asks for anything else than rare texts.
    fn add(&mut self, condition: &RowCondition, beginnings: &mut BTreeSet<char>) -> bool {
        match condition {
            RowCondition::Text(column, test) => {
                self.columns.insert(column.clone());
                add_test(test, beginnings)
            }
            RowCondition::AnyText(column, test) => {
                self.list(column).is_text = true;
                add_test(test, beginnings)
            }
            RowCondition::AnyItem(list, condition) => self.list(list).add(condition, beginnings),
            RowCondition::Any(conditions) => {
                !conditions.is_empty() && conditions.iter().all(|one| self.add(one, beginnings))
            }
            _ => false,
        }
    }

    fn list(&mut self, name: &str) -> &mut Self {
        self.lists.entry(name.to_owned()).or_default()
    }

    /// Returns expressions of the texts: one for each column, and for each list its least text.
    fn all_of(&self, scope: Scope) -> Vec<Bson> {
        let columns = self.columns.iter().map(move |column| Bson::from(scope.field(column)));
        let lists = self.lists.iter().map(move |(list, items)| {
            let (field, inside) = (scope.field(list), scope.inside());
            let itself = items.is_text.then(|| Bson::from(format!("$${}", inside.variable())));
            let texts: Vec<Bson> = items.all_of(inside).into_iter().chain(itself).collect();
            let least = doc! { "$min": texts };
            let all = doc! { "$map": { "input": items_of(&field), "as": inside.variable(), "in": least } };
            doc! { "$min": all }.into()
        });
        columns.chain(lists).collect()
    }

    /// Returns expressions of texts that hold all texts together. `begin` stands before the names of columns.
    fn parts(&self, begin: &str) -> Vec<Bson> {
        let columns = self.columns.iter().map(|column| text_or_nothing(&format!("{begin}{column}")));
        let lists = self.lists.iter().map(|(list, items)| {
            let itself = items.is_text.then(|| text_or_nothing("$$this"));
            let before = iter::once(Bson::from("$$value"));
            let joined: Vec<Bson> = before.chain(itself).chain(items.parts("$$this.")).collect();
            let input = items_of(&format!("{begin}{list}"));
            doc! { "$reduce": { "input": input, "initialValue": "", "in": { "$concat": joined } } }.into()
        });
        columns.chain(lists).collect()
    }
}

/// Adds the beginnings of what a test looks for. Returns `false` if it may look for something else than a rare text.
fn add_test(test: &TextTest, beginnings: &mut BTreeSet<char>) -> bool {
    match test {
        TextTest::Blank => true,
        TextTest::Contains(parts) => {
            beginnings.extend(parts.iter().filter_map(|part| part.chars().next()));
            parts.iter().all(|part| part.starts_with(|first: char| !first.is_ascii()))
        }
        _ => false,
    }
}

fn items_of(list: &str) -> Document {
    doc! { "$cond": [{ "$isArray": [list] }, list, []] }
}

fn text_or_nothing(field: &str) -> Bson {
    doc! { "$cond": [{ "$eq": [{ "$type": field }, "string"] }, field, ""] }.into()
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use pipeline::store::quality::{RowCondition, TextTest};

    use super::RareTexts;

    fn text(test: TextTest) -> RowCondition {
        RowCondition::Text("city".to_owned(), test)
    }

    #[test]
    fn only_empty_and_broken_texts_are_rare() {
        let is_rare = |condition: RowCondition| RareTexts::of(&[&condition]).is_some();
        assert!(is_rare(text(TextTest::Blank)));
        assert!(is_rare(text(TextTest::Contains(&["\u{fffd}", "Ã¼"]))));
        assert!(!is_rare(text(TextTest::Contains(&["@"]))));
        assert!(!is_rare(RowCondition::Not(Box::new(text(TextTest::Blank)))));
        assert!(RareTexts::of(&[]).is_none());
    }

    #[test]
    fn nothing_but_white_space_is_sought_where_no_beginning_is() {
        let rare = RareTexts::of(&[&text(TextTest::Blank)]).unwrap().may_stand();
        assert_eq!(rare, doc! { "$lt": [{ "$min": ["$city", "!"] }, "!"] });
    }
}
