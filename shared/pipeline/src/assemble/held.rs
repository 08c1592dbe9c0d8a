//! Resources that wait for the end of their Bundle, because a view, a check or an archive rule needs the key of an entry
//! that may still come.
//!
//! Their bytes go to a spool, so that memory does not grow with what a sender sends. At the end of the Bundle they are
//! parsed and flattened like any other resource, in their order and with the version that they had. Where the Bundle's
//! links do not fit into memory, the links of many held resources are looked up together.

use std::collections::BTreeSet;

use flatten::json::Node;
use flatten::links::Links;

use crate::content::each_reference;
use crate::decode::FramePlace;
use crate::spool::{Fields, Spool, SpoolReader, push_field};

use super::references::{BrokenSpool, Join};

/// Bytes of held resources that are kept in memory; more of them go to a temporary file.
const MEMORY_BYTES: usize = 1 << 20;
/// Bytes of URNs that are looked up together, give or take those of one resource.
const URN_BYTES: usize = 8 << 20;

/// A resource that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldResource<'a> {
    /// Where it stands in the object.
    pub(super) place: FramePlace,
    pub(super) version: &'a str,
    pub(super) key: &'a str,
    /// Its JSON.
    pub(super) text: &'a str,
}

impl<'a> HeldResource<'a> {
    fn to_bytes(self, base: &str) -> Vec<u8> {
        let Self { place: FramePlace { ordinal, offset, length, line }, version, key, text } = self;
        let mut bytes = Vec::with_capacity(48 + version.len() + key.len() + base.len() + text.len());
        for number in [ordinal, offset, length, line] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for field in [version, key, base, text] {
            push_field(&mut bytes, field.as_bytes());
        }
        bytes
    }

    /// Reads a resource that was held, and the base URL of its entry.
    pub(super) fn read(record: &'a [u8]) -> Option<(Self, &'a str)> {
        let (numbers, fields) = record.split_at_checked(32)?;
        let mut numbers = numbers
            .chunks_exact(8)
            .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)));
        let mut number = || numbers.next().unwrap_or_default();
        let place = FramePlace { ordinal: number(), offset: number(), length: number(), line: number() };
        let mut fields = Fields::of(fields);
        let mut text = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
        let (version, key, base, text) = (text()?, text()?, text()?, text()?);
        Some((Self { place, version, key, text }, base))
    }
}

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
    /// Holds a resource, with the names of what it refers to.
    pub(super) fn hold(&mut self, held: &HeldResource<'_>, node: Node<'_>, links: &Links) {
        self.resources.push(&held.to_bytes(links.base().unwrap_or_default()));
        let mut names = Vec::new();
        each_reference(node, &mut |reference| {
            if let Some((name, _)) = links.look_up(reference) {
                push_field(&mut names, name.as_bytes());
            }
        });
        self.urns.push(&names);
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
    /// Returns the next held resource and the links that it is flattened with; `None` behind the last.
    pub(super) fn next<'h>(
        &'h mut self,
        join: &'h mut Join,
    ) -> Result<Option<(&'h [u8], &'h mut Links)>, BrokenSpool> {
        self.look_up(join)?;
        self.answered = self.answered.saturating_sub(1);
        let links = self.links.as_mut().unwrap_or(join.links_mut());
        Ok(self.resources.next_record().map(|record| (record, links)))
    }

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

    /// Returns whether the disk has failed.
    pub(super) const fn is_broken(&self) -> bool {
        self.resources.is_broken() || self.urns.is_broken()
    }
}
