//! The frontier: one list of URLs in Postgres, from which any number of workers on any number of
//! machines fetch.
//!
//! `frontier add` puts URLs on it, each once; `fetch --frontier` is a worker; `frontier status`
//! looks; `frontier retry` queues what has failed once more. The database decides everything that
//! concerns more than one worker (`store/schema.sql`): who fetches what, how many pages of a
//! host are under way, and when a host may be asked again.
//!
//! # What holds
//!
//! - **Each URL is somebody's.** A worker leases what it fetches, and renews its lease three times
//!   in its length. Whoever dies does not, so what it had is queued again when the lease is over. A
//!   worker that cannot reach the database gives up its pages before its lease is over.
//! - **A line is written before its URL is done.** Who dies in between leaves a line of a URL that
//!   another worker fetches once more: at most as many as it had leases, which are twice its
//!   concurrency at most. Written is what the operating system has: with a machine that loses its
//!   power, the last lines of URLs that are done may be lost.
//! - **The limit of a host is that of all workers together.** What is leased of a host never
//!   exceeds it, so nor do the pages under way, with one exception: a process that was stopped (a
//!   suspended machine) for longer than its lease still has its connections open. Until it goes on
//!   and, within a third of its lease, gives them up, the others may have as many pages of that
//!   host under way again. A page that is redirected to another host counts where it began.
//! - **The delay is one between claims.** A page begins as soon as it was claimed, unless `--limit`
//!   makes it wait for a connection.

mod address;
mod args;
mod commands;
mod login;
mod store;
mod worker;

pub(crate) use self::args::{Frontier, Work};
pub(crate) use self::commands::run;
pub(crate) use self::worker::work;
