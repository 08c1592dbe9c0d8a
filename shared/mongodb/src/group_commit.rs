//! Group commit: small commands that come at the same moment go to the server as one.
//!
//! A server needs about as long for one small insert as for twenty in one command, because most of its work is done once
//! for each command. So only one command of a kind is on its way at a time, and those that come meanwhile wait and then
//! go together. Nobody waits for others to come.
//!
//! A group is tried once. If it fails, or if the answer does not say what became of one of its commands, that command is
//! run by itself afterwards. Then the server may carry it out twice, as it may after an answer that was lost.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::raw::{CStr, RawBsonRef, cstr};
use bson::{Bson, Document, RawArrayBuf, RawDocument, RawDocumentBuf, bson, doc};
use futures::future::join_all;
use mongodb::error::Error;
use mongodb::{Client, Database};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::trouble::{Trouble, write_errors};

/// A command of more bytes goes by itself.
const MAX_GROUPED_BYTES: usize = 64 << 10;
/// A group takes no further command once it has so many bytes.
const GROUP_BYTES: usize = 1 << 20;
/// A group has at most so many commands.
const GROUP_COMMANDS: usize = 100;
/// The next group waits no longer for the one before: a connection that hangs must not stop every load.
const MAX_TURN: Duration = Duration::from_secs(1);

/// The commands of a connection that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    /// Those that may go together. A kind has an entry as long as a task sends its groups.
    queues: Mutex<BTreeMap<GroupKind, Vec<GroupMember>>>,
}

/// What the commands of a group have in common: the database, and the command without its statements.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GroupKind {
    database: String,
    head: Vec<u8>,
    verb: GroupVerb,
}

/// What makes one command of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum GroupVerb {
    /// The documents go into one command; the answer names those that were refused.
    Insert,
    /// The statements go into one command; the answer counts the documents that were found, so it can be told only if
    /// each statement found its document.
    Update,
    /// The commands are the same to the byte: one answer is for all.
    Find,
}

/// A command of a group.
#[derive(Debug)]
struct GroupMember {
    /// The items of its array of statements; empty for a `find`.
    statements: Vec<RawDocumentBuf>,
    answer: oneshot::Sender<GroupAnswer>,
}

/// What became of a command in its group.
#[derive(Debug)]
pub(crate) enum GroupAnswer {
    /// The server's answer to this command, or the failure of the whole group, which is the command's own as well.
    Tried(Result<Document, Error>),
    /// The server answered the group, but what it says of this command cannot be told: the command is to be run by itself.
    Undivided,
    /// Nothing is known of it: the server may still be at work on it.
    Lost,
    /// It was not sent.
    Unsent,
}

impl GroupCommit {
    /// Sends a command with others of its kind, once.
    pub(crate) async fn send(
        self: &Arc<Self>,
        client: &Client,
        database: &str,
        command: &RawDocument,
    ) -> GroupAnswer {
        let Some((kind, statements)) = GroupKind::of(database, command) else { return GroupAnswer::Unsent };
        let (answer, receiver) = oneshot::channel();
        let member = GroupMember { statements, answer };
        if let Some(kind) = self.join(kind, member) {
            tokio::spawn(send_groups(
                Leadership { groups: Arc::clone(self), kind: Some(kind) },
                client.clone(),
            ));
        }
        receiver.await.unwrap_or(GroupAnswer::Lost)
    }

    /// Adds a command to those that wait. Returns its kind if no task sends them yet: the caller begins one.
    fn join(&self, kind: GroupKind, member: GroupMember) -> Option<GroupKind> {
        match self.lock_queues().entry(kind) {
            Entry::Occupied(mut waiting) => {
                waiting.get_mut().push(member);
                None
            }
            Entry::Vacant(place) => {
                let kind = place.key().clone();
                place.insert(vec![member]);
                Some(kind)
            }
        }
    }

    /// Returns the next group. If no command waits, the group is empty, and the next command begins a task again.
    fn next_group(&self, kind: &GroupKind) -> Vec<GroupMember> {
        let mut queues = self.lock_queues();
        let Some(waiting) = queues.get_mut(kind) else { return Vec::new() };
        // The callers of these have given up: nothing may be written in their name.
        waiting.retain(|member| !member.answer.is_closed());
        let (mut commands, mut bytes) = (0, 0);
        while commands < GROUP_COMMANDS && bytes < GROUP_BYTES {
            let Some(member) = waiting.get(commands) else { break };
            bytes += member.statements.iter().map(|statement| statement.as_bytes().len()).sum::<usize>();
            commands += 1;
        }
        let group: Vec<GroupMember> = waiting.drain(..commands).collect();
        if group.is_empty() {
            queues.remove(kind);
        }
        group
    }

