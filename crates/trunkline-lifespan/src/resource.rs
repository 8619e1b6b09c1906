//! What an application opens before it serves and releases after: acquire, check, release.

use std::fmt;
use std::future::Ready;

use crate::error::BoxError;

/// Something that an application opens before it serves and releases after: a session, a database,
/// a lock, a registration.
///
/// ```
/// use std::io;
/// use tokio::net::UdpSocket;
/// use std::sync::Arc;
/// use trunkline_lifespan::Resource;
///
/// struct Statsd { address: &'static str }
///
/// impl Resource for Statsd {
///     type Handle = Arc<UdpSocket>;
///     type Error = io::Error;
///
///     async fn acquire(&mut self) -> io::Result<Self::Handle> {
///         let socket = UdpSocket::bind("127.0.0.1:0").await?;
///         socket.connect(self.address).await?;
///         Ok(Arc::new(socket))
///     }
///
///     async fn check(&mut self, socket: &Self::Handle) -> io::Result<()> {
///         socket.send(b"started:1|c").await.map(drop)
///     }
///
///     async fn release(self, socket: Self::Handle) -> io::Result<()> {
///         socket.send(b"stopped:1|c").await.map(drop)
///     }
/// }
/// ```
///
/// [`resource`] makes one from closures.
pub trait Resource: Send + 'static {
    /// What the application works with. A clone names the same thing.
    type Handle: Clone + Send + Sync + 'static;

    /// Any error, or a text.
    type Error: Into<BoxError>;

    /// Opens it; called once, before the others. What fails here, or is dropped half way, cleans up
    /// after itself: nothing is released that was not acquired.
    fn acquire(&mut self) -> impl Future<Output = Result<Self::Handle, Self::Error>> + Send;

    /// Whether it can be worked with. If not, it is released, and the application does not start.
    /// Without a check it can.
    fn check(&mut self, handle: &Self::Handle) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = handle;
        async { Ok(()) }
    }

    /// Ends it: called once for all that was acquired. Late, it is aborted at its next await.
    fn release(self, handle: Self::Handle) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A resource from a closure that acquires it. [`check`](FromClosures::check) and
/// [`release`](FromClosures::release) add the rest.
///
/// ```
/// # use std::{io, sync::Arc};
/// # #[derive(Debug)] struct Database;
/// # impl Database {
/// #     async fn connect(_: &str) -> io::Result<Self> { Ok(Self) }
/// #     async fn ping(&self) -> io::Result<()> { Ok(()) }
/// #     async fn close(&self) {}
/// # }
/// # #[tokio::main] async fn main() {
/// use trunkline_lifespan::{self as lifespan, resource};
///
/// let ending = lifespan::run(async |life| {
///     let database = resource(async || Database::connect("postgres://…").await.map(Arc::new))
///         .check(async |database: Arc<Database>| database.ping().await)
///         .release(async |database: Arc<Database>| Ok::<_, io::Error>(database.close().await));
///     let database = life.open("database", database).await?;
///     # drop(database);
///     Ok::<_, lifespan::Error>(())
/// })
/// .await;
/// assert!(ending.is_success());
/// # }
/// ```
pub fn resource<A, F, H, E>(acquire: A) -> FromClosures<A, NoCheck<H>, NoRelease<H>>
where
    A: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<H, E>> + Send,
    E: Into<BoxError>,
{
    FromClosures {
        acquire: Some(acquire),
        check: Some(|_| std::future::ready(Ok(()))),
        release: |_| std::future::ready(Ok(())),
    }
}

/// A check that was not given.
pub type NoCheck<H> = fn(H) -> Ready<Result<(), BoxError>>;

/// A release that was not given: dropping the handle is all.
pub type NoRelease<H> = fn(H) -> Ready<Result<(), BoxError>>;

/// A [`resource`] from closures. Each gets a clone of the handle.
#[must_use = "a resource does nothing until it is opened"]
pub struct FromClosures<A, C, R> {
    acquire: Option<A>,
    check: Option<C>,
    release: R,
}

impl<A, C, R> FromClosures<A, C, R> {
    /// How it is checked.
    pub fn check<C2>(self, check: C2) -> FromClosures<A, C2, R> {
        FromClosures { acquire: self.acquire, check: Some(check), release: self.release }
    }

    /// How it is released.
    pub fn release<R2>(self, release: R2) -> FromClosures<A, C, R2> {
        FromClosures { acquire: self.acquire, check: self.check, release }
    }
}

impl<A, AF, C, CF, R, RF, H, AE, CE, RE> Resource for FromClosures<A, C, R>
where
    A: FnOnce() -> AF + Send + 'static,
    AF: Future<Output = Result<H, AE>> + Send,
    AE: Into<BoxError>,
    C: FnOnce(H) -> CF + Send + 'static,
    CF: Future<Output = Result<(), CE>> + Send,
    CE: Into<BoxError>,
    R: FnOnce(H) -> RF + Send + 'static,
    RF: Future<Output = Result<(), RE>> + Send,
    RE: Into<BoxError>,
    H: Clone + Send + Sync + 'static,
{
    type Handle = H;
    type Error = BoxError;

    async fn acquire(&mut self) -> Result<H, BoxError> {
        let acquire = self.acquire.take().ok_or("it was acquired before")?;
        acquire().await.map_err(Into::into)
    }

    async fn check(&mut self, handle: &H) -> Result<(), BoxError> {
        let check = self.check.take().ok_or("it was checked before")?;
        check(handle.clone()).await.map_err(Into::into)
    }

    async fn release(self, handle: H) -> Result<(), BoxError> {
        (self.release)(handle).await.map_err(Into::into)
    }
}

impl<A, C, R> fmt::Debug for FromClosures<A, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromClosures").finish_non_exhaustive()
    }
}
