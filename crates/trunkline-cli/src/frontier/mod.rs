//! Frontier: one list of URLs in Postgres, from which any number of workers on any number of
//! machines fetch.
//!
//! `frontier add` adds URLs, each once; `fetch --frontier` is a worker; `frontier status` shows the
//! state; `frontier retry` queues failed URLs again. The database decides everything that concerns
//! more than one worker (`store/schema.sql`): which worker fetches a URL, how many pages of a host
//! are under way, and when a host may be requested again.
//!
//! # Guarantees
//!
//! - **Each URL has one owner.** A worker leases the URLs that it fetches, and renews its lease
//!   three times per lease time. The URLs of a dead worker return to the queue when its lease is
//!   over. A worker that cannot reach the database gives up its pages before its lease is over.
//! - **A line is written before its URL is settled.** A worker that dies in between leaves a line
//!   of a URL that another worker fetches again: at most one per lease, and a worker holds at most
//!   twice its concurrency of leases. "Written" means handed to the operating system: a power
//!   failure may lose the last lines of settled URLs.
//! - **The limit of a host applies to all workers together.** The leases of a host never exceed it,
//!   so neither do the pages under way, with one exception: a process that was stopped (a suspended
//!   machine) for longer than its lease keeps its connections open. Until it resumes and gives them
//!   up, within a third of its lease, the others may fetch as many pages of that host again. A page
//!   that is redirected to another host counts for its first host.
//! - **The delay separates claims.** A page starts as soon as it is claimed, unless `--limit` makes
//!   it wait for a connection.

mod commands;
mod database;
mod login;
mod store;
mod worker;

pub(crate) use self::commands::run;
pub(crate) use self::worker::work;
