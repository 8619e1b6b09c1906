//! A [`trunkline`] pool as the HTTP client of every AWS SDK for Rust.
//!
//! An SDK brings an HTTP client of its own, with its own connections, and a TLS library to go with
//! it. Given this one instead, what it sends goes over the connections that the rest of the
//! application uses: they are counted in one place, bounded by one limit, shown by one
//! [`stats`](trunkline::Pool::stats), and closed with one await. Credentials, which the SDK fetches
//! over HTTP too (from ECS, from the instance's metadata, from STS), come the same way.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aws_config::BehaviorVersion;
//! use trunkline::Session;
//! use trunkline_aws::HttpClient;
//!
//! let session = Session::new();
//!
//! let config = aws_config::defaults(BehaviorVersion::latest())
//!     .http_client(HttpClient::new(session.pool()))
//!     .load()
//!     .await;
//! let s3 = aws_sdk_s3::Client::new(&config);
//! let mut object = s3.get_object().bucket("photos").key("2026/../IMG_0001.jpg").send().await?;
//! while let Some(piece) = object.body.try_next().await? {
//!     println!("{} bytes", piece.len());
//! }
//!
//! println!("{}", session.close().await);
//! # Ok(())
//! # }
//! ```
//!
//! Switch the SDK's own client off in `Cargo.toml`, or it is compiled all the same, with its TLS:
//!
//! ```toml
//! aws-config = { version = "1", default-features = false, features = ["rt-tokio"] }
//! aws-sdk-s3 = { version = "1", default-features = false, features = ["rt-tokio", "sigv4a", "http-1x"] }
//! ```
//!
//! Features add up over all of a program's dependencies, so one that is left with its defaults
//! brings it back; `cargo tree -e features -i aws-lc-sys` shows which. Profiles with SSO or with a
//! process for credentials need `aws-config`'s features `sso` and `credentials-process`.
//!
//! # What is sent
//!
//! Exactly what the SDK has signed, by [`Pool::send`](trunkline::Pool::send): no redirect is
//! followed, no header added but a missing `host`, no path tidied up, no response decoded. Bodies
//! go as streams in both directions, with their length if it is known, and are never held whole.
//!
//! A response that is streamed, as an object of S3, keeps its connection until it has been read or
//! is dropped.
//!
//! - It is HTTP/1.1. The few operations that need HTTP/2, because both sides speak at once (as
//!   `StartStreamTranscription` of Transcribe), do not work over it.
//! - Proxies, and the environment variables that name them, are not used.
//! - A pool with an [`address_filter`](trunkline::PoolBuilder::address_filter) has to let through
//!   where credentials come from: 169.254.169.254 is the instance's metadata, 169.254.170.2 and
//!   169.254.170.23 are ECS and EKS.
//!
//! # Deadlines
//!
//! | limit | set by | bounds |
//! |---|---|---|
//! | connect | the SDK's [`connect_timeout`], 3.1 s by default | resolving, TCP and TLS together |
//! | read | the SDK's [`read_timeout`], none by default | silence in both directions, until the response and while it is read |
//! | attempt, operation | the SDK's [`operation_attempt_timeout`] and [`operation_timeout`], none by default | everything, the wait for a connection included; of a response that is streamed, up to its head |
//! | acquire, total | [`HttpClient::timeouts`], none by default | the wait for a connection; one attempt, with the reading of its response |
//!
//! The SDK means by its read timeout the time to the first byte of the response, counted from the
//! beginning. Here it is [`Timeouts::read`](trunkline::Timeouts::read): a long upload does not run
//! into it while bytes pass, and a response that falls silent does. What the SDK leaves open is
//! open: trunkline's own defaults do not apply.
//!
//! To the SDK's stalled stream protection, an upload whose body nobody reads has stalled, and 5 s
//! of that fail the attempt. Bodies in memory are therefore taken at once, however long they wait
//! for a connection. One that is streamed (a file) and waits for longer is tried again: allow the
//! pool as many connections as there are uploads at a time, or set a longer `grace_period`
//! (`StalledStreamProtectionConfig`).
//!
//! [`connect_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::connect_timeout
//! [`read_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::read_timeout
//! [`operation_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::operation_timeout
//! [`operation_attempt_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::operation_attempt_timeout
//!
//! # Errors and retries
//!
//! The SDK decides what to try again, and how often. It goes by these classes:
//!
//! | what happened | class | by default |
//! |---|---|---|
//! | a limit ran out: connect, read, acquire, total | timeout | tried again |
//! | no connection could be made; it broke before the response | io | tried again |
//! | the body of the response broke off or was too slow | response error | tried again, unless it is you who reads it |
//! | the body of the request failed, or had not the length it was announced with | user | an error |
//! | the request cannot be sent: an address or a header that is none | user | an error |
//! | the pool is closed | other | an error |
//!
//! The [`trunkline::Error`] is among the sources of the SDK's error, and of a stream's, with its
//! phase and all it tells.
//!
//! Beneath that, unseen by the SDK, the pool replaces a kept connection that turns out to be dead,
//! and sends again what did not leave, or is idempotent and has no streamed body. A stream that was
//! under way is left to the SDK, which signs it anew.
//!
//! After a transient error, a 500 for one, the SDK wants the connection used no more; that is done.
//! With `ReconnectMode::ReuseAllConnections` it does not ask for it.
//!
//! # Closing
//!
//! When the pool closes, which it does with the last session on it, calls under way have the pool's
//! grace to finish, and so have responses that are still being read; further ones fail at once. A
//! client keeps no pool open that is closed, and no connection. So close the session after the last
//! call, as everything else that uses it.

mod body;
mod capture;
mod client;
mod error;

pub use client::HttpClient;

/// The snippet of the README, compiled as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
