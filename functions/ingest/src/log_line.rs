//! The lines of the log, by their messages.

use strum::VariantArray;

/// A line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum LogLine {
    /// A load ended.
    ObjectHandled,
    /// A load was interrupted and comes again.
    ObjectInterrupted,
    /// The time was up; another invocation goes on.
    ObjectContinued,
    /// The object gets a message of its own.
    ObjectPassedOn,
    /// The object waits for the worker.
    ObjectHandedOver,
    /// The object is outside the watched bucket, prefix or suffix.
    ObjectNotWatched,
    /// Something was announced that needs no load.
    EventsIgnored,
    /// A file filled columns that were new.
    ColumnsDrifted,
    /// An audit ended.
    BucketAudited,
    /// An audit was interrupted and comes again.
    AuditInterrupted,
    /// A message is not a notification, or the program panicked over it.
    MessageFailed,
    /// The program panicked at this place.
    Panicked,
}

impl LogLine {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the `message` of the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ObjectHandled => "object handled",
            Self::ObjectInterrupted => "object interrupted",
            Self::ObjectContinued => "object continued",
            Self::ObjectPassedOn => "object passed on",
            Self::ObjectHandedOver => "object handed over",
            Self::ObjectNotWatched => "object not watched",
            Self::EventsIgnored => "events ignored",
            Self::ColumnsDrifted => "columns drifted",
            Self::BucketAudited => "bucket audited",
            Self::AuditInterrupted => "audit interrupted",
            Self::MessageFailed => "message failed",
            Self::Panicked => "panicked",
        }
    }
}
