//! The function: a notification in, rows in the database out.
//!
//! Two programs feed it messages: the Lambda (`main.rs`), which gets them from the runtime, and `flatfire work`, which polls
//! the queue ([`worker`]). Both handle them in the same way.

mod watched;
mod log_names;
mod settings;
mod catalog;
mod connection;
mod database;
mod service;
mod invocation;
mod handler;
mod queue;
mod load;
mod audit;
mod log;
mod log_line;
mod metrics;
pub mod worker;

pub use connection::secret_codes;
pub use invocation::{Failure, Invocation, InvocationFailure};
pub use load::LoadTime;
pub use log::start as start_log;
pub use log_line::LogLine;
pub use service::Service;
pub use settings::{FunctionSettings, InvalidSettings, LogLevel};
