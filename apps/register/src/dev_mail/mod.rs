//! Development server that speaks SES v2 on loopback, and its mailbox.

mod api;
mod mailbox;
mod server;

pub use self::mailbox::{Mailbox, Received};
pub use self::server::DevMail;

#[cfg(test)]
mod tests;
