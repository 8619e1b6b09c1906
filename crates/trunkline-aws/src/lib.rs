//! A [`trunkline`] pool as the HTTP client of every AWS SDK for Rust.
//!
//! By default an SDK has its own HTTP client, with its own connections and TLS library. With this
//! client, the SDK's requests use the same connections as the rest of the application: one limit
//! bounds them, one [`stats`](trunkline::Pool::stats) shows them, one await closes them. The
//! requests for credentials (from ECS, from the instance's metadata, from STS) use them too.
//!
//! ```no_run
//! # type BoxError = Box<dyn std::error::Error>;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
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
//! Disable the SDK's own client in `Cargo.toml`; otherwise it is still compiled, with its TLS
//! library:
//!
//! ```toml
//! aws-config = { version = "1", default-features = false, features = ["rt-tokio"] }
//! aws-sdk-s3 = { version = "1", default-features = false, features = [
//!     "rt-tokio", "sigv4a", "http-1x",
//! ] }
//! ```
//!
//! Cargo unifies features over all dependencies of a program, so one AWS crate with its default
//! features enables the SDK's client again; `cargo tree -e features -i aws-lc-sys` shows which one.
//! Profiles with SSO or with a credentials process need the features `sso` and
//! `credentials-process` of `aws-config`.
//!
//! # Requests and responses
//!
//! Requests are sent exactly as the SDK signed them, by [`Pool::send`](trunkline::Pool::send): it
//! follows no redirect, adds no header except a missing `host`, normalizes no path and decodes no
//! response. Bodies are streamed in both directions, with their length if it is known, and never
//! buffered as a whole.
//!
//! A streamed response, such as an object of S3, holds its connection until its body is read or
//! dropped.
//!
//! - The protocol is HTTP/1.1. Operations with bidirectional streaming need HTTP/2 and do not work
//!   (such as `StartStreamTranscription` of Transcribe).
//! - Proxies, and the environment variables that name them, are ignored.
//! - An [`address_filter`](trunkline::PoolBuilder::address_filter) of the pool must allow the
//!   sources of credentials: 169.254.169.254 is the instance's metadata service, 169.254.170.2 and
//!   169.254.170.23 are ECS and EKS.
//!
//! # Deadlines
//!
//! | limit | set by | bounds |
//! |---|---|---|
//! | connect | the SDK's [`connect_timeout`], 3.1 s by default | resolving, TCP and TLS together |
//! | read | the SDK's [`read_timeout`], none by default | silence in both directions, before the response and within its body |
//! | attempt, operation | the SDK's [`operation_attempt_timeout`] and [`operation_timeout`], none by default | everything, including the wait for a connection; for a streamed response, until its head |
//! | acquire, total | [`HttpClient::timeouts`], none by default | the wait for a connection; one attempt, including the body of its response |
//!
//! The SDK's own client measures the read timeout from the start of the request to the first byte
//! of the response. Here it is [`Timeouts::read`](trunkline::Timeouts::read): a long upload does
//! not exceed it while bytes pass, and a response that stalls does. Timeouts that the SDK leaves
//! unset stay unset; trunkline's defaults do not apply.
//!
//! The SDK's stalled stream protection fails an attempt whose body is not read for 5 s. Bodies in
//! memory are therefore read at once, even if their request waits for a connection. A streamed body
//! (a file) that waits for longer than 5 s fails its attempt, and the SDK retries. To avoid that,
//! allow the pool as many connections as there are concurrent uploads, or set a longer
//! `grace_period` (`StalledStreamProtectionConfig`).
//!
//! [`connect_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::connect_timeout
//! [`read_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::read_timeout
//! [`operation_timeout`]: aws_smithy_types::timeout::TimeoutConfigBuilder::operation_timeout
//! [`operation_attempt_timeout`]:
//! aws_smithy_types::timeout::TimeoutConfigBuilder::operation_attempt_timeout
//!
//! # Errors and retries
//!
//! The SDK decides about retries by the class of an error:
//!
//! | failure | class | by default |
//! |---|---|---|
//! | a timeout passed: connect, read, acquire, total | timeout | retried |
//! | the connection failed, or broke before the response | io | retried |
//! | the body of the response broke off or stalled | response error | retried, unless the application reads the body |
//! | the body of the request failed, or did not have its announced length | user | not retried |
//! | the request is invalid: an unusable address or header | user | not retried |
//! | the pool is closed | other | not retried |
//!
//! The sources of the SDK's error, and of a stream's error, include the [`trunkline::Error`] with
//! its phase and details.
//!
//! Invisible to the SDK, the pool replaces a reused connection that turns out to be dead. It sends
//! the request again if no byte of it was sent, or if it is idempotent and has no streamed body. A
//! partly sent stream is left to the SDK, which signs it anew.
//!
//! After a transient error, such as a 500, the SDK poisons the connection, and the pool does not
//! reuse it. With `ReconnectMode::ReuseAllConnections` the SDK keeps the connection.
//!
//! # Closing
//!
//! The pool closes with its last session. Running calls, and responses that are still being read,
//! may finish within the pool's grace period; new calls fail at once. A client keeps neither a
//! closed pool nor its connections open. Close the session after the last call.

mod body;
mod capture;
mod client;
mod error;

pub use client::HttpClient;

/// Compiles the snippet of the README as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
