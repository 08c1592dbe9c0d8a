//! Compares a page of a bucket's listing with the ledger.

use pipeline::store::StoreError;

use crate::known_loads::{CurrentStatus, KnownLoad, KnownLoads};
use crate::listing::{ListedVersion, ListingPage};

/// An object version, and what the ledger knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    /// The version. Among versions of one second its object has a sequencer that says which is newer.
    pub(crate) version: ListedVersion,
    /// `None`: the ledger knows nothing.
    pub(crate) state: Option<CurrentStatus>,
}

/// Looks up all versions of a page.
pub(crate) async fn compare(page: ListingPage, loads: &KnownLoads) -> Result<Vec<Compared>, StoreError> {
    let known = loads.of_versions(&page).await?;
    let page = known.into_iter().zip(page);
    Ok(with_sequencers(page))
}

impl Compared {
    /// Returns whether the ledger calls a version gone. If S3 lists it now, the ledger is wrong: it was announced under
    /// a name by which it cannot be read any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == Some(CurrentStatus::Gone)
    }
}

/// Gives a sequencer to versions of one key and second that the ledger does not know: nothing else says which of their
/// resources is newer. It continues that of the version before.
fn with_sequencers(page: impl Iterator<Item = (Option<KnownLoad>, ListedVersion)>) -> Vec<Compared> {
    let (mut before, mut steps) = (String::new(), 0_u32);
    let sequenced = page.map(|(known, mut version)| {
        if version.rank_in_second == 0 {
            (before, steps) = (String::new(), 0);
        }
        if let Some(sequencer) = known.as_ref().and_then(|load| load.sequencer.clone()) {
            (before, steps) = (sequencer, 0);
        } else if version.rank_in_second > 0 {
            steps += 1;
            version.object.sequencer = Some(format!("{before}{steps:08X}"));
        }
        Compared { version, state: known.map(|load| load.state) }
    });
    sequenced.collect()
}

#[cfg(test)]
mod tests {
    use pipeline::object::{ObjectRef, Pin, Source};
    use pipeline::version::Version;

    use super::with_sequencers;
    use crate::known_loads::{CurrentStatus, KnownLoad};
    use crate::listing::ListedVersion;

    fn version(rank_in_second: u32) -> ListedVersion {
        let (bucket, key, pin) = ("b".into(), "k".into(), Pin::Latest);
        let object = ObjectRef { bucket, key, pin, sequencer: None, created: 5_000, size: Some(1) };
        ListedVersion { object, other_load_id: None, is_archived: false, rank_in_second }
    }

    fn known(sequencer: Option<&str>) -> KnownLoad {
        KnownLoad { state: CurrentStatus::Done, sequencer: sequencer.map(str::to_owned) }
    }

    /// Returns the token of a version's record: of what was announced, if the ledger knows it.
    fn token(compared: &super::Compared, known: Option<&KnownLoad>) -> Version {
        let mut object = compared.version.object.clone();
        object.sequencer = known.map_or(object.sequencer.clone(), |load| load.sequencer.clone());
        Version::new(None, &Source { object: object.into(), ordinal: 0, offset: 0, length: 0, line: 1 })
    }

    #[test]
    fn versions_of_one_second_are_in_order_whichever_of_them_were_announced() {
        let announced = ["0055AED6DCD90281E5", "0055AED6DCD90281E6", "0055AED6DCD90291", "0055AED6DD"];
        for mask in 0..16_usize {
            let known: Vec<Option<KnownLoad>> = (0..4)
                .map(|index| if mask >> index & 1 == 1 { Some(known(Some(announced[index]))) } else { None })
                .collect();
            let ranked = (0..4).map(version);
            let compared = with_sequencers(known.iter().cloned().zip(ranked));
            let tokens: Vec<Version> =
                compared.iter().zip(&known).map(|(one, known)| token(one, known.as_ref())).collect();
            assert!(tokens.is_sorted_by(|a, b| a < b), "{mask:04b}: {tokens:?}");
        }
    }

    #[test]
    fn what_was_sent_before_without_a_sequencer_is_the_oldest() {
        let compared = with_sequencers(
            [(Some(known(None)), version(0)), (None, version(1)), (None, version(0))].into_iter(),
        );
        let sequencers: Vec<_> = compared.iter().map(|one| one.version.object.sequencer.as_deref()).collect();
        assert_eq!(sequencers, [None, Some("00000001"), None]);
    }
}
