//! The program itself, run against servers that count.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

/// nginx, and the kernel's list of sockets.
#[path = "../../../trunkline/tests/it/support/mod.rs"]
mod servers;
mod support;

mod bodies;
mod bounds;
mod cookies;
mod endings;
#[cfg(feature = "frontier")]
mod frontier;
mod input;
mod login;
mod manners;
mod results;
mod resume;
mod usage;
