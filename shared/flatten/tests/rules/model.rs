//! The element tables and HL7's registry of extensions, read from their text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::json::{is_scalar, many, text_of};

/// Names that no member which FHIR does not know may have.
const DERIVED: &str = "absent at choice coding codings count dataSha256 dataSize email fax items key keys other pager \
     phone sms text type url values written";

/// Names that no extension may have either.
const DERIVED_FROM_VALUES: &str =
    "code comparator display id identifier modifier modifierExtension system unit userSelected value version";

pub(crate) fn is_derived(name: &str) -> bool {
    DERIVED.split_whitespace().any(|derived| derived == name)
}

const US_CORE: [&str; 4] = [
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-direct",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-religion",
];

/// What some releases say of an element.
pub(crate) struct Use {
    pub(crate) datatype: &'static str,
    pub(crate) many: bool,
    pub(crate) choice: Option<&'static str>,
    releases: &'static str,
}

pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) elements: BTreeMap<&'static str, Vec<Use>>,
}

pub(crate) struct Model {
    pub(crate) types: BTreeMap<&'static str, Type>,
    /// The registered URL that keeps a name.
    owners: BTreeMap<String, &'static str>,
}

impl Use {
    /// Types begin with a capital, primitives do not.
    pub(crate) fn is_primitive(&self) -> bool {
        self.datatype.starts_with(|first: char| first.is_ascii_lowercase())
    }

    pub(crate) fn is_moment(&self) -> bool {
        ["date", "dateTime", "instant"].contains(&self.datatype)
    }

    fn read(name: &'static str, word: &'static str) -> Self {
        let (fact, releases) = word.split_once(':').unwrap_or((word, "23 4b56"));
        let (fact, is_choice) = fact.strip_suffix('?').map_or((fact, false), |fact| (fact, true));
        let (datatype, many) = fact.strip_suffix('*').map_or((fact, false), |fact| (fact, true));
        let choice = is_choice.then(|| &name[..name.len() - datatype.len()]);
        Self { datatype, many, choice, releases }
    }
}

impl Type {
    pub(crate) fn uses(&self, name: &str) -> &[Use] {
        self.elements.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.elements.contains_key(name)
    }

    /// Returns the members of a choice in any release.
    pub(crate) fn choices<'t>(&'t self, base: &'t str) -> impl Iterator<Item = &'t Use> {
        self.elements.values().flatten().filter(move |used| used.choice == Some(base))
    }
}

impl Model {
    pub(crate) fn read() -> Self {
        let mut types = BTreeMap::new();
        for text in include_str!("../../src/model/elements.txt").split("\n=").skip(1) {
            let mut lines = text.lines();
            let (name, kind) = lines.next().unwrap().split_once(' ').unwrap();
            let elements = lines.map(|line| {
                let (name, uses) = line.split_once(' ').unwrap();
                (name, uses.split(' ').map(|word| Use::read(name, word)).collect())
            });
            types.insert(name, Type { name, kind, elements: elements.collect() });
        }
        Self { types, owners: owners() }
    }

    pub(crate) fn is_resource(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|known| known.kind == "resource")
    }

    /// Returns the type of an object or of all objects of an array together, among those that releases give the
    /// element.
    pub(crate) fn fitting(&self, uses: &[Use], items: &[&Map<String, Value>]) -> Option<&Type> {
        let types = uses.iter().filter(|used| !used.is_primitive());
        let scored = types.filter_map(|used| {
            let own = items.first().and_then(|item| text_of(item, "resourceType"));
            let name = if used.datatype == "Resource" { own? } else { used.datatype };
            let known = self.types.get(name)?;
            let fits = items.iter().flat_map(|item| item.iter()).map(|member| fit(known, member));
            let (count, shape) = fits.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            Some((count, shape, used.releases.contains('4'), known))
        });
        // Of equals the first stays: uses stand newest first.
        scored
            .reduce(
                |best, next| if (next.0, next.1, next.2) > (best.0, best.1, best.2) { next } else { best },
            )
            .map(|best| best.3)
    }

    /// Returns the name of an extension's column, and whether it has no digits though nobody registered the URL.
    pub(crate) fn extension_name(&self, carrier: Option<&Type>, others: &[Use], url: &str) -> (String, bool) {
        let (url, name) = (without_version(url), tail(url));
        let is_element = |known: &Type| known.has(&name) || known.choices(&name).next().is_some();
        let is_of_value = DERIVED_FROM_VALUES.split_whitespace().any(|derived| derived == name);
        let is_taken = match carrier {
            Some(known) if known.name == "Extension" => {
                ["count", "modifier", "modifierExtension"].contains(&&*name) || known.has(&name)
            }
            carrier => is_derived(&name) || is_of_value || carrier.is_some_and(is_element),
        };
        let owner = self.owners.get(&name);
        let mut others = others.iter().filter_map(|used| self.types.get(used.datatype));
        if is_taken
            || others.any(is_element)
            || is_like_digits(&name)
            || owner.is_some_and(|owner| *owner != url)
        {
            return (with_digits(&name, url), false);
        }
        (name, owner.is_none())
    }
}

