//! What the lifespan promises: in this process, where time can be told to pass, and as a process of
//! its own, which gets signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod support;

mod starting;

mod releasing;

mod background;

mod serving;

mod draining;

mod process;

mod session;
