//! What is wrong with a view: every mistake at once, each with its place.

use std::fmt;

use crate::fhirpath::InvalidPath;

/// A view that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidView {
    /// The view's name, or `?` where it has none.
    pub view: String,
    /// Everything that is wrong with it, in the order of the definition; never empty.
    pub mistakes: Vec<Mistake>,
}

/// One thing that is wrong with a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The element of the definition: `select[1].column[0].path`.
    pub element: String,
    /// Which character of a path, counted from 1.
    pub character: Option<usize>,
    /// What should have stood there.
    pub expected: String,
}

impl Mistake {
    pub(super) fn new(element: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { element: element.into(), character: None, expected: expected.into() }
    }

    pub(super) fn of_path(element: String, path: InvalidPath) -> Self {
        Self { element, character: Some(path.at + 1), expected: path.expected }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.element)?;
        if let Some(character) = self.character {
            write!(formatter, ", character {character}")?;
        }
        write!(formatter, ": expected {}", self.expected)
    }
}

impl fmt::Display for InvalidView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "view `{}` cannot be compiled", self.view)?;
        for mistake in &self.mistakes {
            write!(formatter, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidView {}
