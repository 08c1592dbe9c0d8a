//! The project's own chores, as a library: the tools, the local environment and the demo.
//!
//! The local environment is the whole product on one machine without an account and without containers: a database, a
//! local cloud, and `template.yaml` deployed into it. `cargo xtask demo` shows it, the end-to-end tests use it:
//!
//! ```text
//! tools → bootstrap → database + cloud → deployment → `flatfire push` → `flatfire show`
//! ```

// A command's words to the person who called it are its product.
#![allow(clippy::print_stdout, reason = "this is a command line")]

pub mod settings;
pub mod steps;
pub mod workspace;

pub mod model;

pub mod bootstrap;
pub mod tools;

pub mod local_environment;

pub mod command_line;
pub mod containers;

pub mod bench;
pub mod demo;
pub mod metrics;
pub mod soak;
pub mod test;
