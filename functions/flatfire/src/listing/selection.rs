//! Which object versions are meant.

use pipeline::listing::ListedVersion;

/// Which object versions are meant, as the commands use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The bucket.
    pub(crate) bucket: String,
    /// What keys begin with.
    pub(crate) prefix: String,
    /// What keys end with.
    pub(crate) suffix: String,
    /// The first moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) since: Option<i64>,
    /// The moment behind the last one.
    pub(crate) until: Option<i64>,
}

/// A page of versions. All versions of a key are in one page, the oldest first, unless there are very many.
pub(crate) type ListingPage = Vec<ListedVersion>;

/// Versions of a page; that of the last key makes it larger.
pub(super) const PAGE: usize = 1_000;

impl Selection {
    /// Returns whether an object of this key and time is selected.
    pub(super) fn includes(&self, key: &str, created: i64) -> bool {
        key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
            && self.since.is_none_or(|since| created >= since)
            && self.until.is_none_or(|until| created < until)
    }
}

/// Returns bucket and key, or prefix, of an address `s3://…`.
pub(crate) fn s3_address(text: &str) -> Option<(&str, &str)> {
    let address = text.strip_prefix("s3://")?;
    let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
    (!bucket.is_empty()).then_some((bucket, key))
}

#[cfg(test)]
mod tests {
    use super::s3_address;

    #[test]
    fn addresses_have_a_bucket() {
        assert_eq!(s3_address("s3://b/in/"), Some(("b", "in/")));
        assert_eq!(s3_address("s3://b"), Some(("b", "")));
        assert_eq!((s3_address("s3:///in/"), s3_address("b/in/")), (None, None));
    }
}
