//! Tests of the program, run against servers that count requests.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

/// Test servers of the library: nginx, and the kernel's list of sockets.
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