/// Returns whether a member is an element of the type with a value of its kind, and whether its shape is as the type
/// says.
fn fit(known: &Type, (name, value): (&String, &Value)) -> (u32, u32) {
    let first = many(value).iter().find(|item| !item.is_null());
    let Some(first) = first.filter(|_| !["id", "extension"].contains(&&**name)) else { return (0, 0) };
    if let Some(bare) = name.strip_prefix('_') {
        return (0, u32::from(known.uses(bare).iter().any(Use::is_primitive)));
    }
    let is_kind = |used: &Use| is_scalar(first) == used.is_primitive();
    let uses = known.uses(name);
    let is_shape = uses.iter().any(|used| is_kind(used) && used.many == value.is_array());
    (u32::from(uses.iter().any(is_kind)), u32::from(is_shape))
}

/// Returns the core specification's URL before others, then the newest release's, then the first by URL.
fn owners() -> BTreeMap<String, &'static str> {
    let lines = include_str!("../../src/model/extensions.txt").lines().filter(|line| !line.starts_with('#'));
    let mut ranked: Vec<_> = lines
        .map(|line| {
            let (url, releases) = line.split_once(' ').unwrap();
            let is_core = url.starts_with("http://hl7.org/fhir/StructureDefinition/");
            let newest = releases.chars().filter_map(|sign| "6234b5".find(sign)).max();
            (!is_core, std::cmp::Reverse(newest), url)
        })
        .collect();
    ranked.sort_unstable();
    // US Core's own URLs keep names that a withdrawn URL of DSTU2's core had too.
    let mut owners: BTreeMap<_, _> = US_CORE.iter().map(|url| (tail(url), *url)).collect();
    for (_, _, url) in ranked {
        owners.entry(tail(url)).or_insert(url);
    }
    owners
}

pub(crate) fn without_version(url: &str) -> &str {
    url.split('|').next().unwrap().trim_end_matches('/')
}

pub(crate) fn tail(url: &str) -> String {
    let url = without_version(url);
    let separators: &[char] = if url.starts_with("urn:") { &[':'] } else { &['/', '#'] };
    let says = |part: &&str| part.contains(|c: char| c.is_ascii_alphanumeric());
    let parts: Vec<&str> = url.rsplit(separators).filter(says).collect();
    let is_version = |part: &str| {
        let bare = part.strip_prefix(['v', 'V']).unwrap_or(part);
        !url.starts_with("urn:oid:")
            && bare.starts_with(|c: char| c.is_ascii_digit())
            && bare.chars().all(|c| c.is_ascii_digit() || c == '.')
    };
    let named = parts.iter().find(|part| !is_version(part)).or(parts.first());
    let words =
        named.unwrap_or(&"").split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut joined = String::new();
    for word in words {
        if joined.is_empty() {
            joined.push_str(word);
        } else {
            joined.push_str(&word[..1].to_ascii_uppercase());
            joined.push_str(&word[1..]);
        }
    }
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("x{joined}") } else { joined }
}

pub(crate) fn with_digits(name: &str, url: &str) -> String {
    format!("{name}_{}", &hex_digest(without_version(url).as_bytes())[..6])
}

pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

pub(crate) fn is_like_digits(name: &str) -> bool {
    name.len() == 6 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
