//! Groups: which commands go together, and what each is told.

use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::{
    GROUP_COMMANDS, GroupAnswer, GroupCommit, GroupKind, GroupMember, GroupVerb, Leadership,
    MAX_GROUPED_BYTES,
};
use crate::trouble::write_errors;

fn raw(command: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(command).unwrap()
}

fn insert(ids: &[i32]) -> RawDocumentBuf {
    let documents: Vec<Document> = ids.iter().map(|id| doc! { "_id": id }).collect();
    raw(
        &doc! { "insert": "c", "documents": documents, "ordered": false, "writeConcern": { "w": "majority" } },
    )
}

fn member(command: &RawDocumentBuf) -> (GroupKind, GroupMember, oneshot::Receiver<GroupAnswer>) {
    let (kind, statements) = GroupKind::of("d", command).unwrap();
    let (answer, receiver) = oneshot::channel();
    (kind, GroupMember { statements, answer }, receiver)
}

/// Adds inserts of one document each and returns their kind and the ends at which they wait.
fn waiting(groups: &Arc<GroupCommit>, count: i32) -> (GroupKind, Vec<oneshot::Receiver<GroupAnswer>>) {
    let mut kinds = Vec::new();
    let receivers = (0..count).map(|id| {
        let (kind, member, receiver) = member(&insert(&[id]));
        kinds.extend(groups.join(kind, member));
        receiver
    });
    let receivers = receivers.collect();
    assert_eq!(kinds.len(), 1, "only the first begins a task");
    (kinds.remove(0), receivers)
}

fn ids(group: &[GroupMember]) -> Vec<i32> {
    let statements = group.iter().flat_map(|member| &member.statements);
    statements.map(|statement| statement.get_i32("_id").unwrap()).collect()
}

#[test]
fn a_group_is_one_command_with_all_statements_in_order() {
    let (kind, first, _first) = member(&insert(&[3, 1]));
    let (_, second, _second) = member(&insert(&[2]));
    let command = Document::try_from(&kind.command(&[first, second]).unwrap()).unwrap();
    assert_eq!(command.keys().next().unwrap(), "insert");
    let mut expected = Document::try_from(&insert(&[3, 1, 2])).unwrap();
    assert_eq!(command.get("documents"), expected.get("documents"));
    expected.remove("documents");
    let others: Document = command.into_iter().filter(|(name, _)| name != "documents").collect();
    assert_eq!(others, expected);
}

#[test]
fn only_commands_that_differ_in_their_statements_go_together() {
    let kind = |command: &Document| GroupKind::of("d", &raw(command)).map(|(kind, _)| kind);
    let one = doc! { "insert": "c", "documents": [{ "_id": 1 }], "ordered": false };
    let two = doc! { "insert": "c", "documents": [{ "_id": 2 }, { "_id": 3 }], "ordered": false };
    assert_eq!(kind(&one), kind(&two));
    assert_ne!(kind(&one), kind(&doc! { "insert": "b", "documents": [{ "_id": 2 }], "ordered": false }));
    let other = doc! { "insert": "c", "documents": [{ "_id": 2 }], "ordered": false, "comment": "other" };
    assert_ne!(kind(&one), kind(&other));
    assert_ne!(kind(&one), GroupKind::of("other", &raw(&one)).map(|(kind, _)| kind));
    let find = |id: i32| doc! { "find": "c", "filter": { "_id": id } };
    assert_eq!(kind(&find(1)), kind(&find(1)));
    assert_ne!(kind(&find(1)), kind(&find(2)));
    let large =
        doc! { "insert": "c", "documents": [{ "_id": "x".repeat(MAX_GROUPED_BYTES) }], "ordered": false };
    let ordered = doc! { "insert": "c", "documents": [{ "_id": 2 }], "ordered": true };
    let by_default = doc! { "update": "c", "updates": [{ "q": {}, "u": {} }] };
    let odd = doc! { "insert": "c", "documents": 1, "ordered": false };
    for alone in [doc! { "delete": "c", "deletes": [] }, odd, large, ordered, by_default] {
        assert_eq!(kind(&alone), None);
    }
}

