//! Who asked for a load, as an event of S3 or the command line says.

use std::net::IpAddr;

/// The longest value that is kept, in bytes. A role's id with the longest session name has 90.
const MAX_BYTES: usize = 128;

/// Who asked for a load. A message can say anything, so the ledger takes [`Requester::checked`] ones only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requester {
    /// The principal that S3 names: `userIdentity.principalId`, or `requester` of `EventBridge`.
    pub principal: Option<String>,
    /// The address that the request came from.
    pub address: Option<String>,
    /// The id that S3 gave the request.
    pub request_id: Option<String>,
    /// `user@host` of a command line.
    pub operator: Option<String>,
}

impl Requester {
    /// Returns the requester of a command line.
    #[must_use]
    pub fn operator(user_at_host: impl Into<String>) -> Self {
        Self { operator: Some(user_at_host.into()), ..Self::default() }
    }

    /// Leaves out each value that is not shaped as such values are, so that no text of a message comes through. `None`:
    /// nothing is left.
    #[must_use]
    pub fn checked(self) -> Option<Self> {
        let checked = Self {
            principal: self.principal.filter(|text| is_name(text)),
            address: self.address.filter(|text| text.parse::<IpAddr>().is_ok()),
            request_id: self.request_id.filter(|text| is_id(text)),
            operator: self.operator.filter(|text| is_name(text)),
        };
        (checked != Self::default()).then_some(checked)
    }
}

/// Returns whether a text has only the characters of ids and session names in IAM, and the colon between them.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-:".contains(&byte);
    !text.is_empty() && text.len() <= MAX_BYTES && text.bytes().all(is_part)
}

/// Letters, digits and hyphens, a digit among them.
fn is_id(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() <= 64 && text.bytes().all(is_part) && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Requester;

    fn requester(principal: &str, address: &str, request_id: &str) -> Requester {
        let [principal, address, request_id] =
            [principal, address, request_id].map(|text| Some(text.to_owned()));
        Requester { principal, address, request_id, operator: None }
    }

    #[test]
    fn what_s3_says_is_kept() {
        for (principal, address) in [
            ("AWS:AIDAJDPLRKLG7UEXAMPLE", "192.0.2.7"),
            ("AWS:AROAEXAMPLE4EXAMPLE4X:lab-upload@clinic.example", "2001:db8::7"),
            ("111122223333", "10.0.0.1"),
        ] {
            let said = requester(principal, address, "C3D13FE58DE4C810");
            assert_eq!(said.clone().checked(), Some(said));
        }
        let operator = Requester::operator("root@ingest-1");
        assert_eq!(operator.clone().checked(), Some(operator));
    }

    #[test]
    fn text_of_any_other_shape_is_left_out() {
        assert_eq!(requester("Doe, Jane", "Jane Doe's bed", "JaneDoe").checked(), None);
        assert_eq!(requester("Müller", "192.0.2.7 Jane", "born 1970-01-01").checked(), None);
        assert_eq!(requester("", "", "").checked(), None);
        let long = "a".repeat(129);
        assert_eq!(requester(&long, "192.0.2", &"1".repeat(65)).checked(), None);
        let address_alone = requester("a\nb", "192.0.2.7", "x/1").checked().unwrap();
        assert_eq!(address_alone, Requester { address: Some("192.0.2.7".into()), ..Requester::default() });
        assert_eq!(Requester::operator("jane doe@host").checked(), None);
    }
}
