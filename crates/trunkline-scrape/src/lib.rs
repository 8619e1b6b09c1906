//! Web forms as browsers send them, logins, and many pages at once, over a [`trunkline`] session.
//!
//! A page is read into a [`Document`], one of its forms is chosen and filled in, and what comes out
//! is the request that a browser would send for it: the same entries in the same order, in the same
//! encoding, with the same `Content-Type`, `Referer` and `Origin`.
//!
//! ```no_run
//! use trunkline::Session;
//! use trunkline_scrape::{Document, FormChoice};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::new();
//! let page = Document::read(session.get("https://example.com/login").await?).await?;
//! let mut form = page.form(&FormChoice::Password)?;
//! form.fill("username", "ann")?.fill("password", std::env::var("PASSWORD")?)?;
//! let answer = form.submit()?.request(&session)?.await?;
//! println!("{} {}", answer.status(), answer.url());
//! # session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Logging in
//!
//! A [`Login`] is all of this with a verdict, and a [`Scraper`] keeps it: pages behind it are
//! fetched with the cookies it was given, and when it has run out, it logs in again, once for all
//! that wait. A login succeeded if the page at the end of its redirects has the status 200 and no
//! form with a password field (`login/success.rs`); conditions of type [`Expect`] replace this
//! default. Otherwise the error names the failed condition and quotes the page's own message.
//!
//! ```no_run
//! use trunkline::Session;
//! use trunkline_scrape::{Login, Scraper};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::new();
//! let scraper = Scraper::new(session.clone());
//! let login = Login::at("https://example.com/login").field("username", "ann").field("password", std::env::var("PASSWORD")?);
//! scraper.login(login).await?;
//! println!("{} bytes", scraper.get("https://example.com/account").await?.body.len());
//! # session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Servers lock accounts that log in too often, so the scraper does not: it does not send a refused
//! password again, leaves a busy login page alone for as long as the page asks, and stops after
//! three logins without success. [`Scraper::login_with`] is for logins that take more than a form,
//! or that several programs share, by the same rules.
//!
//! # Fetching many
//!
//! [`Scraper::fetch`] takes any number of URLs, and is a stream of their pages: so many at a time,
//! each URL once, as they come or in order. What fails for now is tried again later, a host that
//! asks to be left alone is, and others go on meanwhile. Dropped, it leaves nothing behind.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use trunkline::{Pool, Session};
//! use trunkline_scrape::Scraper;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // No more than four connections to a host, and two requests a second at most.
//! let pool = Pool::builder().limit_per_host(4).build()?;
//! let session = Session::builder().pool(pool).user_agent("example-bot/1.0 (+https://example.com/bot)").build()?;
//! let delay = Duration::from_millis(500);
//! let scraper = Scraper::new(session.clone()).concurrency(32).delay(delay).robots("example-bot");
//!
//! let mut pages = scraper.fetch((1..=500).map(|number| format!("https://example.com/page/{number}")));
//! while let Some(page) = pages.next().await {
//!     match page {
//!         Ok(page) => println!("{} {} {} bytes", page.requested, page.status, page.body.len()),
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! for host in pages.figures() {
//!     let p99 = host.elapsed.quantile(0.99);
//!     println!("{}: {} pages, {} retries, p99 {p99:?}", host.host, host.pages, host.retries);
//! }
//! # session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! It stands on two layers that can be used by themselves: [`Scraper::fetch_with`] is a [`Fetch`]
//! that URLs of any source are pushed into, and that makes of each response what is wanted instead
//! of a whole page; [`Scraper::visit`] is one attempt at one URL, for those who keep a schedule of
//! their own.
//!
//! # What is meant by "as browsers send them"
//!
//! The HTML standard's algorithms, "form owner", "constructing the entry list" and "form
//! submission": hidden inputs and defaults, controls outside of their form, disabled fieldsets, the
//! button and what it says instead of the form, `_charset_` and `accept-charset`, `dirname`,
//! `<base>`, the page's charset, url-encoded, multipart and plain text. Each rule is compared with
//! what Chromium sends for the same page, byte for byte, by `tests/it`, whose corpus lists them.
//!
//! Scripts are not run, and no `<meta http-equiv=refresh>` is followed. `<noscript>` counts, and so
//! does what the page's own markup says; what a script would add, check or enable has to be filled
//! in by hand. Nor is validated what a browser would have the user correct (`required`, `pattern`,
//! `maxlength`). What it would have the user confirm, a [`Login`] refuses: a password that goes
//! from an https page to an http one.
//!
//! `tests/corpus/README.md` says which is followed where Chromium and the standard differ.
//!
//! # Hostile pages
//!
//! A page is read within the limits of a [`Parser`]: its size, the number of its elements and
//! attributes, the depth of their nesting, and the work that parsing them takes. Beyond them it is
//! an error that [`is_page`](Error::is_page), and nothing is handed out of a page that was read in
//! part.
//!
//! # Errors
//!
//! [`Error`] is opaque and answers questions:
//!
//! | question | asked before |
//! |---|---|
//! | [`is_passing`](Error::is_passing) | trying again: it may go well |
//! | [`is_login`](Error::is_login) | asking for another password |
//! | [`is_input`](Error::is_input) | looking at the page again: it has no such form or field, and the text says which there are |
//! | [`is_form`](Error::is_form), [`is_page`](Error::is_page) | blaming the page: no browser would send that form; it is beyond the limits |
//! | [`is_robots`](Error::is_robots) | leaving it alone |
//! | [`status`](Error::status), [`http`](Error::http) | blaming the server, or the way there |
//!
//! Its text names the URL, without credentials and query, and never what a field was filled with.
//! Of a page that was to be fetched, [`url`](Error::url) is the whole address, to ask for it again.
//!
//! # Features
//!
//! - `lifespan`: `resource`, a scraper as a resource of `trunkline-lifespan`, logged in when the
//!   application starts and closed when it ends. Off by default.

mod document;
mod error;
mod fetch;
mod forms;
mod login;
mod page;
#[cfg(feature = "lifespan")]
mod resource;
mod retries;
mod robots;
mod scraper;
mod tree;
mod visit;

pub use self::document::{Document, Parser};
pub use self::error::{Error, Result};
pub use self::fetch::{Fetch, Fetched, HostFigures, Pages, SeenUrls};
pub use self::forms::{Field, Form, FormChoice, Submission, Submitter, Upload, Value};
pub use self::login::{Expect, Login, LoginContext, Renew, RenewFuture};
pub use self::page::Page;
#[cfg(feature = "lifespan")]
pub use self::resource::{ScraperResource, resource};
pub use self::scraper::Scraper;
pub use self::visit::Visit;

/// The snippet of the README, compiled as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
