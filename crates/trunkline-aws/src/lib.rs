//! A trunkline pool as the HTTP client of every AWS SDK for Rust.

mod body;
mod capture;
mod client;
mod error;

pub use client::HttpClient;
