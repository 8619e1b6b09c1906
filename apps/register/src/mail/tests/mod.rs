//! The mails, said and sent, against the real thing.