#[test]
fn a_group_is_bounded_and_leaves_out_who_no_longer_waits() {
    let groups = Arc::new(GroupCommit::default());
    let (kind, mut receivers) = waiting(&groups, 130);
    receivers.remove(1);
    let first = groups.next_group(&kind);
    assert_eq!(first.len(), GROUP_COMMANDS);
    assert_eq!(ids(&first)[..3], [0, 2, 3]);
    let second = groups.next_group(&kind);
    assert_eq!(ids(&second), (101..130).collect::<Vec<_>>());
    let (_, late, _receiver) = member(&insert(&[7]));
    assert!(groups.join(kind.clone(), late).is_none(), "the task goes on");
    assert_eq!(ids(&groups.next_group(&kind)), [7]);
    assert!(groups.next_group(&kind).is_empty());
    let (_, next, _receiver) = member(&insert(&[8]));
    assert_eq!(groups.join(kind.clone(), next), Some(kind), "the task had ended");
}

#[test]
fn a_task_that_is_dropped_leaves_nobody_waiting() {
    let groups = Arc::new(GroupCommit::default());
    let (kind, receivers) = waiting(&groups, 3);
    drop(Leadership { groups: Arc::clone(&groups), kind: Some(kind.clone()) });
    for mut receiver in receivers {
        assert!(matches!(receiver.try_recv(), Ok(GroupAnswer::Unsent)));
    }
    let (_, next, _receiver) = member(&insert(&[8]));
    assert_eq!(groups.join(kind.clone(), next), Some(kind));
}

#[test]
fn an_update_is_told_only_if_every_statement_found_its_document() {
    let part = |answer: Document| GroupVerb::Update.part(&answer, 3, 1..2);
    assert_eq!(part(doc! { "n": 3 }).unwrap().get_i32("n").unwrap(), 1);
    assert_eq!(part(doc! { "n": 2 }), None);
    assert_eq!(part(doc! { "n": 2, "writeErrors": [{ "index": 0, "code": 121 }] }), None);
    // A group of one has an answer of its own.
    assert_eq!(GroupVerb::Update.part(&doc! { "n": 0 }, 1, 0..1), Some(doc! { "n": 0 }));
}

#[test]
fn writes_that_are_not_durable_yet_are_told_to_nobody() {
    assert_eq!(GroupVerb::Insert.part(&doc! { "n": 1 }, 2, 0..1), None, "nothing is said of one");
    let answer = doc! { "n": 2, "writeConcernError": { "code": 64 } };
    assert_eq!(GroupVerb::Insert.part(&answer, 2, 0..1), None);
    assert_eq!(GroupVerb::Insert.part(&answer, 2, 0..2), Some(answer.clone()));
}

proptest! {
    /// Each insert is told of its own documents what the server would have told it alone.
    #[test]
    fn an_insert_is_told_what_became_of_its_own_documents(
        documents in prop::collection::vec(prop::collection::vec(prop::option::of(1i32..20_000), 1..5), 1..8),
    ) {
        let answer_of = |codes: &[Option<i32>]| {
            let errors = codes.iter().enumerate().filter_map(|(index, code)| {
                let index = i32::try_from(index).unwrap();
                code.map(|code| Bson::from(doc! { "index": index, "code": code, "errmsg": "a secret" }))
            });
            let errors: Vec<Bson> = errors.collect();
            let n = i32::try_from(codes.len() - errors.len()).unwrap();
            doc! { "ok": 1.0, "n": n, "writeErrors": errors }
        };
        let all: Vec<Option<i32>> = documents.concat();
        let answer = answer_of(&all);
        let mut first = 0;
        for codes in &documents {
            let part = GroupVerb::Insert.part(&answer, all.len(), first..first + codes.len()).unwrap();
            let alone = answer_of(codes);
            prop_assert_eq!(part.get("n"), alone.get("n"));
            prop_assert_eq!(write_errors(&part).collect::<Vec<_>>(), write_errors(&alone).collect::<Vec<_>>());
            first += codes.len();
        }
    }
}
