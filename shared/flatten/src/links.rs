//! Links: the keys behind the `fullUrl`s of one Bundle, so that references by `urn:` or by URL join.

use std::borrow::Cow;
use std::collections::BTreeMap;
#[expect(clippy::disallowed_types, reason = "a set that is only looked into")]
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use crate::reference::{Reference, parse};

/// The targets of a Bundle that have been seen so far. A UUID costs some thirty bytes, so that the links of a
/// Bundle with a million entries fit where the Bundle does not.
#[derive(Debug, Default)]
pub struct Links {
    types: BTreeMap<Box<str>, u16>,
    type_names: Vec<Box<str>>,
    /// The type behind each UUID. Bytes instead of a number: maps of these have no gaps.
    uuids: BTreeMap<Uuid, u16>,
    /// The ids that are not the UUID itself: Synthea and most other writers of transactions have none.
    ids: BTreeMap<Uuid, Box<str>>,
    /// The keys of entries with any other `fullUrl`. An empty key is that of an entry that was set aside.
    others: BTreeMap<Box<str>, Box<str>>,
    /// Hashes of the `fullUrl`s that say the key of their entry themselves, where references wait for them. The hasher has
    /// random keys, so that hostile input cannot make up URLs with one hash.
    #[expect(clippy::disallowed_types, reason = "a set that is only looked into")]
    plain_urls: HashSet<u64>,
    hasher: RandomState,
    /// Whether URLs that name a type and an id are among the others.
    has_urls: bool,
    /// Whether a reference to a URL waits for the entry with that `fullUrl`.
    awaits_urls: bool,
    /// The base URL of relative references in the current entry.
    base: Option<Box<str>>,
    /// Bytes of the texts that are kept on the heap.
    text_bytes: usize,
    more: bool,
}

/// What a map of these takes for an entry, at a load of two thirds, and what an allocator takes for a short text.
const UUID_BYTES: usize = 28;
const ID_BYTES: usize = 52;
const OTHER_BYTES: usize = 64;
/// At a load between 7/16 and 7/8.
const PLAIN_URL_BYTES: usize = 14;

/// A longer URL of a server is looked up for no relative reference: each of them would be as long.
const LONGEST_BASE: usize = 2_048;

type Uuid = [u8; 16];

/// What is known of a URN or URL of a `fullUrl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The target's key.
    Key(String),
    /// No entry has had it so far, but more entries may follow.
    Later,
    /// No entry of the Bundle has it.
    Nowhere,
}

impl Links {
    /// Returns the links of a Bundle whose entries are still being read.
    #[must_use]
    pub fn open() -> Self {
        Self { more: true, ..Self::default() }
    }

    /// Returns the same links, and whether a reference to a URL waits for the entry with that `fullUrl`: the id of the entry
    /// may be another one. The `fullUrl`s of what a server answers are the URLs of its resources, so that nothing has to
    /// wait for them.
    #[must_use]
    pub fn awaiting_urls(self, awaits_urls: bool) -> Self {
        Self { awaits_urls, ..self }
    }

    /// Notes that no entry follows: what has not been seen does not exist.
    pub const fn close(&mut self) {
        self.more = false;
    }

