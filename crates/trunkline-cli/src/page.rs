//! One page: asked for, read to its end, and what is to be said of it.

use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};
use trunkline::{Response, Session};

use crate::bodies::Bodies;
use crate::failure;
use crate::input::{Place, Url};

/// What became of a URL: a line of the JSON output.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    /// As it was given.
    pub(crate) url: String,
    /// What answered: another one, if redirects were followed.
    pub(crate) final_url: Option<String>,
    pub(crate) status: Option<u16>,
    /// Of the body, decoded, as far as it came.
    pub(crate) bytes: u64,
    #[serde(serialize_with = "seconds")]
    pub(crate) elapsed: Duration,
    /// Whether its connection had served another request; the last one's, if redirects were followed.
    pub(crate) reused: Option<bool>,
    /// Its file in the directory of bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    pub(crate) error: Option<String>,
    /// What standard error says of it.
    #[serde(skip)]
    pub(crate) notice: Option<String>,
    #[serde(skip)]
    pub(crate) fate: Fate,
}

/// What the page counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Fetched,
    /// It came whole, with a status of 400 or above.
    Refused,
    /// It did not come whole.
    Failed,
    /// The program ended first.
    GivenUp,
}

/// What every page needs.
pub(crate) struct Fetcher {
    pub(crate) session: Session,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) bodies: Option<Bodies>,
}

impl Fetcher {
    /// Fetches a page. Of its body no more is held than a file's next block.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no part of a file behind.
    pub(crate) async fn page(&self, url: Url) -> Page {
        let begun = Instant::now();
        let mut page = Page::new(url.text);
        if let Err(error) = self.exchange(&mut page, url.ordinal).await {
            page.fail(&error, url.place.as_ref());
        }
        page.elapsed = begun.elapsed();
        page
    }

    async fn exchange(&self, page: &mut Page, ordinal: u64) -> anyhow::Result<()> {
        let request = self.session.get(&page.url);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut response = request.send().await?;
        page.see(&response);
        let keep = self.bodies.as_ref().filter(|_| page.fate == Fate::Fetched);
        let mut file = keep.map(|bodies| bodies.begin(ordinal, asked(&response)));
        while let Some(chunk) = response.chunk().await? {
            page.bytes += chunk.len() as u64;
            if let Some(file) = &mut file {
                file.write(&chunk).await?;
            }
        }
        if let Some(file) = file {
            page.file = Some(file.finish().await?);
        }
        Ok(())
    }
}

/// The URL that was asked for first, as the library read it: without credentials.
fn asked(response: &Response) -> &str {
    response.history().first().map_or(response.url(), |hop| &hop.url).as_str()
}

impl Page {
    fn new(url: String) -> Self {
        Self {
            url,
            final_url: None,
            status: None,
            bytes: 0,
            elapsed: Duration::ZERO,
            reused: None,
            file: None,
            error: None,
            notice: None,
            fate: Fate::Fetched,
        }
    }

    fn see(&mut self, response: &Response) {
        let status = response.status();
        self.status = Some(status.as_u16());
        self.final_url = Some(response.url().as_str().to_owned());
        self.reused = Some(response.connection().reused);
        if status.is_client_error() || status.is_server_error() {
            self.fate = Fate::Refused;
            self.error = Some(format!("status {status}"));
        }
    }

    fn fail(&mut self, error: &anyhow::Error, place: Option<&Place>) {
        let cause = error.downcast_ref::<trunkline::Error>();
        self.fate = if cause.is_some_and(trunkline::Error::is_closed) { Fate::GivenUp } else { Fate::Failed };
        let told = failure::words(error);
        if cause.is_some_and(trunkline::Error::is_input) {
            // A line that is no URL names none: where it stands helps to find it.
            let told = place.map_or_else(|| told.clone(), |place| format!("{place}: {told}"));
            (self.notice, self.error) = (Some(told.clone()), Some(told));
        } else {
            let told = cause.map_or_else(|| told.clone(), |cause| failure::without_request(cause, &self.url, &told));
            (self.notice, self.error) = (Some(format!("{}: {told}", failure::named(&self.url))), Some(told));
        }
    }
}

fn seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Microseconds are as fine as anything here is measured.
    serializer.serialize_f64((elapsed.as_secs_f64() * 1e6).round() / 1e6)
}
