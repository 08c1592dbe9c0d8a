//! Identities: resources of two servers that share a type and an id are not one resource.

use std::collections::BTreeMap;

use flatten::reference::{Reference, parse};
use sha2::{Digest, Sha256};

/// Entries whose server is remembered; the others of a Bundle that is larger are not compared. Some 25 MiB.
const REMEMBERED: usize = 1 << 20;

/// The servers of a Bundle's entries, by the hash of their keys.
#[derive(Debug, Default)]
pub(super) struct EntryServers {
    by_key: BTreeMap<u64, u32>,
}

impl EntryServers {
    /// Notes the entry's `fullUrl`. Returns false if an earlier entry with the same key came from another server.
    pub(super) fn note(&mut self, full_url: &str, key: &str) -> bool {
        let Some(server) = server_of(full_url, key) else { return true };
        let (key, server) = (hash(key), hash(&server));
        let server = u32::try_from(server >> 32).unwrap_or_default();
        if let Some(known) = self.by_key.get(&key) {
            return *known == server;
        }
        if self.by_key.len() < REMEMBERED {
            self.by_key.insert(key, server);
        }
        true
    }
}

/// Returns the address before `/Type/id`, without its scheme: `http` and `https` are one server. The id may be another
/// one than the resource's own.
fn server_of(full_url: &str, key: &str) -> Option<String> {
    let Reference::Resource { resource_type, id } = parse(full_url) else { return None };
    if key.split('/').next() != Some(resource_type) {
        return None;
    }
    let (_, address) = full_url.split_once("://")?;
    let server = address.get(..address.find(&format!("/{resource_type}/{id}"))?)?;
    Some(server.to_ascii_lowercase())
}

fn hash(text: &str) -> u64 {
    Sha256::digest(text.as_bytes()).first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::EntryServers;

    #[test]
    fn a_key_belongs_to_the_server_that_named_it_first() {
        let mut servers = EntryServers::default();
        for (full_url, key, is_same) in [
            ("https://a.example/fhir/Patient/1", "Patient/1", true),
            ("http://A.example/fhir/Patient/1", "Patient/1", true),
            ("https://a.example/fhir/Patient/1/_history/2", "Patient/1", true),
            ("https://b.example/fhir/Patient/1", "Patient/1", false),
            ("https://a.example/r5/Patient/1", "Patient/1", false),
            ("https://b.example/fhir/Patient/2", "Patient/2", true),
            ("https://b.example/fhir/Patient/7", "Patient/1", false),
            // What says nothing of a server, or of another type, is compared with nothing.
            ("urn:uuid:00000000-0000-4000-8000-000000000001", "Patient/1", true),
            ("Patient/1", "Patient/1", true),
            ("https://b.example/fhir/Group/7", "Patient/1", true),
        ] {
            assert_eq!(servers.note(full_url, key), is_same, "{full_url}");
        }
    }
}
