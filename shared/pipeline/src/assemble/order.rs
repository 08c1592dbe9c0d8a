//! When a record was made, by what its Bundle and its entry say of it.

use flatten::json::{Limits, Node, Tape};
use flatten::time::moment;

/// A Bundle's own fields without its entries: far less than a resource.
const HEAD: Limits = Limits { depth: 64, bytes: u32::MAX as usize, values: 2_000_000 };

/// What a Bundle says about its entries as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BundleFacts {
    /// Whether it is a history, which lists the newest version first; `None`: it has not said its type yet.
    is_history: Option<bool>,
    /// `timestamp`, or else `meta.lastUpdated`, in nanoseconds since 1970-01-01T00:00:00Z.
    pub(super) made_at: Option<i128>,
    /// Whether it has said its `timestamp`, which comes before all else.
    pub(super) has_timestamp: bool,
    /// Whether it has said that a server made it of its own resources: a `fullUrl` is then the URL of a resource there.
    pub(super) is_answer: bool,
}

/// The types of Bundles that a server makes of its own resources.
const ANSWERS: [&str; 5] =
    ["searchset", "history", "batch-response", "transaction-response", "subscription-notification"];

/// What an entry says about the record in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EntryFacts {
    /// `response.lastModified`, in nanoseconds since 1970-01-01T00:00:00Z.
    last_modified: Option<i128>,
    /// Whether an earlier entry of the same time is the newer one.
    newest_first: bool,
}

impl BundleFacts {
    /// Reads what stands before the entries of a Bundle: a JSON object without its closing brace.
    pub(super) fn of_head(tape: &mut Tape, head: &[u8]) -> Self {
        let text = [head, b"}"].concat();
        // What is wrong with the head is said of the envelope, once all of it is there.
        tape.parse(&text, HEAD).map(|document| Self::of(document.root())).unwrap_or_default()
    }

    /// Reads a Bundle, or what it says of itself.
    pub(super) fn of(bundle: Node<'_>) -> Self {
        let timestamp = moment_of(bundle.get("timestamp"));
        let bundle_type = bundle.get("type");
        Self {
            is_history: bundle_type.map(|value| value.is("history")),
            is_answer: bundle_type.is_some_and(|value| ANSWERS.iter().any(|answer| value.is(answer))),
            made_at: timestamp.or_else(|| last_updated(bundle)),
            has_timestamp: timestamp.is_some(),
        }
    }
}

impl EntryFacts {
    pub(super) fn of(entry: Node<'_>, bundle: BundleFacts) -> Self {
        let last_modified =
            moment_of(entry.get("response").and_then(|response| response.get("lastModified")));
        // Where the type comes behind the entries, these tell: only those of a history have both (R5, bdl-3 and bdl-4).
        let both = || ["request", "response"].iter().all(|name| entry.get(name).is_some());
        Self { last_modified, newest_first: bundle.is_history.unwrap_or_else(both) }
    }

    /// Returns the facts of an entry of which nothing is left but its place.
    pub(super) const fn held(newest_first: bool) -> Self {
        Self { last_modified: None, newest_first }
    }

    pub(super) const fn last_modified(self) -> Option<i128> {
        self.last_modified
    }

    pub(super) const fn newest_first(self) -> bool {
        self.newest_first
    }
}

/// Returns `meta.lastUpdated` in nanoseconds since 1970-01-01T00:00:00Z, if it is a moment.
pub(super) fn last_updated(node: Node<'_>) -> Option<i128> {
    moment_of(node.get("meta").and_then(|meta| meta.get("lastUpdated")))
}

fn moment_of(node: Option<Node<'_>>) -> Option<i128> {
    node.and_then(Node::text).and_then(|text| moment(&text)).map(|moment| moment.nanoseconds)
}
