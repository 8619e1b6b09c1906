//! Promises of the lifespan: in this process with virtual time, and as a process that gets signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod support;

mod starting;

mod releasing;

mod background;

mod serving;

mod draining;

mod process;

mod session;
