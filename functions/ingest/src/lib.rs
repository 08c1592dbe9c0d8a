//! The function: a notification in, rows in the database out.
//!
//! Two programs feed it messages: the Lambda (`main.rs`), which gets them from the runtime, and `flatfire work`, which polls
//! the queue ([`worker`]). Both handle them in the same way.

mod settings;
mod catalog;
mod connection;
mod service;
mod handler;
mod queue;
mod load;
mod report;
mod metrics;
mod log_names;
pub mod worker;

pub use handler::{Failure, Invocation, InvocationFailure};
pub use report::start as start_log;
pub use service::{LoadTime, Service};
pub use settings::{InvalidSettings, LogLevel, Settings};
