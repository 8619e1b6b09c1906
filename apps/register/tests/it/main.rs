//! Tests of the service as a process: over HTTP and in a browser, with its own database and a
//! counting mail service.

#![allow(clippy::print_stdout, reason = "figures, for who runs it with --nocapture")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod support;

mod accounts;
mod away;
mod browser;
mod copies;
mod crashes;
mod dead_letters;
mod input;
mod log;
mod mutations;
mod outbox;
mod reuse;
mod secrets;
mod starting;
mod stopping;
mod store;
mod web;
