//! One HTTP session for your whole application.
//!
//! A program that talks to other services over HTTP opens connections, and connections are what it
//! runs short of: they cost a round trip or three to make, they take up descriptors and ports, and
//! the other side allows only so many. So they are worth keeping, sharing and counting. That takes
//! one place that knows of all of them.
//!
//! This crate is that place. A [`Session`] keeps connections alive and shares them among all
//! requests of the application, never owns more sockets than it was told to, serves those who wait
//! in order, says at any moment what it is doing, and at the end closes everything and tells you
//! when it has.
//!
//! # The shape of an application
//!
//! Open one session before the application serves. Give clones of it to every handler and job: a
//! clone is a handle to the same session. Close it, awaited, after the last of them. With axum:
//!
//! ```no_run
//! use axum::{Router, extract::State, http::StatusCode, routing::post};
//! use trunkline::{Pool, Session};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Before serving.
//!     let pool = Pool::builder().limit(30).build()?;
//!     let session = Session::builder().pool(pool).base_url("https://httpbin.org").build()?;
//!
//!     let app = Router::new().route("/", post(forward)).with_state(session.clone());
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;
//!
//!     // After the last handler.
//!     println!("{}", session.close().await);
//!     Ok(())
//! }
//!
//! async fn forward(State(session): State<Session>, data: String) -> Result<String, StatusCode> {
//!     let request = session.post("post").form(&[("data", &data)]);
//!     let response = request.await.map_err(|_| StatusCode::BAD_GATEWAY)?;
//!     println!("{}", response.status());
//!     response.text().await.map_err(|_| StatusCode::BAD_GATEWAY)
//! }
//! # async fn interrupted() { let _ = tokio::signal::ctrl_c().await; }
//! ```
//!
//! The whole program is `examples/axum.rs`. A job with a beginning and an end has a shorter form,
//! [`Session::scope`], which closes the session on success, error and panic alike.
//!
//! Making a session opens nothing and needs no runtime. It works in any tokio runtime with I/O and
//! time enabled, also in several at once, and outlives them: a connection whose runtime is gone is
//! replaced, and no request fails for it.
//!
//! # A request
//!
//! A request is awaited as it is, or after more has been set on it. It returns a [`Response`] as
//! soon as the head of the response has come. The body is read when you ask for it: whole, with
//! [`text`](Response::text), [`bytes`](Response::bytes) or [`json`](Response::json), piece by
//! piece, with [`chunk`](Response::chunk), or into a file, with [`save_to`](Response::save_to). Its
//! connection goes back to the pool at the end of the body.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> trunkline::Result<()> {
//! # let address = server().await;
//! use trunkline::Session;
//!
//! let session = Session::new();
//! for _ in 0..3 {
//!     let response = session.get(&address).query(&[("q", "trunk line")]).await?;
//!     assert_eq!(response.status(), 200);
//!     assert_eq!(response.text().await?, "hello");
//! }
//! let stats = session.stats();
//! assert_eq!((stats.created, stats.reused), (1, 2));
//!
//! let report = session.close().await;
//! assert_eq!(report.closed, 1);
//! # Ok(())
//! # }
//! # async fn server() -> String {
//! #     use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
//! #     let address = format!("http://{}/", listener.local_addr().unwrap());
//! #     tokio::spawn(async move {
//! #         let (mut socket, _) = listener.accept().await.unwrap();
//! #         let mut request = [0; 4096];
//! #         while socket.read(&mut request).await.unwrap() > 0 {
//! #             let response = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
//! #             socket.write_all(response).await.unwrap();
//! #         }
//! #     });
//! #     address
//! # }
//! ```
//!
//! Read a response or drop it, but do not keep it: until its body has ended, no other request can
//! use its connection.
//!
//! ## What is sent
//!
//! A [`Body`] is made of bytes, a file, a stream or any [`http_body::Body`];
//! [`multipart`](RequestBuilder::multipart) makes one of a form with files. It is sent as it comes
//! and never held whole.
//!
//! ```no_run
//! # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
//! use trunkline::{Body, Multipart};
//!
//! session.put("https://example.com/backup.tar").body(Body::file("backup.tar")).expect_continue(true).await?;
//!
//! let form = Multipart::new().text("title", "Holidays").file("photo", "photos/IMG_0001.jpg");
//! session.post("https://example.com/albums").multipart(form).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A server may respond before it has the whole body. The response is then available at once, and
//! both go on side by side: reading the response also sends the rest of the request, so a response
//! that is held unread stops the request. A success ends when both have ended: the last read, or
//! the request itself if there is nothing to read, waits until the body is sent. After any other
//! status (a 413 after the first mebibyte), after `connection: close`, and if the response is
//! dropped, the rest of the body is not sent, and the connection is closed.
//!
//! ## What the session adds
//!
//! To a request that does not have them: `accept: */*`, `user-agent: trunkline/` and its version,
//! `accept-encoding`, the headers given to [`SessionBuilder::header`], and `host`. A body brings
//! its length or `transfer-encoding: chunked`, and [`json`](RequestBuilder::json),
//! [`form`](RequestBuilder::form) and [`multipart`](RequestBuilder::multipart) their
//! `content-type`. A user name and password in the URL become an `authorization` header, and what
//! servers have set before a `cookie` header. That is all; a fragment is never sent.
//!
//! Redirects are followed, ten of them by default. 301 and 302 turn a `POST` into a `GET`, 303
//! turns everything but `HEAD` into one, and the body goes with the method; 307 and 308 keep both.
//! A redirect to another origin, which is another scheme, host or port, loses `authorization`,
//! `proxy-authorization`, every header whose value is marked
//! [sensitive](http::HeaderValue::set_sensitive), a `cookie` or `host` set by hand, and credentials
//! in the URL. No `referer` is ever added, and one set by hand is not taken from https to http. An
//! `origin` set by hand goes with the method as in browsers: not with a `POST` that has become a
//! `GET`, and as `null` where one is sent on by a third. With
//! [`max_redirects(0)`](SessionBuilder::max_redirects) none is followed, and a
//! [`redirect_policy`](SessionBuilder::redirect_policy) decides about each: follow it, stop at it,
//! or refuse it.
//!
//! A `Session`, or a reference to one, is also a [`tower` service](Session#as-a-tower-service), to
//! be put under layers of your choice.
//!
//! [`Pool::send`] adds nothing but a missing `host`, follows nothing, decodes nothing and leaves
//! the path as it is: it is for putting the pool under another client.
//!
//! ## Compressed responses
//!
//! They are asked for, and decoded as they are read: gzip (and x-gzip), deflate (zlib's format, and
//! the bare one that some servers send), br, zstd, and up to four of them stacked. The response
//! then has no `content-encoding` and no `content-length` any more, and
//! [`content_length`](Response::content_length) is `None`, for they are not those of what you read.
//!
//! - A body that is not coded passes through as it is, uncopied.
//! - A coding that breaks off, is damaged or fails its checksum is an error that
//!   [`is_body`](Error::is_body). gzip may have several members and zstd several frames. What
//!   follows the end of a gzip, deflate or br stream is ignored, up to 64 KiB; behind a zstd frame
//!   it is an error.
//! - Left alone are responses with a coding that is not known, or more than four; parts (206),
//!   which cannot be decoded by themselves; and those without a body, as a `HEAD` gets. A request
//!   with a `range` asks for `identity`.
//! - Who sets `accept-encoding` by hand chooses what is asked for; what comes is decoded all the
//!   same.
//! - [`decompress(false)`](SessionBuilder::decompress), for a session or a
//!   [request](RequestBuilder::decompress), switches all of it off.
//!
//! However much a few bytes stand for, 32 KiB are decoded at a time, and
//! [`max_body_size`](SessionBuilder::max_body_size), which bounds what `bytes`, `text` and `json`
//! read, counts what comes out. A decoder's window is 8 MiB at most for zstd (RFC 9659), 16 MiB for
//! br, 32 KiB for the others.
//!
//! ## Cookies
//!
//! Each session has a [`CookieJar`]. What a response sets, a redirecting or a failed one included,
//! is kept there by the rules of browsers (RFC 6265bis), and each hop of a request carries what
//! belongs to its address. The jar can be shared with other sessions, read and written by the
//! program, and kept in a file that curl reads and writes too.
//!
//! ```no_run
//! # async fn run() -> trunkline::Result<()> {
//! use trunkline::{CookieJar, Session};
//!
//! let jar = CookieJar::load("cookies.txt").await?;
//! let session = Session::builder().cookie_jar(jar).build()?;
//! session.post("https://example.com/login").form(&[("user", "ann"), ("password", "…")]).await?;
//! let members = session.get("https://example.com/members").await?;
//! session.cookies().save("cookies.txt").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A `cookie` header set by hand goes along with the jar's, and instead of those of the same names.
//! [`CookieJar::disabled`] is for a session without cookies.
//!
//! # Limits, and who goes first
//!
//! ```
//! # fn main() -> trunkline::Result<()> {
//! use trunkline::{Pool, Session};
//!
//! let pool = Pool::builder().limit(30).limit_per_host(10).build()?;
//! let session = Session::builder().pool(pool).build()?;
//! # let _ = session;
//! # Ok(())
//! # }
//! ```
//!
//! [`limit`](PoolBuilder::limit) is about sockets, not about requests. Connections in use, idle
//! ones and those being made count, and so do the second and third address that one dial tries side
//! by side. What the operating system shows for the process never exceeds it. The default is 100 in
//! all, and no limit for each host.
//!
//! A request that finds neither an idle connection nor room for a new one waits:
//!
//! - to one host, first come, first served, and a newcomer never overtakes one that waits;
//! - among hosts, the oldest request that *can* go goes: a host at its own limit delays no other;
//! - an idle connection to one host is closed when its place is what a request to another lacks;
//! - a connection that comes back serves its own host first, which saves a dial, but at most 16
//!   times in a row while an older request to another host waits for its place.
//!
//! Several sessions may share one pool ([`SessionBuilder::pool`]), each with its own headers,
//! cookies and settings. The limits then hold for all of them together.
//!
//! # Deadlines
//!
//! [`Timeouts`] has four, for the session and, where it differs, for a request:
//!
//! | | what it bounds | default |
//! |---|---|---|
//! | [`total`](Timeouts::total) | everything, from the call to the last byte of the body, redirects included | 300 s |
//! | [`acquire`](Timeouts::acquire) | waiting for a connection, or for a permit to dial | none but `total` |
//! | [`connect`](Timeouts::connect) | making one: name, TCP and TLS | 30 s |
//! | [`read`](Timeouts::read) | silence in both directions, while a response is awaited or read | 60 s |
//!
//! `total` is one point in time, fixed when the request begins. Nothing moves it: no redirect, no
//! replay, no further turn in the queue. It also ends a response that is held and not read. For a
//! download that may take as long as it likes, set `total` to
//! [`Duration::MAX`](std::time::Duration::MAX) and let `read` watch over it.
//!
//! # Watching
//!
//! [`Session::stats`] takes a snapshot in one step, so that its counts add up: open connections are
//! those in use, idle and dialing, in total and per host; created less closed is open; and each
//! closed one has its [`CloseReason`]. Two [`Histogram`]s have the times that requests waited for a
//! connection and that dialing took. [`Response::connection`] describes the connection of one
//! response: its peer, the wait for it, and true if it was reused.
//!
//! Spans and events go to `tracing`, under the targets `trunkline::session`, `trunkline::pool` and
//! `trunkline::connection`. No header, body, query or password is ever among them.
//! [`PoolBuilder::report_held`] adds a warning about each connection that one request has held for
//! too long.
//!
//! # Closing
//!
//! [`Session::close`] refuses new requests at once and fails waiting ones. Requests in flight,
//! redirects and unread bodies included, have ten seconds to finish
//! ([`close_within`](Session::close_within) takes another limit); then they are aborted, and their
//! callers see an error that [`is_closed`](Error::is_closed). Idle connections end as the protocols
//! want it. The call returns a [`CloseReport`] when the process owns no socket of the pool any
//! more. A shared pool closes with its last session.
//!
//! Dropping a session closes its sockets as well, but without waiting; `tracing` gets a warning
//! with the line where the pool was made.
//!
//! # Errors
//!
//! [`Error`] is opaque and answers questions:
//!
//! | question | asked before |
//! |---|---|
//! | [`is_timeout`](Error::is_timeout), [`phase`](Error::phase) | waiting longer the next time, or less |
//! | [`is_connect`](Error::is_connect) | trying another host |
//! | [`is_certificate`](Error::is_certificate) | trying again: it would end the same way |
//! | [`request_sent`](Error::request_sent) | sending it again: can the server have seen it? |
//! | [`is_status`](Error::is_status), [`status`](Error::status) | blaming the server; only where [`error_for_status`](SessionBuilder::error_for_status) was asked for |
//! | [`is_redirect`](Error::is_redirect), [`is_body`](Error::is_body) | blaming the response, or the body that was to be sent |
//! | [`is_file`](Error::is_file) | blaming the disk: a body could not be [saved](Response::save_to) |
//! | [`is_closed`](Error::is_closed) | shutting down in peace |
//! | [`is_input`](Error::is_input) | blaming yourself: nothing was sent |
//!
//! Its text names the method and the URL, without credentials and query, and what the request was
//! doing. For a wait that ran out it says who holds the connections.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use trunkline::{RequestSent, Session};
//!
//! let error = Session::new().get("http://127.0.0.1:1/activate?token=secret").await.unwrap_err();
//! assert!(error.is_connect());
//! assert_eq!(error.request_sent(), RequestSent::No);
//! assert!(!error.to_string().contains("secret"));
//! # }
//! ```
//!
//! Apart from redirects, the session sends a request twice in one case only: its reused connection
//! fails before the first byte of a response, and the request provably never left, or is idempotent
//! and [can be sent again](Body::is_replayable). It is then sent once more on a new connection, but
//! not after a timeout. [`PoolBuilder::replay`] turns that off; docs/POOL.md has the rule, P10.
//!
//! # Cancel safety
//!
//! Every future of this crate may be dropped at any point: by a timeout, a `select!` or a client
//! that hangs up. Its place in the queue, its connection and its slot go to the next request at
//! once. An exchange dropped in the middle costs its connection: HTTP/1.1 has no other way. Each
//! async function documents the rest.
//!
//! # Coming from aiohttp
//!
//! The main things; `docs/aiohttp.md` has them all, with what is different and what is not there.
//!
//! | aiohttp | here |
//! |---|---|
//! | `ClientSession()` | [`Session::new()`](Session::new) |
//! | `ClientSession(base_url=…, headers=…)` | [`Session::builder()`](Session::builder)`.base_url(…).header(…, …)` |
//! | `ClientSession(cookie_jar=…)`, `session.cookie_jar` | [`cookie_jar(…)`](SessionBuilder::cookie_jar), [`session.cookies()`](Session::cookies) |
//! | `CookieJar(unsafe=True)`, `DummyCookieJar()` | IP addresses have cookies always; [`CookieJar::disabled`] |
//! | `jar.update_cookies(…)`, `jar.filter_cookies(url)` | [`jar.set(&url, …)`](CookieJar::set), [`jar.matching(&url)`](CookieJar::matching) |
//! | `cookies={…}` | `header("cookie", "name=value")`, or set in the jar |
//! | `raise_for_status=True` | [`error_for_status(true)`](SessionBuilder::error_for_status) |
//! | `async with ClientSession() as session:` | [`Session::new().scope(async \|session\| { … }).await`](Session::scope) |
//! | `await session.close()` | [`session.close().await`](Session::close): requests under way may finish, and the sockets are gone when it returns |
//! | `TCPConnector(limit=100)` | [`Pool::builder().limit(100)`](PoolBuilder::limit): idle connections count as well |
//! | `limit_per_host=5` | [`limit_per_host(5)`](PoolBuilder::limit_per_host): no limit is `None` instead of 0 |
//! | `keepalive_timeout=15` | [`idle_timeout`](PoolBuilder::idle_timeout) |
//! | `connector=…, connector_owner=False` | [`SessionBuilder::pool`]: closes with the last session that shares it |
//! | `ssl=False`, `resolver=…` | [`danger_accept_invalid_certs(true)`](PoolBuilder::danger_accept_invalid_certs), [`resolver`](PoolBuilder::resolver) |
//! | `ClientTimeout(total=300)` | [`Timeouts::total`]: reading the body is part of it here too |
//! | `ClientTimeout(connect=…)` | [`Timeouts::acquire`] for the wait, [`Timeouts::connect`] for making the connection |
//! | `ClientTimeout(sock_connect=30)` | [`Timeouts::connect`]: for the name and all addresses together |
//! | `ClientTimeout(sock_read=…)` | [`Timeouts::read`]: 60 s, where aiohttp has no limit |
//! | `params=`, `data={…}`, `json=`, `headers=` | [`query`](RequestBuilder::query), [`form`](RequestBuilder::form), [`json`](RequestBuilder::json), [`header`](RequestBuilder::header) |
//! | `data=open(…, "rb")`, `data=async_generator()` | [`Body::file`], [`Body::stream`] |
//! | `FormData`, `MultipartWriter` | [`Multipart`] |
//! | `expect100=True` | [`expect_continue(true)`](RequestBuilder::expect_continue): a server that says nothing gets the body after a second |
//! | `allow_redirects=False` | [`max_redirects(0)`](RequestBuilder::max_redirects) |
//! | `async with session.get(url) as response:` | `let response = session.get(url).await?`: dropping it is enough |
//! | `await response.read()`, `.text()`, `.json()` | [`bytes`](Response::bytes), [`text`](Response::text), [`json`](Response::json) (whatever the `content-type`) |
//! | `response.content.iter_any()` | [`chunk`](Response::chunk), until it returns `None` |
//! | `auto_decompress=False` | [`decompress(false)`](SessionBuilder::decompress): decoded responses lose `content-encoding` and `content-length` here |
//! | `ServerTimeoutError`, `ClientConnectorError`, … | one [`Error`], with questions |
//!
//! # What this crate leaves alone
//!
//! It keeps no process-wide state. Two sessions share nothing unless they share a [`Pool`]; there
//! is no default client, no global runtime, and it installs no default provider of rustls. It takes
//! no settings from the environment, except those of the platform's certificate store, such as
//! `SSL_CERT_FILE`. It spawns no task for a request or for a connection: a request is driven by the
//! task that awaits it. For each pool and runtime one task, which ends when it has nothing to do,
//! looks after idle connections and deadlines; lookups of names run in tasks of their own, and
//! files are read in tokio's blocking threads.
//!
//! Of other crates' types only those of `http`, `http-body`, `bytes`, `url` and `tower-service` are
//! in its interface, and as bounds three traits: `Stream` of `futures-core` for [`Body::stream`],
//! `Serialize` and `DeserializeOwned` of `serde` for what is sent and read as JSON, forms and
//! queries.
//!
//! # Cargo features
//!
//! All are on by default. Each only adds something.
//!
//! | | |
//! |---|---|
//! | `gzip`, `deflate`, `br`, `zstd` | the content coding of that name: asked for and decoded. `zstd` is C, and needs a C compiler as TLS does; the others are Rust |
//! | `charset` | [`text`](Response::text) in other charsets than UTF-8 |
//!
//! # Map
//!
//! | | |
//! |---|---|
//! | session | [`Session`], [`SessionBuilder`], [`RequestBuilder`], [`IntoUrl`], [`Response`], [`DecodedBody`], [`RedirectHop`], [`RedirectAttempt`], [`RedirectAction`], [`ResponseFuture`], [`ResponseHistory`] |
//! | pool | [`Pool`], [`PoolBuilder`], [`ResponseBody`], [`ConnectionInfo`], [`ConnectionHandle`] |
//! | connection | [`Resolve`], [`Resolving`] |
//! | body | [`Body`], [`Multipart`], [`Part`] |
//! | cookies | [`CookieJar`], [`Cookie`], [`SameSite`] |
//! | errors and time | [`Error`], [`Result`], [`Phase`], [`RequestSent`], [`Timeouts`] |
//! | figures | [`PoolStats`], [`HostStats`], [`Histogram`], [`Closes`], [`CloseReason`], [`CloseReport`] |
//!
//! HTTP/1.1 is what it speaks so far, over TCP and TLS. The README has the list of what is not
//! there yet, and `docs/ARCHITECTURE.md` explains how it is made.

// In reading order: as a request travels, then what they all stand on.
mod session;

mod pool;

mod connection;

mod body;
mod content_type;
mod cookies;
mod redact;

mod error;
mod stats;
mod timeouts;

pub use session::{
    DecodedBody, IntoUrl, RedirectAction, RedirectAttempt, RedirectHop, RequestBuilder, Response, ResponseFuture,
    ResponseHistory, Session, SessionBuilder,
};

#[cfg(trunkline_bench)]
pub use pool::bench;
pub use pool::{ConnectionInfo, Pool, PoolBuilder, ResponseBody};

pub use connection::{ConnectionHandle, Resolve, Resolving};

pub use body::{Body, Multipart, Part};
pub use content_type::ContentType;
pub use cookies::{Cookie, CookieJar, SameSite};
pub use error::{Error, Phase, RequestSent, Result};
pub use redact::redact_url;
pub use stats::{CloseReason, CloseReport, Closes, Histogram, HostStats, PoolStats};
pub use timeouts::Timeouts;

/// The snippets of the READMEs and of docs/aiohttp.md, compiled as doc tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Repository;

    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/aiohttp.md")]
    struct ComingFromAiohttp;
}
