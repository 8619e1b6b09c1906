//! A small Amazon SES of our own, on loopback, and the mailbox that holds what it was sent.

mod api;
mod mailbox;
mod server;

pub use self::mailbox::{Mailbox, Received};
pub use self::server::DevMail;

#[cfg(test)]
mod tests;
