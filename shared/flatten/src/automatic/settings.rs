//! The settings of automatic rows.

use std::collections::BTreeMap;

use crate::decimals::Decimals;
use crate::model::ResourceTypes;

/// Chooses how automatic rows are written.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the items of repeating elements go.
    pub arrays: Arrays,
    /// How decimals are written, in views too.
    pub decimals: Decimals,
    /// Whether `text_div` is written.
    pub narrative: bool,
    /// Column names for extension URLs, instead of the ends of the URLs.
    pub extension_names: BTreeMap<String, String>,
    /// Base64 text longer than this many bytes is replaced by its size and SHA-256.
    pub inline_binary_bytes: usize,
    /// The resource types that have tables of their own.
    pub resource_types: ResourceTypes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            arrays: Arrays::Embedded,
            decimals: Decimals::default(),
            narrative: false,
            extension_names: BTreeMap::new(),
            inline_binary_bytes: 256 << 10,
            resource_types: ResourceTypes::default(),
        }
    }
}

/// Chooses where the items of repeating elements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrays {
    /// Into array fields of the row, as `MongoDB` likes it.
    Embedded,
    /// Into rows of child tables `<Type>_<path>`, as SQL databases, CSV and Parquet need it.
    Tables,
}
