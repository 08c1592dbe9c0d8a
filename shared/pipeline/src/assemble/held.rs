//! Resources that wait for the end of their Bundle, because a view, a check or an archive rule needs the key of an entry
//! that may still come.
//!
//! Their bytes go to a spool, so that memory does not grow with what a sender sends. At the end of the Bundle they are
//! parsed and flattened like any other resource, in their order and with the version that they had. Where the Bundle's
//! links do not fit into memory, the links of many held resources are looked up together.

use std::collections::BTreeSet;

use flatten::json::Node;
use flatten::links::Links;
use flatten::resource::Resource;

use crate::content::each_reference;
use crate::decode::FramePlace;
use crate::spool::{Fields, Spool, SpoolReader, push_field};
use crate::version::Version;

use super::references::{BrokenSpool, Join};
use super::{Assembler, RESOURCE, Record};

/// Bytes of held resources that are kept in memory; more of them go to a temporary file.
const MEMORY_BYTES: usize = 1 << 20;
/// Bytes of URNs that are looked up together, give or take those of one resource.
const URN_BYTES: usize = 8 << 20;
/// Memory that parsing has taken for a larger resource is given back.
const LARGE_BYTES: usize = 8 << 20;

/// The held resources of the Bundle at hand, in order.
#[derive(Debug)]
pub(super) struct Held {
    resources: Spool,
    /// The URNs that each of them refers to.
    urns: Spool,
}

impl Default for Held {
    fn default() -> Self {
        Self { resources: Spool::new(MEMORY_BYTES), urns: Spool::new(MEMORY_BYTES) }
    }
}

impl Held {
    /// Holds a resource that stands at this place of the object.
    pub(super) fn hold(
        &mut self,
        place: FramePlace,
        key: &str,
        version: &Version,
        resource: Node<'_>,
        links: &Links,
    ) {
        let FramePlace { ordinal, offset, length, line } = place;
        let bytes = resource.raw().as_bytes();
        let base = links.base().unwrap_or_default();
        let mut record =
            Vec::with_capacity(48 + version.as_str().len() + key.len() + base.len() + bytes.len());
        for number in [ordinal, offset, length, line] {
            record.extend_from_slice(&number.to_le_bytes());
        }
        for field in [version.as_str().as_bytes(), key.as_bytes(), base.as_bytes(), bytes] {
            push_field(&mut record, field);
        }
        self.resources.push(&record);
        record.clear();
        each_reference(resource, &mut |reference| {
            if let Some((name, _)) = links.look_up(reference) {
                push_field(&mut record, name.as_bytes());
            }
        });
        self.urns.push(&record);
    }

    /// Returns whether the disk has failed.
    pub(super) const fn is_broken(&self) -> bool {
        self.resources.is_broken() || self.urns.is_broken()
    }

    /// Ends the Bundle. Returns the held resources, if there are any.
    pub(super) fn close(self) -> Option<HeldResources> {
        let Self { resources, urns } = self;
        (!resources.is_empty()).then(|| HeldResources {
            resources: resources.into_reader(),
            urns: urns.into_reader(),
            links: None,
            answered: 0,
        })
    }
}

/// The held resources of a complete Bundle, one after the other.
#[derive(Debug)]
pub(super) struct HeldResources {
    resources: SpoolReader,
    urns: SpoolReader,
    /// The links of the next resources, where those of the Bundle do not fit into memory.
    links: Option<Links>,
    /// How many of the next resources these links are for.
    answered: usize,
}

impl HeldResources {
    /// Looks up what the next resources refer to, unless all links of the Bundle are in memory.
    fn look_up(&mut self, join: &mut Join) -> Result<(), BrokenSpool> {
        if join.has_all_links() || self.answered > 0 {
            return Ok(());
        }
        let (mut wanted, mut bytes) = (BTreeSet::<Box<str>>::new(), 0);
        while bytes < URN_BYTES {
            let Some(record) = self.urns.next_record() else { break };
            self.answered += 1;
            for urn in Fields::of(record).filter_map(|urn| std::str::from_utf8(urn).ok()) {
                bytes += if wanted.insert(urn.into()) { urn.len() } else { 0 };
            }
        }
        self.links = Some(join.links_of(&wanted)?);
        Ok(())
    }

    const fn is_broken(&self) -> bool {
        self.resources.is_broken() || self.urns.is_broken()
    }
}

impl Assembler {
    /// Flattens held resources until the batch is full. Returns whether there are more.
    pub(super) fn take_held(
        &mut self,
        held: &mut HeldResources,
        join: &mut Join,
    ) -> Result<bool, BrokenSpool> {
        while !self.is_full() {
            held.look_up(join)?;
            let Some(record) = held.resources.next_record() else {
                return if held.is_broken() { Err(BrokenSpool) } else { Ok(false) };
            };
            held.answered = held.answered.saturating_sub(1);
            self.flatten_held(record, held.links.as_mut().unwrap_or(join.links_mut()));
        }
        Ok(true)
    }

    fn flatten_held(&mut self, record: &[u8], links: &mut Links) {
        let Some((mut record, place, base, bytes)) = self.read_held(record) else { return };
        links.enter_base((!base.is_empty()).then_some(base));
        let mut tape = std::mem::take(&mut self.tape);
        if let Ok(document) = tape.parse(bytes, RESOURCE)
            && let Ok(resource) = Resource::read(document.root())
        {
            self.make_room();
            let before = self.batch.rows.len();
            let hasher = self.hasher.as_ref();
            record.hash = hasher.and_then(|hasher| hasher.hash(&record.key, resource.node(), links));
            let outcome = self.flattener.flatten(&resource, &record.key, links, &mut self.batch.rows);
            self.settle(record, place, &resource, before, outcome);
        }
        if bytes.len() <= LARGE_BYTES {
            self.tape = tape;
        }
    }

    /// Reads what [`Held::hold`] wrote.
    fn read_held<'a>(&self, record: &'a [u8]) -> Option<(Record, FramePlace, &'a str, &'a [u8])> {
        let (numbers, fields) = record.split_at_checked(32)?;
        let mut numbers = numbers
            .chunks_exact(8)
            .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)));
        let mut number = || numbers.next().unwrap_or_default();
        let place = FramePlace { ordinal: number(), offset: number(), length: number(), line: number() };
        let mut fields = Fields::of(fields);
        let mut text = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
        let (version, key, base) = (text()?, text()?.to_owned(), text()?);
        let version = Version::from_token(version).in_edition(self.edition);
        let record = Record { key, version, source: self.source_at(place), hash: None };
        Some((record, place, base, fields.next()?))
    }
}