    fn lock_queues(&self) -> MutexGuard<'_, BTreeMap<GroupKind, Vec<GroupMember>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send the groups of a kind. If its task is dropped, those that wait are told, and the next command
/// begins a task again.
struct Leadership {
    groups: Arc<GroupCommit>,
    /// `None` once there was nothing left to send.
    kind: Option<GroupKind>,
}

impl Drop for Leadership {
    fn drop(&mut self) {
        let Some(kind) = self.kind.take() else { return };
        for member in self.groups.lock_queues().remove(&kind).unwrap_or_default() {
            let _ = member.answer.send(GroupAnswer::Unsent);
        }
    }
}

/// Sends one group after the other until no command waits.
async fn send_groups(mut leadership: Leadership, client: Client) {
    let Some(kind) = leadership.kind.clone().map(Arc::new) else { return };
    loop {
        let group = leadership.groups.next_group(&kind);
        if group.is_empty() {
            leadership.kind = None;
            return;
        }
        let sent = tokio::spawn(send_group(Arc::clone(&kind), client.database(&kind.database), group));
        // One that takes longer goes on by itself.
        let _ = timeout(MAX_TURN, sent).await;
    }
}

/// Sends a group, unless nobody waits for it any more: a command may wait long for a server or a connection, and in that
/// time its callers may have given up. Of a group in which some still wait everything is sent.
async fn send_group(kind: Arc<GroupKind>, database: Database, mut group: Vec<GroupMember>) {
    let Some(command) = kind.command(&group) else {
        return answer_all(group, |_| GroupAnswer::Unsent);
    };
    let (commands, statements) = (group.len(), group.iter().map(|member| member.statements.len()).sum());
    let answer = {
        let nobody_waits = join_all(group.iter_mut().map(|member| member.answer.closed()));
        tokio::select! {
            // First: an environment that was frozen must not send what its callers gave up before.
            biased;
            _ = nobody_waits => return,
            answer = database.run_raw_command(command) => answer,
        }
    };
    match answer {
        Ok(answer) => answer_all(group, |of| {
            let part = kind.verb.part(&answer, statements, of);
            part.map_or(GroupAnswer::Undivided, |part| GroupAnswer::Tried(Ok(part)))
        }),
        // One of them is to blame.
        Err(error) if commands > 1 && matches!(Trouble::of_error(&error), Trouble::Document(_)) => {
            answer_all(group, |_| GroupAnswer::Undivided);
        }
        Err(error) => answer_all(group, |_| GroupAnswer::Tried(Err(error.clone()))),
    }
}

/// Answers every command of a group by the range of its statements.
fn answer_all(group: Vec<GroupMember>, answer: impl Fn(Range<usize>) -> GroupAnswer) {
    let mut first = 0;
    for member in group {
        let end = first + member.statements.len();
        // Whoever does not wait any more needs no answer.
        let _ = member.answer.send(answer(first..end));
        first = end;
    }
}

impl GroupKind {
    /// Returns a command's kind and its statements; `None` if it goes by itself.
    fn of(database: &str, command: &RawDocument) -> Option<(Self, Vec<RawDocumentBuf>)> {
        if command.as_bytes().len() > MAX_GROUPED_BYTES {
            return None;
        }
        let (name, _) = command.iter().next()?.ok()?;
        let verb = GroupVerb::of(name.as_str())?;
        // Of ordered statements the server carries none out behind one that failed.
        let is_unordered = command.get_bool("ordered").is_ok_and(|is_ordered| !is_ordered);
        if verb.statements().is_some() && !is_unordered {
            return None;
        }
        let (mut head, mut statements) = (RawDocumentBuf::new(), Vec::new());
        for element in command {
            let (name, value) = element.ok()?;
            if Some(name) == verb.statements() {
                let RawBsonRef::Array(array) = value else { return None };
                for statement in array {
                    statements.push(statement.ok()?.as_document()?.to_owned());
                }
            } else {
                head.append(name, value);
            }
        }
        Some((Self { database: database.to_owned(), head: head.into_bytes(), verb }, statements))
    }

    /// Returns the command of a group.
    fn command(&self, group: &[GroupMember]) -> Option<RawDocumentBuf> {
        let mut command = RawDocumentBuf::from_bytes(self.head.clone()).ok()?;
        if let Some(name) = self.verb.statements() {
            let mut array = RawArrayBuf::new();
            for statement in group.iter().flat_map(|member| &member.statements) {
                array.push(statement.clone());
            }
            command.append(name, array);
        }
        Some(command)
    }
}

impl GroupVerb {
    fn of(name: &str) -> Option<Self> {
        match name {
            "insert" => Some(Self::Insert),
            "update" => Some(Self::Update),
            "find" => Some(Self::Find),
            _ => None,
        }
    }

    /// Returns the name of the array of statements.
    const fn statements(self) -> Option<&'static CStr> {
        match self {
            Self::Insert => Some(cstr!("documents")),
            Self::Update => Some(cstr!("updates")),
            Self::Find => None,
        }
    }

    /// Returns what the answer to a group of so many statements says of some of them; `None` if that cannot be told.
    fn part(self, answer: &Document, statements: usize, of: Range<usize>) -> Option<Document> {
        if self == Self::Find || of.len() == statements {
            return Some(answer.clone());
        }
        if answer.contains_key("writeConcernError") {
            return None;
        }
        // The answer must account for every statement. Of a batch that was cut short it would say nothing.
        let refused = if self == Self::Insert { write_errors(answer).count() } else { 0 };
        if usize::try_from(answer.get_i32("n").ok()?).ok()? + refused != statements {
            return None;
        }
        let errors = write_errors(answer).filter(|(index, _)| of.contains(index));
        let errors: Vec<Bson> = errors.map(|(index, code)| write_error(index - of.start, code)).collect();
        Some(doc! { "ok": 1.0, "n": int32(of.len() - errors.len()), "writeErrors": errors })
    }
}

fn write_error(index: usize, code: i32) -> Bson {
    bson!({ "index": int32(index), "code": code })
}

fn int32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
