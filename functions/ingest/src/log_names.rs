//! How what a message says stands in the log: file names may tell who a patient is, and whoever may send to the queue
//! writes the rest as well.

use std::borrow::Cow;
use std::fmt;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pipeline::notification::Event;
use pipeline::object::{Pin, hex};
use sha2::{Digest as _, Sha256};

use crate::watched::Watched;

/// How many bytes of a hash are written: enough to tell files apart.
const HASH_BYTES: usize = 8;
/// The lengths of a version that is taken for one of S3, which are 32, or of a store that speaks its protocol.
const VERSION_LENGTH: std::ops::RangeInclusive<usize> = 30..=64;
/// The longest sequencer: S3's have 18 digits and may grow.
const SEQUENCER_LENGTH: usize = 64;

/// How object keys stand in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKeys {
    /// By their hash: file names may tell who a patient is.
    Hash,
    /// As they are.
    Plain,
}

/// Hashes with the secret of a deployment (HMAC-SHA256): a reader of the log alone cannot find a file name by trying all
/// possible ones.
#[derive(Clone)]
pub(crate) struct LogHash(Hmac<Sha256>);

/// What the log says of objects.
#[derive(Debug, Clone)]
pub(crate) struct LogNames {
    pub(crate) keys: LogKeys,
    pub(crate) hash: LogHash,
    pub(crate) watched: Watched,
}

/// The names of one object as they stand in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Logged<'a> {
    pub(crate) bucket: Cow<'a, str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) key_hash: Option<String>,
    pub(crate) version: Cow<'a, str>,
    pub(crate) sequencer: Option<Cow<'a, str>>,
}

impl LogHash {
    pub(crate) fn new(secret: &str) -> Self {
        let mut key = Key::<Hmac<Sha256>>::default();
        // As HMAC has it: a key that is longer than a block is hashed, and zeros follow a shorter one.
        let hashed = Sha256::digest(secret);
        let bytes = if secret.len() > key.len() { hashed.as_slice() } else { secret.as_bytes() };
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(Hmac::new(&key))
    }

    /// Returns the first sixteen hex digits of a text's hash.
    pub(crate) fn of(&self, text: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes(), HASH_BYTES)
    }
}

impl LogNames {
    /// Returns the names of an event's object: all as they are if the deployment says so. Else the key is hashed, and
    /// so is everything that does not look like what S3 writes there.
    pub(crate) fn of<'a>(&self, event: &'a Event) -> Logged<'a> {
        let object = &event.object;
        let version = version(&object.pin);
        if self.keys == LogKeys::Plain {
            return Logged {
                bucket: Cow::Borrowed(&object.bucket),
                key: Some(&object.key),
                key_hash: None,
                version,
                sequencer: object.sequencer.as_deref().map(Cow::Borrowed),
            };
        }
        let sequencer = object.sequencer.as_deref();
        let is_version = is_version(&object.pin);
        Logged {
            bucket: self.if_holds(Cow::Borrowed(&object.bucket), self.watched.is_the_bucket(&object.bucket)),
            key: None,
            key_hash: Some(self.hash.of(&object.key)),
            version: self.if_holds(version, is_version),
            sequencer: sequencer.map(|text| self.if_holds(Cow::Borrowed(text), is_sequencer(text))),
        }
    }

    /// Returns the text where it is what it should be, else its hash.
    fn if_holds<'a>(&self, text: Cow<'a, str>, holds: bool) -> Cow<'a, str> {
        if holds { text } else { Cow::Owned(format!("hash:{}", self.hash.of(&text))) }
    }
}

fn version(pin: &Pin) -> Cow<'_, str> {
    match pin {
        Pin::VersionId(version) => Cow::Borrowed(version),
        Pin::ETag(_) => Cow::Owned(pin.to_string()),
        Pin::Latest => Cow::Borrowed("latest"),
    }
}

