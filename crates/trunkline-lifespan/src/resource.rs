//! Resources of an application: acquired and checked before it serves, released after.

use std::fmt;
use std::future::Ready;

use crate::error::BoxError;

/// A resource of an application, opened before it serves and released after: a session, a database,
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
    /// The handle that the application uses. A clone refers to the same resource.
    type Handle: Clone + Send + Sync + 'static;

    /// Any error, or a text.
    type Error: Into<BoxError>;

    /// Opens the resource; called once, first. If it fails or is dropped before it returns, it cleans
    /// up after itself: only an acquired resource is released.
    fn acquire(&mut self) -> impl Future<Output = Result<Self::Handle, Self::Error>> + Send;

    /// Checks that the resource is usable. On an error it is released, and the application does not
    /// start. By default nothing is checked.
    fn check(&mut self, handle: &Self::Handle) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = handle;
        async { Ok(()) }
    }

    /// Closes the resource; called once if it was acquired. Past its limit the release is aborted at
    /// its next await.
    fn release(self, handle: Self::Handle) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A resource from a closure that acquires it. [`check`](ClosureResource::check) and
/// [`release`](ClosureResource::release) add the rest.
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
/// let report = lifespan::run(async |app| {
///     let database = resource(async || Database::connect("postgres://…").await.map(Arc::new))
///         .check(async |database: Arc<Database>| database.ping().await)
///         .release(async |database: Arc<Database>| Ok::<_, io::Error>(database.close().await));
///     let database = app.open("database", database).await?;
///     # drop(database);
///     Ok::<_, lifespan::Error>(())
/// })
/// .await;
/// assert!(report.is_success());
/// # }
/// ```
pub fn resource<A, F, H, E>(acquire: A) -> ClosureResource<A, NoCheck<H>, NoRelease<H>>
where
    A: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<H, E>> + Send,
    E: Into<BoxError>,
{
    ClosureResource {
        acquire: Some(acquire),
        check: Some(|_| std::future::ready(Ok(()))),
        release: |_| std::future::ready(Ok(())),
    }
}

/// The default of [`ClosureResource::check`]: no check.
pub type NoCheck<H> = fn(H) -> Ready<Result<(), BoxError>>;

/// The default of [`ClosureResource::release`]: the handle is dropped.
pub type NoRelease<H> = fn(H) -> Ready<Result<(), BoxError>>;

/// A [`resource`] from closures. Each gets a clone of the handle.
#[must_use = "a resource does nothing until it is opened"]
pub struct ClosureResource<A, C, R> {
    acquire: Option<A>,
    check: Option<C>,
    release: R,
}

impl<A, C, R> ClosureResource<A, C, R> {
    /// Sets the check.
    pub fn check<C2>(self, check: C2) -> ClosureResource<A, C2, R> {
        ClosureResource { acquire: self.acquire, check: Some(check), release: self.release }
    }

    /// Sets the release.
    pub fn release<R2>(self, release: R2) -> ClosureResource<A, C, R2> {
        ClosureResource { acquire: self.acquire, check: self.check, release }
    }
}

impl<A, AF, C, CF, R, RF, H, AE, CE, RE> Resource for ClosureResource<A, C, R>
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

impl<A, C, R> fmt::Debug for ClosureResource<A, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureResource").finish_non_exhaustive()
    }
}
