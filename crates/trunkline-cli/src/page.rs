//! One page: read to its end, and what is to be said of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use trunkline::Response;
use trunkline_scrape::{Error, Fetched};

use crate::bodies::Bodies;
use crate::failure;
use crate::input::Url;

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
    /// Of the last attempt.
    #[serde(serialize_with = "seconds")]
    pub(crate) elapsed: Duration,
    /// Whether its connection had served another request; the last one's, if redirects were
    /// followed.
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

/// A URL on its way to being a page.
pub(crate) struct Asked {
    url: Url,
    sight: Arc<Mutex<Sight>>,
}

/// What has been seen of the last attempt: one that fails in the end tells no more than that.
#[derive(Default)]
struct Sight {
    begun: bool,
    status: Option<u16>,
    final_url: Option<String>,
    reused: Option<bool>,
    bytes: u64,
}

/// Reads what answers to one URL.
#[derive(Clone)]
pub(crate) struct Reader {
    bodies: Option<Arc<Bodies>>,
    ordinal: u64,
    sight: Arc<Mutex<Sight>>,
}

/// A page that came.
pub(crate) struct Kept {
    /// Its file, if it was to have one. A disk that is full is not asked for another attempt.
    file: anyhow::Result<Option<String>>,
}

impl Asked {
    pub(crate) fn new(url: Url) -> Self {
        Self { url, sight: Arc::default() }
    }

    /// Called for each attempt; says whether it is the first.
    pub(crate) fn begin(&self) -> bool {
        let first = !lock(&self.sight).begun;
        *lock(&self.sight) = Sight { begun: true, ..Sight::default() };
        first
    }

    pub(crate) fn reader(&self, bodies: Option<Arc<Bodies>>) -> Reader {
        Reader { bodies, ordinal: self.url.ordinal, sight: self.sight.clone() }
    }
}

impl Reader {
    /// Reads it to its end. Of the body no more is held than a file's next block.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no part of a file behind.
    pub(crate) async fn read(self, mut response: Response) -> trunkline::Result<Kept> {
        let refused = is_refused(response.status().as_u16());
        *lock(&self.sight) = Sight {
            begun: true,
            status: Some(response.status().as_u16()),
            final_url: Some(response.url().as_str().to_owned()),
            reused: Some(response.connection().reused),
            bytes: 0,
        };
        let bodies = self.bodies.filter(|_| !refused);
        let mut file = bodies.map(|bodies| bodies.begin(self.ordinal, asked(&response)));
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len() as u64;
            lock(&self.sight).bytes = bytes;
            if let Some(file) = &mut file
                && let Err(error) = file.write(&chunk).await
            {
                return Ok(Kept { file: Err(error) });
            }
        }
        let file = match file {
            Some(file) => file.finish().await.map(Some),
            None => Ok(None),
        };
        Ok(Kept { file })
    }
}

fn lock(sight: &Mutex<Sight>) -> MutexGuard<'_, Sight> {
    sight.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The URL that was asked for first, as the library read it: without credentials.
fn asked(response: &Response) -> &str {
    response.history().first().map_or(response.url(), |hop| &hop.url).as_str()
}

fn is_refused(status: u16) -> bool {
    status >= 400
}

impl Page {
    /// What came of it.
    pub(crate) fn of(fetched: Fetched<Asked, Kept>) -> Self {
        Self::ended(fetched.key, &fetched.url, fetched.elapsed, fetched.result)
    }

    /// The same, of what was fetched in another way.
    pub(crate) fn ended(asked: Asked, url: &url::Url, elapsed: Duration, result: Result<Kept, Error>) -> Self {
        let page = Self::seen(asked.url.text, std::mem::take(&mut lock(&asked.sight)), elapsed);
        match result {
            Ok(Kept { file: Ok(file) }) => Self { file, ..page.judged() },
            Ok(Kept { file: Err(error) }) => page.failed(failure::words(error.as_ref())),
            Err(error) if error.http().is_some_and(trunkline::Error::is_closed) => Self { fate: Fate::GivenUp, ..page },
            Err(error) => page.failed(failure::of_page(&error, url)),
        }
    }

    /// There was no use in asking for it, or in asking again.
    #[cfg(feature = "frontier")]
    pub(crate) fn refused(asked: Asked, elapsed: Duration, told: String) -> Self {
        Self::seen(asked.url.text, std::mem::take(&mut lock(&asked.sight)), elapsed).failed(told)
    }

    /// What is no URL; where it stands helps to find it.
    pub(crate) fn unusable(url: Url, told: String) -> Self {
        let told = match url.place {
            Some(place) => format!("{place}: {told}"),
            None => told,
        };
        let page = Self::seen(url.text, Sight::default(), Duration::ZERO);
        Self { fate: Fate::Failed, notice: Some(told.clone()), error: Some(told), ..page }
    }

    fn seen(url: String, sight: Sight, elapsed: Duration) -> Self {
        let Sight { status, final_url, reused, bytes, begun: _ } = sight;
        Self {
            url,
            final_url,
            status,
            bytes,
            elapsed,
            reused,
            file: None,
            error: None,
            notice: None,
            fate: Fate::Fetched,
        }
    }

    fn judged(self) -> Self {
        let refused = self.status.filter(|status| is_refused(*status));
        let Some(status) = refused.and_then(|status| http::StatusCode::from_u16(status).ok()) else { return self };
        Self { fate: Fate::Refused, error: Some(format!("status {status}")), ..self }
    }

    fn failed(self, told: String) -> Self {
        let notice = Some(format!("{}: {told}", failure::named(&self.url)));
        Self { fate: Fate::Failed, notice, error: Some(told), ..self }
    }
}

fn seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Microseconds are as fine as anything here is measured.
    serializer.serialize_f64((elapsed.as_secs_f64() * 1e6).round() / 1e6)
}