    /// Returns whether they are the links of no Bundle: nothing is known, and nothing follows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.more && self.uuids.is_empty() && self.others.is_empty()
    }

    /// Returns about how much memory the links take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let (uuids, ids) = (self.uuids.len() * UUID_BYTES, self.ids.len() * ID_BYTES);
        let plain_urls = self.plain_urls.len() * PLAIN_URL_BYTES;
        uuids + ids + plain_urls + self.others.len() * OTHER_BYTES + self.text_bytes
    }

    /// Returns whether the key of the entry with this `fullUrl` must be remembered. It need not be where the key can be read
    /// off the reference itself.
    #[must_use]
    pub fn needs(full_url: &str, key: &str) -> bool {
        match parse(full_url) {
            Reference::Resource { resource_type, id } => key.split_once('/') != Some((resource_type, id)),
            Reference::Urn(_) => true,
            Reference::Contained(_) | Reference::Other => false,
        }
    }

    /// Remembers the key of the entry with this `fullUrl`, if it [must be](Self::needs) or if references wait for it. Of
    /// several entries with one `fullUrl` the first is the one that references mean.
    pub fn insert(&mut self, full_url: &str, key: &str) {
        let is_url = matches!(parse(full_url), Reference::Resource { .. });
        if !Self::needs(full_url, key) {
            if is_url && self.awaits_urls && !self.others.contains_key(without_history(full_url)) {
                self.plain_urls.insert(self.hasher.hash_one(without_history(full_url)));
            }
            return;
        }
        if self.is_plain(without_history(full_url)) {
            return;
        }
        self.has_urls |= is_url;
        let canonical = canonical(full_url);
        let full_url = without_history(&canonical);
        let Some((resource_type, id)) = key.split_once('/') else { return };
        let known = uuid(full_url);
        if known.is_some_and(|uuid| self.uuids.contains_key(&uuid)) {
            return;
        }
        match known.and_then(|uuid| Some((uuid, self.type_number(resource_type)?))) {
            Some((uuid, resource_type)) => {
                self.uuids.insert(uuid, resource_type);
                if full_url.get("urn:uuid:".len()..) != Some(id) {
                    self.text_bytes += id.len();
                    self.ids.insert(uuid, id.into());
                }
            }
            None if self.others.contains_key(full_url) => {}
            None => {
                self.text_bytes += full_url.len() + key.len();
                self.others.insert(full_url.into(), key.into());
            }
        }
    }

    /// Notes that the entry with this `fullUrl` was rejected, so that references to it have no target.
    pub fn set_aside(&mut self, full_url: &str) {
        self.has_urls = true;
        let full_url = without_history(full_url);
        self.text_bytes += full_url.len();
        self.others.insert(full_url.into(), Box::default());
    }

    /// Returns whether the entry with this `fullUrl` was [set aside](Self::set_aside).
    #[must_use]
    pub fn is_set_aside(&self, full_url: &str) -> bool {
        self.others.get(full_url).is_some_and(|key| key.is_empty())
    }

    /// Begins the entry with this `fullUrl`, which is the base of its relative references.
    pub fn enter(&mut self, full_url: Option<&str>) {
        let base = full_url.filter(|_| self.looks_up_urls()).and_then(base);
        self.enter_base(base);
    }

    /// Begins an entry whose relative references have this base URL.
    pub fn enter_base(&mut self, base: Option<&str>) {
        self.base = base.filter(|base| base.len() <= LONGEST_BASE).map(Box::from);
    }

    /// Returns the base URL of relative references in the current entry, if references are looked up by URL.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Returns whether a reference with a type and an id may mean something else than it says.
    #[must_use]
    pub const fn looks_up_urls(&self) -> bool {
        self.has_urls || (self.awaits_urls && self.more)
    }

    /// Returns the name by which a reference finds an entry of the Bundle, a URN or a URL without version, and what is known of
    /// that entry; `None` where the reference says its key itself or has none.
    #[must_use]
    pub fn look_up<'t>(&self, reference: &'t str) -> Option<(Cow<'t, str>, Link)> {
        match parse(reference) {
            Reference::Urn(urn) => Some((Cow::Borrowed(urn), self.resolve(urn))),
            Reference::Resource { .. } => self.look_up_url(reference),
            Reference::Contained(_) | Reference::Other => None,
        }
    }

    /// Returns the same for a reference with a type and an id.
    #[must_use]
    pub fn look_up_url<'t>(&self, reference: &'t str) -> Option<(Cow<'t, str>, Link)> {
        if !self.looks_up_urls() {
            return None;
        }
        let reference = without_history(reference.split('#').next().unwrap_or_default());
        let url = if reference.contains("://") {
            Cow::Borrowed(reference)
        } else {
            Cow::Owned([self.base()?, reference].concat())
        };
        let link = match self.others.get(&*url) {
            Some(key) if key.is_empty() => Link::Nowhere,
            Some(key) => Link::Key(key.to_string()),
            None if self.more && self.awaits_urls && !self.is_plain(&url) => Link::Later,
            None => return None,
        };
        Some((url, link))
    }

    /// Returns whether an entry has this `fullUrl` and the key that it says.
    fn is_plain(&self, full_url: &str) -> bool {
        !self.plain_urls.is_empty() && self.plain_urls.contains(&self.hasher.hash_one(full_url))
    }

    /// Returns the key of the entry whose `fullUrl` is this URN. Behind a `#` may stand the only resource type that is
    /// wanted (`urn:uuid:…#Patient`); an entry of another type is then nowhere.
    #[must_use]
    pub fn resolve(&self, urn: &str) -> Link {
        if self.uuids.is_empty() && self.others.is_empty() {
            return if self.more { Link::Later } else { Link::Nowhere };
        }
        let (urn, wanted) = urn.split_once('#').map_or((urn, None), |(urn, wanted)| (urn, Some(wanted)));
        let urn = &*canonical(urn);
        match (self.find(urn), wanted) {
            (Link::Key(key), Some(wanted)) if key.split('/').next() != Some(wanted) => Link::Nowhere,
            (link, _) => link,
        }
    }

    fn find(&self, urn: &str) -> Link {
        let by_uuid = uuid(urn).and_then(|uuid| {
            let resource_type = self.type_names.get(usize::from(*self.uuids.get(&uuid)?))?;
            let own = urn.get("urn:uuid:".len()..).unwrap_or_default();
            let id = self.ids.get(&uuid).map_or(own, |id| id);
            Some(format!("{resource_type}/{id}"))
        });
        let found = by_uuid.or_else(|| self.others.get(urn).map(ToString::to_string));
        match found {
            Some(key) if key.is_empty() => Link::Nowhere,
            Some(key) => Link::Key(key),
            None if self.more => Link::Later,
            None => Link::Nowhere,
        }
    }

    /// Returns the number of a type's name; `None` when no number is left: a sender can make up any number of names.
    fn type_number(&mut self, name: &str) -> Option<u16> {
        if let Some(&known) = self.types.get(name) {
            return Some(known);
        }
        let number = u16::try_from(self.type_names.len()).ok()?;
        self.type_names.push(name.into());
        self.types.insert(name.into(), number);
        self.text_bytes += 2 * (name.len() + OTHER_BYTES);
        Some(number)
    }
}

