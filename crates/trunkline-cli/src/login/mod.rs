//! Logging in: `trunkline login`, and what `fetch --login` does first.

mod command;
mod plan;

mod fields;
mod password;
mod terminal;

pub(crate) use self::command::{Config, run};
pub(crate) use self::plan::Plan;
