//! Sites logged in to; many pages fetched; forms compared with what Chromium makes of them, filled
//! in by hand, and given pages that mean harm.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]
#![allow(clippy::large_futures, reason = "a test's own future is polled once")]

mod choosing;
mod corpus;
mod example;
mod fetch;
mod filling;
mod hostile;
mod login;
mod mutations;
mod resource;
mod sending;
mod sharing;
mod support;
