//! Web forms as browsers send them, over a [`trunkline`] session.
//!
//! A page is read into a [`Document`], one of its forms is chosen and filled in, and what comes out is the request that a browser would
//! send for it: the same entries in the same order, in the same encoding, with the same `Content-Type`, `Referer` and `Origin`.
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
//! # What is meant by "as browsers send them"
//!
//! The HTML standard's algorithms, "form owner", "constructing the entry list" and "form submission": hidden inputs and defaults, controls outside of
//! their form, disabled fieldsets, the button and what it says instead of the form, `_charset_` and `accept-charset`, `dirname`, `<base>`,
//! the page's charset, url-encoded, multipart and plain text. Each rule is compared with what Chromium sends for the same page, byte for byte, by
//! `tests/it`, whose corpus lists them.
//!
//! Scripts are not run. `<noscript>` counts, and so does what the page's own markup says; what a script would add, check or enable has to be filled in by hand.
//! Nor is validated what a browser would have the user correct (`required`, `pattern`, `maxlength`).
//!
//! # Hostile pages
//!
//! A page is read within the limits of a [`Parser`]: its size, the number of its elements and attributes, the depth of their nesting, and the work that parsing them
//! takes. Beyond them it is an error that [`is_page`](Error::is_page), and nothing is handed out of a page that was read in part.

mod document;
mod error;
mod forms;
mod login;
mod page;
mod scraper;
mod tree;

pub use self::document::{Document, Parser};
pub use self::error::{Error, Result};
pub use self::forms::{Field, Form, FormChoice, Submission, Submitter, Upload, Value};
pub use self::login::{Expect, Login};
pub use self::page::Page;
pub use self::scraper::Scraper;
