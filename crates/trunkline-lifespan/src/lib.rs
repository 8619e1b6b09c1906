//! The life of an application: opened in order, served until a signal, drained, and closed in
//! reverse.
//!
//! What an application needs before its first request, a session, a database, a worker, has to end
//! after its last one, whatever happens in between, and in the opposite order. `?` does not do
//! that, a `Drop` cannot await, and a signal handler knows nothing of either. This crate is the
//! stack that does: an asynchronous, ordered `defer` for all that an application stands on.
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
//! async fn main() -> lifespan::Ending {
//!     lifespan::run(async |life| {
//!         // Acquired, checked, and released at the end.
//!         let session = life.open("session", lifespan::session(Session::builder())).await?;
//!         let database = resource(async || Database::connect("postgres://…").await.map(Arc::new))
//!             .check(async |database: Arc<Database>| database.ping().await)
//!             .release(async |database: Arc<Database>| database.close().await);
//!         let database = life.open("database", database).await?; // fails? The session is released.
//!
//!         // Asked to stop after the last request; if it fails, the application comes down in order.
//!         life.background("outbox", |stop| worker(database.clone(), stop));
//!
//!         // Until SIGTERM or Ctrl-C.
//!         let readiness = life.readiness();
//!         let router = Router::new()
//!             .route("/", get(async || "hello"))
//!             .route("/readyz", get(async || readiness))
//!             .with_state((session, database));
//!         let listener = life.bind("127.0.0.1:8080").await?;
//!         life.serve(listener, router).await
//!     })
//!     .await
//! }
//! # }
//! ```
//!
//! The function may return any error; one that returns other errors than this crate's says so:
//! `async |life| -> anyhow::Result<()> { … }`.
//!
//! # The way down
//!
//! Whatever ends the application, a signal, a failed start, failed background work, a panic, a
//! function that returns, it is the same way:
//!
//! 1. **Not ready.** [`Life::readiness`] is false at once, and [`Life::stopping`] tells those who
//!    want to know.
//! 2. **Pause**, if there was one set and the application was up: [`Lifespan::pause`].
//! 3. **Stop accepting**, on all listeners but those that serve throughout.
//! 4. **Drain**: requests under way finish, up to [`Lifespan::drain_within`]; then they are aborted
//!    and counted. Those that serve throughout come last.
//! 5. **Background work** is asked to stop and waited for, each up to [`Lifespan::stop_within`],
//!    the last begun first; then it is aborted.
//! 6. **Release**, the last opened first, each in a task of its own and up to
//!    [`Lifespan::release_within`]; then it is aborted. One that fails, panics or is late keeps no
//!    other from being released.
//!
//! The [`Ending`] has each step, how long it took, and every error, the one that began it all
//! first; its exit code says in brief what happened. The worst case takes the sum of the limits: an
//! orchestrator's patience should be longer than that.
//!
//! # Signals
//!
//! SIGTERM (on Unix) and Ctrl-C ask for the way down. While the application starts they drop its
//! function where it stands, so that a database that does not answer can be called off, and release
//! what was open by then. The second one exits at once, with 128 + its number. The same signal
//! again within 100 ms is not a second one: `timeout` and others that send it to the process and to
//! its group do that.
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | a resource cannot be acquired | what was opened before it is released; its error comes first |
//! | its check fails | it is released, then those before it: `failed validation for "database": …` |
//! | the function panics | as if it had failed |
//! | background work fails or panics | as if a signal had come; its error comes first, the exit code is 1 |
//! | background work ends, without an error | nothing: it had nothing more to do |
//! | background work does not stop | it is aborted at its limit, and that is an error |
//! | a request outlasts the drain | it is aborted, counted, and the exit code is 3 |
//! | a release fails, panics or is late | that is an error, and the others are released |
//! | a release blocks its thread | it is left behind at its limit, and the others are released, if the runtime has another thread; see [`Ending::exit`] |
//!
//! Steps and errors go to `tracing` as they happen, under the target `trunkline::lifespan`; the
//! server announces its address there.
//!
//! # Cargo features
//!
//! Both are off by default; without them this is an exit stack with signals and background work.
//!
//! - `serve`: `Life::bind`, `Life::serve`, `Life::serve_beside`, `Life::serve_throughout`: an
//!   `axum::Router` over HTTP/1.1 and HTTP/2.
//! - `session`: `session`, a `trunkline::Session` as a resource.
//!
//! There is no runtime of its own, and no state of the process is touched but the two signals'
//! handlers, which are tokio's.

mod resource;
mod settings;

mod run;

mod life;

mod background;
#[cfg(feature = "serve")]
mod serve;
mod stack;

mod signals;
mod stop;

mod ending;
mod error;

#[cfg(feature = "session")]
mod session;

pub use self::background::{Background, Outcome};
pub use self::ending::{Ending, Step, StepKind};
pub use self::error::{Error, Phase, Result};
pub use self::life::{Life, Opening};
pub use self::resource::{FromClosures, NoCheck, NoRelease, Resource, resource};
pub use self::run::run;
#[cfg(feature = "serve")]
pub use self::serve::{Connections, Listeners};
#[cfg(feature = "session")]
pub use self::session::{SessionResource, session};
pub use self::settings::Lifespan;
pub use self::stop::{Readiness, Shutdown, Stop};

/// The snippet of the README, compiled as a doc test.
#[cfg(all(doctest, feature = "serve", feature = "session"))]
#[doc = include_str!("../README.md")]
struct Readme;