/// Returns whether a pin looks like one of S3: a version of random letters, an `ETag` of hex digits, perhaps with the
/// number of parts behind it.
fn is_version(pin: &Pin) -> bool {
    match pin {
        Pin::Latest => true,
        Pin::VersionId(version) => {
            VERSION_LENGTH.contains(&version.len())
                && version.bytes().any(|byte| byte.is_ascii_digit())
                && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+/=".contains(&byte))
        }
        Pin::ETag(tag) => {
            let tag = tag.trim_matches('"');
            let (digest, parts) = tag.split_once('-').unwrap_or((tag, ""));
            digest.len() == 32
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
                && parts.len() <= 5
                && parts.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

fn is_sequencer(text: &str) -> bool {
    text.len() <= SEQUENCER_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Debug for LogHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use pipeline::notification::Cause;
    use pipeline::object::ObjectRef;

    use super::*;

    const VERSION: &str = "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH";

    fn names(keys: LogKeys, secret: &str) -> LogNames {
        LogNames { keys, hash: LogHash::new(secret), watched: Watched::new("clinic", "in/") }
    }

    fn event(bucket: &str, pin: Pin, sequencer: &str) -> Event {
        let object = ObjectRef {
            bucket: bucket.to_owned(),
            key: "in/CANARY.json".to_owned(),
            pin,
            sequencer: Some(sequencer.to_owned()),
            created: 0,
            size: None,
        };
        Event { object, cause: Cause::Created, by: None }
    }

    #[test]
    fn names_as_s3_writes_them_stand_as_they_are() {
        let names = names(LogKeys::Hash, "secret");
        let e_tag = "78f0805fa8ffadabda721fdaf85b3ca9-2";
        let pins = [
            (Pin::VersionId(VERSION.to_owned()), VERSION.to_owned()),
            (
                Pin::VersionId("0b8aab2c-6f5c-4be3-9d8c-2f40aa5a3a6d".to_owned()),
                "0b8aab2c-6f5c-4be3-9d8c-2f40aa5a3a6d".to_owned(),
            ),
            (Pin::ETag(e_tag.to_owned()), format!("etag:{e_tag}")),
            (Pin::Latest, "latest".to_owned()),
        ];
        for (pin, version) in pins {
            let event = event("clinic", pin, "0055AED6DCD90281E5");
            let logged = names.of(&event);
            assert_eq!((logged.bucket.as_ref(), logged.version.as_ref()), ("clinic", version.as_str()));
            assert_eq!(logged.sequencer.as_deref(), Some("0055AED6DCD90281E5"));
            assert_eq!(logged.key, None);
        }
    }

    #[test]
    fn what_a_forged_message_says_is_hashed() {
        let names = names(LogKeys::Hash, "secret");
        let words =
            ["CANARY", "Anna CANARY, born 1974-02-03, diabetes", "CANARY-1974-02-03-CANARY\u{e9}-0123456789"];
        for word in words {
            for pin in [Pin::VersionId(word.to_owned()), Pin::ETag(word.to_owned())] {
                let event = event(word, pin, word);
                let printed = format!("{:?}", names.of(&event));
                assert!(!printed.contains("CANARY") && printed.contains("hash:"), "{printed}");
            }
        }
        let long = event("clinic", Pin::VersionId("1".repeat(65)), &"A".repeat(65));
        assert!(names.of(&long).version.starts_with("hash:"));
        assert!(names.of(&long).sequencer.unwrap().starts_with("hash:"));
        let no_bucket = LogNames { watched: Watched::default(), ..names };
        assert!(no_bucket.of(&long).bucket.starts_with("hash:"), "no bucket is the watched one");
    }

    /// The example that the documentation has: `printf %s KEY | openssl dgst -sha256 -hmac SECRET`.
    #[test]
    fn hashes_differ_by_deployment_and_can_be_made_by_hand() {
        let event = event("clinic", Pin::Latest, "0");
        let one = names(LogKeys::Hash, "secret").of(&event).key_hash;
        assert_eq!(one.as_deref(), Some("82e50e3766a37480"));
        assert_ne!(names(LogKeys::Hash, "other").of(&event).key_hash, one);
        let stack = "arn:aws:cloudformation:eu-central-1:123456789012:stack/flatfire/51af3dc0-da77-11e4-872e-1234567db123";
        let hash = names(LogKeys::Hash, stack).of(&event).key_hash;
        assert_eq!(hash.as_deref(), Some("318214bfc38cc3f6"));
    }

    #[test]
    fn all_stands_as_it_is_where_the_deployment_says_so() {
        let event = event("CANARY", Pin::VersionId("CANARY".to_owned()), "CANARY");
        let names = names(LogKeys::Plain, "secret");
        let logged = names.of(&event);
        assert_eq!((logged.bucket.as_ref(), logged.key), ("CANARY", Some("in/CANARY.json")));
        assert_eq!((logged.version.as_ref(), logged.sequencer.as_deref()), ("CANARY", Some("CANARY")));
        assert_eq!(logged.key_hash, None);
    }

    #[test]
    fn the_secret_is_never_printed() {
        assert!(!format!("{:?}", names(LogKeys::Hash, "CANARY")).contains("CANARY"));
    }
}
