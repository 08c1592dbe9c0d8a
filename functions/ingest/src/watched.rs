//! Which objects this function loads, and which of them it leaves to a worker.

use pipeline::object::ObjectRef;

/// Which objects are loaded. The notification filters by the same rules, but a queue takes messages from others too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) bucket: Option<String>,
    pub(crate) prefix: String,
    pub(crate) suffix: String,
}

/// Objects that a worker loads, because it may take longer than a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargeObjects {
    /// The queue of the worker.
    pub(crate) queue_url: String,
    /// Objects above this go there, in bytes as stored.
    pub(crate) above: u64,
}

impl Watched {
    #[cfg(test)]
    pub(crate) fn new(bucket: &str, prefix: &str) -> Self {
        Self { bucket: Some(bucket.to_owned()), prefix: prefix.to_owned(), suffix: String::new() }
    }

    /// Returns whether this is the one bucket whose objects are loaded.
    pub(crate) fn is_the_bucket(&self, bucket: &str) -> bool {
        self.bucket.as_deref() == Some(bucket)
    }

    /// Returns whether an object is to be loaded. The key is compared as it is, not as it is encoded.
    pub(crate) fn includes(&self, object: &ObjectRef) -> bool {
        self.bucket.as_ref().is_none_or(|bucket| *bucket == object.bucket)
            && object.key.starts_with(&self.prefix)
            && object.key.ends_with(&self.suffix)
    }
}

impl LargeObjects {
    /// Returns whether an object is one. A message without a size is loaded here.
    pub(crate) fn include(&self, object: &ObjectRef) -> bool {
        object.size.is_some_and(|size| size > self.above)
    }
}
