//! Routers in process, without sockets, over a real database with the real outbox and the
//! development mailbox.

mod api;
mod headers;
mod inside;
mod openapi;
mod ops;
mod pages;
