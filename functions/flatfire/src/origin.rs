//! Where a stored document came from, read back from its technical columns.

use pipeline::ledger::Load;
use pipeline::object::{ObjectRef, Pin};
use pipeline::store::standing::StoredSource;

/// Returns the moment that a `_version` begins with, in nanoseconds since 1970-01-01T00:00:00Z.
pub(crate) fn nanoseconds(version: &str) -> Option<i128> {
    let (moment, _) = version.split_once('.')?;
    Some(i128::from_str_radix(moment, 16).ok()? - (1_i128 << 90))
}

/// Returns the object that `bucket` and `key` of `source` name, pinned as the id of its load says, and as old as
/// `created` (milliseconds since 1970-01-01T00:00:00Z).
pub(crate) fn object(source: &StoredSource, load: &str, created: i64) -> Option<ObjectRef> {
    named(&source.bucket, &source.key, load, created)
}

/// Returns the object of a load, as its first notification told of it.
pub(crate) fn object_of(load: &Load) -> Option<ObjectRef> {
    let object = named(&load.bucket, &load.key, &load.id, load.created)?;
    Some(ObjectRef { sequencer: load.sequencer.clone(), ..object })
}

fn named(bucket: &str, key: &str, load: &str, created: i64) -> Option<ObjectRef> {
    let pin = match load.strip_prefix(&format!("{bucket}/{key}@"))? {
        "latest" => Pin::Latest,
        pin => match pin.strip_prefix("etag:") {
            Some(tag) => Pin::ETag(tag.to_owned()),
            None => Pin::VersionId(pin.to_owned()),
        },
    };
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    Some(ObjectRef { bucket, key, pin, sequencer: None, created, size: None })
}

#[cfg(test)]
mod tests {
    use super::{nanoseconds, object};
    use pipeline::object::{ObjectRef, Pin, Source};
    use pipeline::store::standing::StoredSource;
    use pipeline::version::Version;

    fn reference(pin: Pin) -> ObjectRef {
        let (bucket, key) = ("b".to_owned(), "a@b/c.json".to_owned());
        ObjectRef { bucket, key, pin, sequencer: None, created: 5, size: None }
    }

    fn stored(key: &str) -> StoredSource {
        StoredSource { bucket: "b".to_owned(), key: key.to_owned(), ..StoredSource::default() }
    }

    #[test]
    fn an_object_is_read_back() {
        for pin in [Pin::Latest, Pin::ETag("0123".to_owned()), Pin::VersionId("v.1@x".to_owned())] {
            let whole = reference(pin);
            assert_eq!(object(&stored("a@b/c.json"), &whole.load_id(), 5), Some(whole));
        }
        assert_eq!(object(&stored("other"), "b/a@latest", 5), None);
    }

    #[test]
    fn a_version_s_moment_is_read_back() {
        let source =
            Source { object: reference(Pin::Latest).into(), ordinal: 0, offset: 0, length: 0, line: 1 };
        // Within a day of the object, which was made in 1970.
        for moment in [0, -1, 1_123_456_789, -1_767_607_200_123_456_789] {
            assert_eq!(nanoseconds(Version::new(Some(moment), &source).as_str()), Some(moment));
        }
        assert_eq!(nanoseconds("no version"), None);
    }
}
