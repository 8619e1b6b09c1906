//! A sign-up service: one HTTP session and one database pool, opened before it serves and closed
//! after.
//!
//! The rooms, from the top. Each knows those below it, and none above:
//!
//! - [`run`]: THE WALK, from the first thing that is opened to the last that is closed
//! - [`web`]: what people and programs ask for; [`ops`]: what its operators look at
//! - [`outbox`]: sends the mails that are due, once each if it can be had
//! - [`accounts`]: what registration is; [`mail`]: what a mail says, and how it goes to Amazon SES;
//!   [`dev_mail`]: an SES of our own, for development
//! - [`store`]: the database, SQLite or Postgres
//! - [`settings`], [`telemetry`]: what was set, and what is logged

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
