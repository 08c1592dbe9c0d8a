//! The settings of automatic rows.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::decimals::Decimals;
use crate::model::ResourceTypes;
use crate::row::is_portable_name;

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

/// Why extension names cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidExtensionNames {
    /// The text is not a JSON object of texts.
    #[error("{0}")]
    Json(String),
    /// The URL is empty, or the name is not a column name.
    #[error("`{name}` for `{url}`: a name has letters, digits and `_` and begins with a letter")]
    Name {
        /// The URL of the extension.
        url: String,
        /// The name that was given.
        name: String,
    },
}

/// Reads a JSON object from extension URLs to column names.
pub fn extension_names(text: &str) -> Result<BTreeMap<String, String>, InvalidExtensionNames> {
    let names: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| InvalidExtensionNames::Json(error.to_string()))?;
    match names.iter().find(|(url, name)| url.is_empty() || !is_portable_name(name)) {
        Some((url, name)) => Err(InvalidExtensionNames::Name { url: url.clone(), name: name.clone() }),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::extension_names;

    #[test]
    fn extension_names_are_column_names() {
        assert_eq!(extension_names(r#"{"http://x.example/a": "a_1"}"#).unwrap().len(), 1);
        assert!(extension_names(r#"{"http://x.example/a": "1a"}"#).is_err());
        assert!(extension_names(r#"{"http://x.example/a": "a.b"}"#).is_err());
        assert!(extension_names(r#"{"": "a"}"#).is_err());
        assert!(extension_names("[]").is_err());
    }
}
