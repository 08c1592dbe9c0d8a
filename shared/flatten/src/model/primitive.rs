//! The primitive datatypes of all releases.

use strum::VariantArray;

/// A primitive datatype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum Primitive {
    /// `true` or `false`.
    Boolean,
    /// 32 bits, signed.
    Integer,
    /// 64 bits, signed; a JSON string (R5).
    Integer64,
    /// 1 to 2,147,483,647.
    PositiveInt,
    /// 0 to 2,147,483,647.
    UnsignedInt,
    /// A decimal whose written precision matters.
    Decimal,
    /// Text.
    String,
    /// A token of a code system.
    Code,
    /// A logical id.
    Id,
    /// A URI.
    Uri,
    /// A URL (R4).
    Url,
    /// A URI of a canonical resource, perhaps with `|version` (R4).
    Canonical,
    /// `urn:oid:…`.
    Oid,
    /// `urn:uuid:…`.
    Uuid,
    /// Text in Markdown.
    Markdown,
    /// Bytes in base64.
    Base64Binary,
    /// A date and time to the second at least, with its zone.
    Instant,
    /// A date, perhaps without day or month.
    Date,
    /// A date, perhaps partial, perhaps with a time and its zone.
    DateTime,
    /// A time of day.
    Time,
    /// The narrative's XHTML.
    Xhtml,
}

impl Primitive {
    /// Every primitive datatype.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the primitive of that name (`base64Binary`).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|primitive| primitive.name() == name)
    }

    /// Returns the name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Integer64 => "integer64",
            Self::PositiveInt => "positiveInt",
            Self::UnsignedInt => "unsignedInt",
            Self::Decimal => "decimal",
            Self::String => "string",
            Self::Code => "code",
            Self::Id => "id",
            Self::Uri => "uri",
            Self::Url => "url",
            Self::Canonical => "canonical",
            Self::Oid => "oid",
            Self::Uuid => "uuid",
            Self::Markdown => "markdown",
            Self::Base64Binary => "base64Binary",
            Self::Instant => "instant",
            Self::Date => "date",
            Self::DateTime => "dateTime",
            Self::Time => "time",
            Self::Xhtml => "xhtml",
        }
    }

    /// Returns whether a value says when something is: a date, a dateTime or an instant.
    #[must_use]
    pub const fn is_moment(self) -> bool {
        matches!(self, Self::Date | Self::DateTime | Self::Instant)
    }

    /// Returns the primitive that stands for the `System` type which FHIRPath converts this one to (FHIR R4,
    /// `fhirpath.html`, "Use of FHIRPath on Resources", types).
    #[must_use]
    pub const fn system(self) -> Self {
        match self {
            Self::Boolean | Self::Decimal | Self::Integer64 | Self::Date | Self::Time => self,
            Self::Integer | Self::PositiveInt | Self::UnsignedInt => Self::Integer,
            Self::DateTime | Self::Instant => Self::DateTime,
            Self::String
            | Self::Code
            | Self::Id
            | Self::Uri
            | Self::Url
            | Self::Canonical
            | Self::Oid
            | Self::Uuid
            | Self::Markdown
            | Self::Base64Binary
            | Self::Xhtml => Self::String,
        }
    }
}
