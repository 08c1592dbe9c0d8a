//! What is set aside: the first rejects of a load are stored, and all are counted.

use flatten::automatic::pointer_at;
use flatten::defect::{Defect, DefectCode};
use flatten::json::Node;
use flatten::reference::is_id;
use sha2::{Digest, Sha256};

use crate::batch::{Reason, Reject};
use crate::decode::FramePlace;
use crate::object::hex;
use crate::version::Version;

use super::{Assembler, Record, within};

/// Rejects of a batch of which the line is looked for inside their frame; hostile input has any number of them.
const WITH_LINES: usize = 1_000;

impl Assembler {
    /// Rejects a resource for one view. Its other rows are written all the same.
    pub(super) fn view_defect(&mut self, record: &Record, view: String, defect: Defect) {
        let Record { key, version, source, .. } = record;
        let reason = Reason::Defect { view: Some(view), defect };
        if self.is_stored(&reason) {
            let (source, resource) = (source.clone(), Some(key.clone()));
            let version = Some(Version::from_token(version.as_str()));
            self.out.batch.rejects.push(Reject { source, resource, sha256: None, version, reason });
        }
    }

    /// Sets a resource aside whose JSON could be read.
    pub(super) fn defective(
        &mut self,
        place: FramePlace,
        node: Node<'_>,
        key: Option<String>,
        mut defect: Defect,
    ) {
        // Offsets and paths count from the resource, wherever in its frame it stands.
        if let (Some(offset), true) = (defect.offset, defect.path.is_empty()) {
            defect.path = pointer_at(node, offset);
        }
        defect.offset = defect.offset.map(|offset| offset.saturating_sub(node.span().start));
        let key = key.filter(|key| key.split_once('/').is_some_and(|(_, id)| is_id(id)));
        let version = match self.current.version.take() {
            Some(version) => Some(version),
            None => self.version_of_reject(node, place.ordinal),
        };
        let mut place = self.current.record_place.unwrap_or_else(|| within(place, node));
        if self.current.is_nested && self.out.batch.rejects.len() < WITH_LINES {
            place.line += node.lines_before() as u64;
        }
        let reason = Reason::Defect { view: None, defect };
        let before = self.out.batch.rejects.len();
        self.reject(place, key, Some(node.raw().as_bytes()), reason);
        if let Some(stored) = self.out.batch.rejects.get_mut(before) {
            stored.version = version;
        }
    }

    pub(super) fn reject(
        &mut self,
        place: FramePlace,
        resource: Option<String>,
        bytes: Option<&[u8]>,
        reason: Reason,
    ) {
        self.position.records += 1;
        if !self.is_stored(&reason) {
            return;
        }
        let source = self.source_at(place);
        let sha256 = bytes.map(|bytes| hex(&Sha256::digest(bytes), 32));
        self.out.bytes += size_of::<Reject>() + 128;
        self.out.batch.rejects.push(Reject { source, resource, sha256, version: None, reason });
    }

    /// Returns whether a reject is stored. If not, it is counted here, unless it is skipped.
    fn is_stored(&mut self, reason: &Reason) -> bool {
        let is_stored = self.is_skipping || self.out.reject_room.claim();
        if !is_stored {
            self.out.batch.unstored.count(reason);
        }
        is_stored
    }

    /// Sets an entry aside that says something about no resource in particular.
    pub(super) fn unusable(&mut self, place: FramePlace, node: Node<'_>, code: DefectCode) {
        self.defective(place, node, None, Defect::whole(code));
    }
}
