//! An application from start to end: resources opened in order, requests served until a signal and
//! drained, everything closed in reverse.
//!
//! A session, a database or a worker starts before the first request and ends after the last one, in
//! reverse order and on every path: success, error, panic, signal. `?` does not do that, a `Drop`
//! cannot await, and a signal handler knows no resources. This crate is the stack that does: an
//! asynchronous, ordered `defer` for the resources of an application.
//!
//! ```no_run
//! # #[cfg(all(feature = "serve", feature = "session"))] mod main {
//! # use std::{io, sync::Arc};
//! # struct Database;
//! # impl Database {
//! #     async fn connect(_: &str) -> io::Result<Self> { Ok(Self) }
//! #     async fn ping(&self) -> io::Result<()> { Ok(()) }
//! #     async fn close(&self) -> io::Result<()> { Ok(()) }
//! # }
//! # async fn worker(_: Arc<Database>, _: lifespan::Stop) -> io::Result<()> { Ok(()) }
//! use axum::{Router, routing::get};
//! use trunkline::Session;
//! use trunkline_lifespan::{self as lifespan, resource};
//!
//! #[tokio::main]
//! async fn main() -> lifespan::Report {
//!     lifespan::run(async |app| {
//!         // Acquired, checked, and released at the end.
//!         let session = app.open("session", lifespan::session(Session::builder())).await?;
//!         let database = resource(async || Database::connect("postgres://…").await.map(Arc::new))
//!             .check(async |database: Arc<Database>| database.ping().await)
//!             .release(async |database: Arc<Database>| database.close().await);
//!         let database = app.open("database", database).await?; // fails? The session is released.
//!
//!         // Stopped after the last request. If it fails, the application ends in order.
//!         app.background("outbox", |stop| worker(database.clone(), stop));
//!
//!         // Until SIGTERM or Ctrl-C.
//!         let readiness = app.readiness();
//!         let router = Router::new()
//!             .route("/", get(async || "hello"))
//!             .route("/readyz", get(async || readiness))
//!             .with_state((session, database));
//!         let listener = app.bind("127.0.0.1:8080").await?;
//!         app.serve(listener, router).await
//!     })
//!     .await
//! }
//! # }
//! ```
//!
//! The function may return any error type, if it names the type:
//! `async |app| -> anyhow::Result<()> { … }`.
//!
//! # The end
//!
//! A signal, a failed start, failed background work, a panic and a function that returns all end the
//! application in the same steps:
//!
//! 1. **Not ready.** [`App::readiness`] is false at once, and [`App::stopping`] is requested.
//! 2. **Pause**, if the application was up: [`Lifespan::pause`].
//! 3. **Stop accepting**, on all listeners but those that serve throughout.
//! 4. **Drain**: requests in flight finish, up to [`Lifespan::drain_within`]; then they are aborted
//!    and counted. Listeners that serve throughout come last.
//! 5. **Background work** is stopped and awaited, the last begun first, each up to
//!    [`Lifespan::stop_within`]; then it is aborted.
//! 6. **Release**, the last opened first, each in a task of its own and up to
//!    [`Lifespan::release_within`]; then it is aborted. A release that fails, panics or is late
//!    prevents no other.
//!
//! The [`Report`] has each step with its duration and every error, the cause of the end first, and
//! an exit code. The end takes the sum of the limits at most: configure an orchestrator to wait
//! longer than that.
//!
//! # Signals
//!
//! SIGTERM (on Unix) and Ctrl-C begin the end. While the application starts they drop its function,
//! so that a database that does not answer does not block the end, and release the resources that
//! are open. A second signal exits at once, with 128 + its number. The same signal again within
//! 100 ms is not a second one: `timeout` and others send it to the process and to its group.
//! [`Signals`] is the same for programs without a lifespan.
//!
//! # Failures
//!
//! | | |
//! |---|---|
//! | a resource cannot be acquired | the resources opened before it are released; its error comes first |
//! | its check fails | it is released, then those before it: `failed validation for "database"` |
//! | the function panics | the same as if it failed |
//! | background work fails or panics | the application ends as by a signal; its error comes first, the exit code is 1 |
//! | background work ends without an error | the application goes on |
//! | background work does not stop | it is aborted at its limit, and that is an error |
//! | a request outlasts the drain | it is aborted, counted, and the exit code is 3 |
//! | a release fails, panics or is late | that is an error, and the others are released |
//! | a release blocks its thread | it is abandoned at its limit, and the others are released, if the runtime has another thread; see [`Report::exit`] |
//!
//! Steps and errors go to `tracing` as they happen, under the target `trunkline::lifespan`; the
//! server announces its address there.
//!
//! # Cargo features
//!
//! Both are off by default. Without them the crate is an exit stack with signals and background work.
//!
//! - `serve`: `App::bind`, `App::serve`, `App::serve_beside`, `App::serve_throughout`: an
//!   `axum::Router` over HTTP/1.1 and HTTP/2.
//! - `session`: `session`, a `trunkline::Session` as a resource.
//!
//! The crate has no runtime of its own. It changes no state of the process but the handlers of the
//! two signals, which are tokio's.

mod resource;
mod settings;

mod run;

mod app;

mod background;
#[cfg(feature = "serve")]
mod serve;
mod stack;

mod signals;
mod stop;

mod error;
mod report;

#[cfg(feature = "session")]
mod session;

pub use self::app::{App, Opening};
pub use self::background::{Background, TaskOutput};
pub use self::error::{Error, Phase, Result};
pub use self::report::{Report, Step, StepKind};
pub use self::resource::{ClosureResource, NoCheck, NoRelease, Resource, resource};
pub use self::run::run;
#[cfg(feature = "serve")]
pub use self::serve::{ListenerStats, Listeners};
#[cfg(feature = "session")]
pub use self::session::{SessionResource, session};
pub use self::settings::Lifespan;
pub use self::signals::Signals;
pub use self::stop::{Readiness, Shutdown, Stop};

/// The snippet of the README, compiled as a doc test.
#[cfg(all(doctest, feature = "serve", feature = "session"))]
#[doc = include_str!("../README.md")]
struct Readme;