/// Returns the spelling by which a `fullUrl` is known: that of a UUID is in lower case (RFC 9562, section 4), whatever a sender
/// writes.
#[must_use]
pub fn canonical(full_url: &str) -> Cow<'_, str> {
    let is_upper = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
    match full_url.get(.."urn:uuid:".len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case("urn:uuid:") && is_upper(full_url) => {
            let lower = full_url.to_ascii_lowercase();
            if uuid(&lower).is_some() { Cow::Owned(lower) } else { Cow::Borrowed(full_url) }
        }
        _ => Cow::Borrowed(full_url),
    }
}

/// Returns what is before `Type/id` in a URL.
fn base(full_url: &str) -> Option<&str> {
    let Reference::Resource { resource_type, id } = parse(full_url) else { return None };
    without_history(full_url).strip_suffix(id)?.strip_suffix('/')?.strip_suffix(resource_type)
}

fn without_history(url: &str) -> &str {
    url.split_once("/_history/").map_or(url, |(resource, _)| resource)
}

/// Returns the bytes of a `urn:uuid:` in the canonical lower-case form.
fn uuid(urn: &str) -> Option<Uuid> {
    let text = urn.strip_prefix("urn:uuid:")?;
    let mut number = 0u128;
    for (index, byte) in text.bytes().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
        } else {
            let digit = if byte.is_ascii_uppercase() { None } else { char::from(byte).to_digit(16) };
            number = number << 4 | u128::from(digit?);
        }
    }
    (text.len() == 36).then_some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_BASE, Link, Links};

    /// Any number of made-up types is told apart, in linear time.
    #[test]
    fn types_without_end_keep_their_names() {
        let mut links = Links::open();
        let urn = |number| format!("urn:uuid:00000000-0000-4000-8000-{number:012x}");
        (0..100_000).for_each(|number| links.insert(&urn(number), &format!("T{number}/i")));
        for number in [0, 1, 65_534, 65_535, 65_536, 65_537, 99_999] {
            assert_eq!(links.resolve(&urn(number)), Link::Key(format!("T{number}/i")));
        }
        assert!(links.bytes() > 100_000 * 32);
    }

    #[test]
    fn a_full_url_counts_whatever_the_id() {
        let mut links = Links::open();
        links.insert("https://s.example/fhir/Patient/00003", "Patient/1");
        links.insert("https://s.example/fhir/Patient/2", "Patient/2");
        links.insert("resource:0", "Patient/3");
        links.set_aside("https://b.example/fhir/Patient/2");
        let key = |text: &str| Some(Link::Key(text.to_owned()));
        let resolve_url = |links: &Links, text: &str| links.look_up_url(text).map(|(_, link)| link);
        assert_eq!(resolve_url(&links, "https://s.example/fhir/Patient/00003"), key("Patient/1"));
        assert_eq!(
            resolve_url(&links, "https://s.example/fhir/Patient/00003/_history/2#x"),
            key("Patient/1")
        );
        assert_eq!(resolve_url(&links, "Patient/00003"), None);
        links.enter(Some("https://s.example/fhir/Observation/7"));
        assert_eq!(resolve_url(&links, "Patient/00003"), key("Patient/1"));
        assert_eq!(resolve_url(&links, "Patient/2"), None);
        links.enter(Some(&format!("https://s.example/{}/Observation/7", "x".repeat(LONGEST_BASE))));
        assert_eq!(resolve_url(&links, "Patient/00003"), None);
        links.enter(Some("https://b.example/fhir/Observation/7"));
        assert_eq!(resolve_url(&links, "Patient/2"), Some(Link::Nowhere));
        assert_eq!(links.resolve("resource:0"), Link::Key("Patient/3".to_owned()));
        assert_eq!(links.resolve("resource:1"), Link::Later);
    }

    #[test]
    fn urls_wait_for_their_entries_until_the_bundle_ends() {
        let mut links = Links::open().awaiting_urls(true);
        links.enter(Some("https://s.example/fhir/MessageHeader/1"));
        let found = |links: &Links, text: &'static str| links.look_up(text).map(|(_, link)| link);
        let key = |text: &str| Some(Link::Key(text.to_owned()));
        let url = "https://s.example/fhir/Patient/2";
        assert_eq!(links.look_up("Patient/2/_history/1"), Some((url.into(), Link::Later)));
        assert_eq!(links.look_up("https://s.example/fhir/Patient/2#x"), Some((url.into(), Link::Later)));
        links.insert(url, "Patient/2");
        links.insert("https://s.example/fhir/Patient/3", "Patient/odd");
        links.insert(url, "Patient/second");
        links.insert("https://s.example/fhir/Patient/3", "Patient/3");
        assert_eq!(found(&links, "Patient/2"), None, "it says its key itself");
        assert_eq!(found(&links, "Patient/3"), key("Patient/odd"));
        assert_eq!(found(&links, "Patient/4"), Some(Link::Later));
        links.enter(None);
        assert_eq!(found(&links, "Patient/3"), None);
        links.close();
        assert_eq!(found(&links, url), None);
        assert_eq!(found(&links, "https://s.example/fhir/Patient/4"), None);
    }

    #[test]
    fn resolves_uuids_oids_and_odd_urns() {
        let mut links = Links::open();
        let uuid = "urn:uuid:05b40eec-6e6b-4d06-a73b-4e6a1f2ff1aa";
        assert_eq!(links.resolve(uuid), Link::Later);
        links.insert(uuid, "Patient/05b40eec-6e6b-4d06-a73b-4e6a1f2ff1aa");
        links.insert("urn:uuid:00000000-0000-0000-0000-000000000001", "Encounter/e1");
        links.insert("urn:oid:1.2.3", "Organization/o");
        links.insert("urn:uuid:organization-1", "Organization/p");
        links.insert(
            "urn:uuid:AAAAAAAA-0000-0000-0000-000000000001",
            "Group/AAAAAAAA-0000-0000-0000-000000000001",
        );
        links.insert("https://x.example/Patient/9", "Patient/9");
        links.insert("urn:oid:1.2.3", "Organization/second");
        links.insert(uuid, "Patient/second");
        links.close();
        let key = |text: &str| Link::Key(text.to_owned());
        assert_eq!(links.resolve(uuid), key("Patient/05b40eec-6e6b-4d06-a73b-4e6a1f2ff1aa"));
        assert_eq!(links.resolve("urn:uuid:00000000-0000-0000-0000-000000000001"), key("Encounter/e1"));
        assert_eq!(links.resolve("urn:oid:1.2.3"), key("Organization/o"));
        assert_eq!(links.resolve("urn:uuid:organization-1"), key("Organization/p"));
        assert_eq!(
            links.resolve("urn:uuid:AAAAAAAA-0000-0000-0000-000000000001"),
            key("Group/AAAAAAAA-0000-0000-0000-000000000001")
        );
        assert_eq!(links.resolve("urn:uuid:nobody"), Link::Nowhere);
        let upper = "URN:uuid:05B40EEC-6e6b-4d06-a73b-4e6a1f2ff1aa";
        assert_eq!(links.resolve(upper), key("Patient/05b40eec-6e6b-4d06-a73b-4e6a1f2ff1aa"));
        assert_eq!(links.resolve("urn:oid:1.2.3#Organization"), key("Organization/o"));
        assert_eq!(links.resolve("urn:oid:1.2.3#Patient"), Link::Nowhere);
    }
}
