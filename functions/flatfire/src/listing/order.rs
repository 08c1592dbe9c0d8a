//! Puts the versions of each key into the order in which they were made, and cuts pages between keys.

use pipeline::listing::ListedVersion;

use super::selection::{ListingPage, PAGE};

/// Versions of one key that are held at once. A key with more is cut into several parts.
const HELD_VERSIONS: usize = 100_000;

/// Collects versions whose keys come one after the other.
#[derive(Debug, Default)]
pub(super) struct VersionOrder {
    /// The versions of the latest key.
    key: ListingPage,
    /// The versions of earlier keys.
    page: ListingPage,
}

/// The order in which the versions of a key come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// As S3 lists them.
    NewestFirst,
    /// As a sorted report has them.
    OldestFirst,
}

impl VersionOrder {
    /// Takes the next version. Returns a page once it is full.
    pub(super) fn push(&mut self, version: ListedVersion, incoming: Incoming) -> Option<ListingPage> {
        let is_other = self.key.last().is_some_and(|last| last.object.key != version.object.key);
        if is_other || self.key.len() >= HELD_VERSIONS {
            self.close_key(incoming);
        }
        self.key.push(version);
        (self.page.len() >= PAGE).then(|| std::mem::take(&mut self.page))
    }

    /// Returns what is left at the end.
    pub(super) fn finish(mut self, incoming: Incoming) -> ListingPage {
        self.close_key(incoming);
        self.page
    }

    fn close_key(&mut self, incoming: Incoming) {
        if incoming == Incoming::NewestFirst {
            self.key.reverse();
        }
        let (mut second, mut rank) = (None, 0);
        for mut version in self.key.drain(..) {
            let made = version.object.created.div_euclid(1_000);
            rank = if second == Some(made) { rank + 1 } else { 0 };
            second = Some(made);
            version.rank_in_second = rank;
            self.page.push(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline::object::{ObjectRef, Pin};

    use super::{Incoming, VersionOrder};
    use crate::listing::ListedVersion;

    fn version(key: usize, version: usize, created: i64) -> ListedVersion {
        let (bucket, key, version) = ("b".into(), format!("{key:05}"), version.to_string());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created, size: Some(1) };
        ListedVersion::new(object, Some(&version), "", true)
    }

    fn seen(page: &[ListedVersion]) -> Vec<(String, String, u32)> {
        let of =
            |one: &ListedVersion| (one.object.key.clone(), one.object.pin.to_string(), one.rank_in_second);
        page.iter().map(of).collect()
    }

    #[test]
    fn versions_come_out_oldest_first_with_their_rank_among_those_of_their_second() {
        let mut order = VersionOrder::default();
        for (key, number, created) in [(0, 4, 2_000), (0, 3, 1_900), (0, 2, 1_000), (0, 1, 0), (1, 5, 0)] {
            assert_eq!(order.push(version(key, number, created), Incoming::NewestFirst), None);
        }
        let expected =
            [("00000", "1", 0), ("00000", "2", 0), ("00000", "3", 1), ("00000", "4", 0), ("00001", "5", 0)];
        let expected = expected.map(|(key, version, rank)| (key.to_owned(), version.to_owned(), rank));
        assert_eq!(seen(&order.finish(Incoming::NewestFirst)), expected);
    }

    #[test]
    fn pages_are_cut_between_keys() {
        let (mut order, mut pages) = (VersionOrder::default(), Vec::new());
        for number in 0..5_000 {
            pages.extend(order.push(version(number / 3, number, 0), Incoming::OldestFirst));
        }
        pages.push(order.finish(Incoming::OldestFirst));
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 5_000);
        assert_eq!(pages.len(), 5);
        for two in pages.windows(2) {
            assert_ne!(two[0].last().unwrap().object.key, two[1].first().unwrap().object.key);
        }
        let ranks: Vec<u32> = pages.concat().iter().map(|version| version.rank_in_second).collect();
        assert!(ranks.chunks(3).all(|ranks| [0, 1, 2].starts_with(ranks)));
    }
}
