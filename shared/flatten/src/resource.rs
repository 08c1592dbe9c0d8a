//! Resources: JSON objects proven to have a type, and the keys of their rows.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::defect::{Defect, DefectCode};
use crate::json::{JsonKind, Node};
use crate::links::canonical;
use crate::reference::{Reference, is_id, is_type, parse};

/// One JSON object proven to have a `resourceType`, and an `id` that can be a key if it has one.
#[derive(Debug, Clone)]
pub struct Resource<'a> {
    node: Node<'a>,
    type_name: Cow<'a, str>,
    id: Option<Cow<'a, str>>,
}

impl<'a> Resource<'a> {
    /// Reads a resource's type and id.
    pub fn read(node: Node<'a>) -> Result<Self, Defect> {
        let at = node.span().start;
        if node.kind() != JsonKind::Object {
            return Err(Defect::at(DefectCode::NotAResource, "", at));
        }
        let Some(name) = node.get("resourceType") else {
            return Err(Defect::at(DefectCode::NotAResource, "", at));
        };
        let Some(resource_type) = name.text().filter(|text| is_type(text)) else {
            return Err(Defect::at(DefectCode::InvalidResourceType, "/resourceType", name.span().start));
        };
        let id = match node.get("id").filter(|id| !id.is_null()) {
            None => None,
            Some(id) => match id.text().filter(|text| is_id(text)) {
                Some(text) => Some(text),
                None => return Err(Defect::at(DefectCode::InvalidId, "/id", id.span().start)),
            },
        };
        Ok(Self { node, type_name: resource_type, id })
    }

    /// Returns the JSON object.
    #[must_use]
    pub const fn node(&self) -> Node<'a> {
        self.node
    }

    /// Returns the resource type, such as `Patient`.
    #[must_use]
    pub fn resource_type(&self) -> &str {
        &self.type_name
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the key of the resource's row: `<Type>/<id>`; without an id the last part of a `fullUrl` that is a URN, or the id
    /// in one that is a URL of that type, or in the URL of the entry's PUT; else a `~` and the first 32 hex digits of
    /// the SHA-256 of the resource's bytes. The same bytes have the same key at every attempt.
    #[must_use]
    pub fn key(&self, full_url: Option<&str>, put_url: Option<&str>) -> String {
        let resource_type = &self.type_name;
        if let Some(id) = &self.id {
            return [resource_type, "/", id].concat();
        }
        let of_url = |url: &str| self.id_in(url);
        match full_url.and_then(of_url).or_else(|| put_url.and_then(of_url)) {
            Some(id) => format!("{resource_type}/{id}"),
            None => format!("{resource_type}/~{}", digest(self.node.raw().as_bytes())),
        }
    }
}

impl Resource<'_> {
    /// Returns the id that a URL gives the resource: the last part of a URN, or what stands behind the type. One address can be
    /// spelled in many ways, and all of them are one key.
    fn id_in(&self, url: &str) -> Option<String> {
        let decoded = percent_encoding::percent_decode_str(url.trim()).decode_utf8().ok()?;
        let url = canonical(&decoded);
        let address = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let address = address.strip_suffix("/_history").unwrap_or(address);
        match parse(address) {
            Reference::Resource { resource_type, id } if resource_type == self.type_name => {
                Some(id.to_owned())
            }
            Reference::Urn(urn) => {
                let is_name = urn.starts_with("urn:uuid:") || urn.starts_with("urn:oid:");
                let id = urn.rsplit(':').next().filter(|id| is_name && is_id(id))?;
                Some(id.to_owned())
            }
            _ => None,
        }
    }
}

/// Returns the first 32 hex digits of a SHA-256.
fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("{:032x}", digest.first_chunk().map_or(0, |first| u128::from_be_bytes(*first)))
}

#[cfg(test)]
mod tests {
    use super::Resource;
    use crate::defect::DefectCode;
    use crate::json::{Limits, Tape};

    fn key(text: &str, full_url: Option<&str>) -> Result<String, DefectCode> {
        let mut tape = Tape::default();
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        Resource::read(document.root())
            .map(|resource| resource.key(full_url, None))
            .map_err(|defect| defect.code)
    }

    #[test]
    fn keys_come_from_id_then_urn_then_bytes() {
        let urn = Some("urn:uuid:9b2f1c7e-0000-4000-8000-000000000001");
        assert_eq!(key(r#"{"resourceType":"Patient","id":"p1"}"#, urn).as_deref(), Ok("Patient/p1"));
        assert_eq!(
            key(r#"{"resourceType":"Patient"}"#, urn).as_deref(),
            Ok("Patient/9b2f1c7e-0000-4000-8000-000000000001")
        );
        let url = Some("http://x.example/Patient/1");
        assert_eq!(key(r#"{"resourceType":"Patient"}"#, url).as_deref(), Ok("Patient/1"));
        assert_eq!(key(r#"{"resourceType":"Patient","id":null}"#, url).as_deref(), Ok("Patient/1"));
        for url in [
            "http://x.example/Patient/%31",
            "http://x.example/Patient/1/",
            " http://x.example/Patient/1?_format=json ",
            "Patient/1/_history",
            "http://x.example/Patient/1/_history/7#part",
        ] {
            assert_eq!(key(r#"{"resourceType":"Patient"}"#, Some(url)).as_deref(), Ok("Patient/1"), "{url}");
        }
        let upper = Some("urn:uuid:9B2F1C7E-0000-4000-8000-000000000001");
        assert_eq!(key(r#"{"resourceType":"Patient"}"#, upper), key(r#"{"resourceType":"Patient"}"#, urn));
        let hashed = key(r#"{"resourceType":"Patient"}"#, Some("http://x.example/Group/1")).unwrap();
        assert!(hashed.starts_with("Patient/~"));
        assert_eq!(hashed.len(), "Patient/~".len() + 32);
        assert_eq!(key(r#"{"resourceType":"Patient"}"#, None), Ok(hashed));
    }

    #[test]
    fn what_is_no_resource_is_a_defect() {
        assert_eq!(key("[]", None), Err(DefectCode::NotAResource));
        assert_eq!(key("{}", None), Err(DefectCode::NotAResource));
        assert_eq!(key(r#"{"resourceType":7}"#, None), Err(DefectCode::InvalidResourceType));
        assert_eq!(key(r#"{"resourceType":"../etc"}"#, None), Err(DefectCode::InvalidResourceType));
        assert_eq!(key(r#"{"resourceType":"Patient","id":"a/b"}"#, None), Err(DefectCode::InvalidId));
        assert_eq!(key(r#"{"resourceType":"Patient","id":7}"#, None), Err(DefectCode::InvalidId));
    }
}
