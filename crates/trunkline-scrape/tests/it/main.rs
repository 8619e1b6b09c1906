//! Sites logged in to; forms compared with what Chromium makes of them, filled in by hand, and given pages that mean harm.

mod choosing;
mod corpus;
mod filling;
mod hostile;
mod login;
mod mutations;
mod sending;
mod support;
