//! A worker: claims URLs, fetches them, writes their lines, says that they are done.
//!
//! `run.rs` is the loop. It never waits for the database: an exchange with it (`desk.rs`) goes on
//! beside the pages, one at a time, and what happens meanwhile is the next one's business.
//! `leases.rs` keeps what is this worker's own, `visit.rs` fetches a page.

mod work;

mod run;
mod visit;

mod desk;
mod idle;
mod leases;

pub(crate) use self::work::work;
