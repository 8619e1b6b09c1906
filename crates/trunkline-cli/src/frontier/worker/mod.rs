//! Frontier worker: claims URLs, fetches them, writes their lines, and settles them.
//!
//! `lease_source.rs` is the worker's [`UrlSource`](crate::fetch::UrlSource) for the fetch loop. It
//! never waits for the database: an exchange (`client.rs`) runs beside the pages, one at a time,
//! and results that arrive meanwhile belong to the next exchange. `leases.rs` tracks the leased
//! URLs, `visit.rs` fetches a page.

mod command;
mod lease_source;
mod visit;

mod client;
mod leases;
mod poll_interval;

pub(crate) use self::command::work;
