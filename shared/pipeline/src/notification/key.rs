//! Keys as S3 writes them into notifications: form-encoded, a space as `+`.

use std::borrow::Cow;

use super::invalid::InvalidNotification;

const MALFORMED: InvalidNotification = InvalidNotification::Field { name: "key" };

/// Decodes a form-encoded key: `+` is a space, then `%XX`.
///
/// S3 writes every `%` as `%25`. A stray one means that the sender did not encode the key, and a wrong guess would
/// read like an object that is gone: it is an error, as is what decodes to no UTF-8.
pub fn form_decode(encoded: &str) -> Result<String, InvalidNotification> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next())? << 4 | hex_digit(bytes.next())?,
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| MALFORMED)
}

/// Encodes a key as S3 does for its notifications; the inverse of [`form_decode`].
#[must_use]
pub fn form_encode(key: &str) -> String {
    key.bytes().map(form_encode_byte).collect()
}

fn form_encode_byte(byte: u8) -> Cow<'static, str> {
    const UNRESERVED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.*/";
    let unreserved = UNRESERVED.find(char::from(byte)).and_then(|place| UNRESERVED.get(place..=place));
    match (byte, unreserved) {
        (b' ', _) => Cow::Borrowed("+"),
        (_, Some(itself)) => Cow::Borrowed(itself),
        (_, None) => Cow::Owned(format!("%{byte:02X}")),
    }
}

fn hex_digit(digit: Option<u8>) -> Result<u8, InvalidNotification> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        _ => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{form_decode, form_encode};

    /// (as S3 writes it, the key)
    const CASES: &[(&str, &str)] = &[
        ("incoming/day1.ndjson", "incoming/day1.ndjson"),
        ("incoming/day+1.ndjson", "incoming/day 1.ndjson"),
        ("incoming/day%201.ndjson", "incoming/day 1.ndjson"),
        ("incoming/a%2Bb.ndjson", "incoming/a+b.ndjson"),
        ("incoming/a%252Bb.ndjson", "incoming/a%2Bb.ndjson"),
        ("incoming/100%25.ndjson", "incoming/100%.ndjson"),
        ("incoming/m%C3%BCller.ndjson", "incoming/müller.ndjson"),
        ("incoming/mu%CC%88ller.ndjson", "incoming/mu\u{308}ller.ndjson"),
        ("incoming/%F0%9F%94%A5.ndjson", "incoming/🔥.ndjson"),
        ("incoming/%f0%9f%94%a5.ndjson", "incoming/🔥.ndjson"),
        ("a%3Db%26c%3Fd%23e%3A", "a=b&c?d#e:"),
        ("already/ü", "already/ü"),
    ];

    #[test]
    fn decodes_what_s3_writes() {
        for (encoded, key) in CASES {
            assert_eq!(form_decode(encoded).as_deref(), Ok(*key), "{encoded}");
        }
    }

    #[test]
    fn refuses_what_nobody_encoded() {
        for malformed in ["100%", "a%2", "a%zz", "%+f", "a%C3", "%FF", "%F0%9F%94"] {
            assert!(form_decode(malformed).is_err(), "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn a_key_survives_the_round_trip(key in any::<String>()) {
            let encoded = form_encode(&key);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(form_decode(&encoded), Ok(key));
        }

        #[test]
        fn awkward_keys_survive_the_round_trip(key in "[a+ %2Bü🔥/]{0,24}") {
            prop_assert_eq!(form_decode(&form_encode(&key)), Ok(key));
        }

        #[test]
        fn decoding_never_panics(encoded in any::<String>()) {
            let _outcome = form_decode(&encoded);
        }
    }
}
