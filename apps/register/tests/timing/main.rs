//! Timing of responses: side channels and latency. A binary of its own: `cargo test` runs
//! it when no other test keeps the machine busy, and its tests run one after another.

#![allow(clippy::print_stdout, reason = "figures, for who runs it with --nocapture")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

#[path = "../it/support/mod.rs"]
mod support;

mod enumeration;
mod outage;

/// Lock that lets one test run at a time.
static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
