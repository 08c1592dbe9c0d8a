//! What a load works with.

use std::sync::Arc;
use std::time::Duration;

use flatten::catalog::Catalog;

use crate::assemble::BatchLimits;
use crate::decode;
use crate::source::Storage;
use crate::store::RowStore;

/// Where objects come from, what they become, where the rows go.
#[derive(Debug)]
pub struct Pipeline {
    /// Where objects are read.
    pub storage: Storage,
    /// What resources become.
    pub catalog: Arc<Catalog>,
    /// Where rows go.
    pub store: Arc<dyn RowStore>,
    /// How large batches are, and how many are written at once.
    pub limits: PipelineLimits,
}

/// How much of an object is in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipelineLimits {
    /// When a batch is full.
    pub batch: BatchLimits,
    /// Batches that are being written while the next is assembled; fewer if resources make them larger than they are
    /// meant to be.
    pub writes_at_once: usize,
    /// The largest resource.
    pub decode: decode::DecoderLimits,
    /// How long a load without a deadline holds its object, unless it renews its lease, which it does four times as
    /// often. After a kill no other attempt can begin before.
    pub lease: Duration,
}

impl Default for PipelineLimits {
    fn default() -> Self {
        Self {
            batch: BatchLimits::default(),
            writes_at_once: 3,
            decode: decode::DecoderLimits::default(),
            lease: Duration::from_mins(5),
        }
    }
}

/// Shows the progress of a load.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);
