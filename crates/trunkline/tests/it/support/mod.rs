//! Test support: real servers (nginx, httpbin, moto), a scripted one, certificates, and the
//! kernel's list of this process's sockets.
//!
//! It knows nothing of this crate, so other crates' tests take it with `#[path =
//! "…/support/mod.rs"] mod support;`. Servers run outside the test's runtime (a process or a thread
//! of their own): a test may stop its clock, block its thread or drop its runtime.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "written as a library, compiled into each test binary")]
#![allow(clippy::unwrap_used, reason = "test code: a broken harness fails the test")]

pub mod deaf;
pub mod httpbin;
pub mod moto;
pub mod nginx;
pub mod rogue;
pub mod sockets;
pub mod tls;

mod process;
mod temp_dir;

pub use deaf::Deaf;
pub use httpbin::Httpbin;
pub use moto::{AccessKey, Moto};
pub use nginx::{Access, Nginx, StubStatus};
pub use rogue::{CHAOS_BODY, Gate, Log, Mood, Random, Recorded, Rogue, Script, Step};
pub use sockets::{Peak, Socket, TcpState, Watcher, sockets_of, sockets_to, watch, watch_all};
pub use temp_dir::TempDir;
pub use tls::{Identity, TestCa};
