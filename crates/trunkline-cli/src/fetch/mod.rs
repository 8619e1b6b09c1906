//! `trunkline fetch`: the loop over a source of URLs, and the source that reads the input.
//!
//! `run.rs` is the only fetch loop. It takes URLs from a [`UrlSource`]: the input of `fetch`
//! (`input_source.rs`) or the leases of a frontier worker (`frontier/worker/lease_source.rs`).

mod command;
mod input_source;
mod run;
mod source;

pub(crate) use self::command::command;
pub(crate) use self::run::{Run, RunSettings, run};
pub(crate) use self::source::{Capacity, Next, UrlSource};
