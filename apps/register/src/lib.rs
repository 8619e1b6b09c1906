//! A sign-up service: one HTTP session and one database pool, opened before it serves and closed
//! after.
//!
//! The modules, from the top. Each uses only those below it:
//!
//! - [`run`]: start and end of the service, in order
//! - [`web`]: pages and API for users; [`ops`]: console and metrics for operators
//! - [`outbox`]: sends the mails that are due
//! - [`accounts`]: registration and activation; [`mail`]: mail contents and Amazon SES;
//!   [`dev_mail`]: a local SES for development
//! - [`store`]: the database, SQLite or Postgres
//! - [`settings`], [`telemetry`]: flags and environment, log

pub mod accounts;
pub mod dev_mail;
pub mod mail;
pub mod ops;
pub mod outbox;
pub mod run;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod web;
