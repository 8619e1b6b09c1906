//! The development mailbox, asked as SES is.
