//! The routers in process: over a real database, with the real outbox and the development mailbox,
//! and no sockets in between.

mod api;
mod headers;
mod inside;
mod openapi;
mod ops;
mod pages;
