//! One page: its request, its body, and its line of output.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use trunkline::Response;
use trunkline_scrape::{Error, Fetched};

use crate::bodies::BodyDirectory;
use crate::error_text;
use crate::input::InputUrl;

/// Result of a URL: a line of the JSON output.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    /// URL as given.
    pub(crate) url: String,
    /// URL that answered, after redirects.
    pub(crate) final_url: Option<String>,
    pub(crate) status: Option<u16>,
    /// Decoded bytes of the body that arrived.
    pub(crate) bytes: u64,
    /// Time of the last attempt.
    #[serde(serialize_with = "seconds")]
    pub(crate) elapsed: Duration,
    /// True if the connection had served another request. After redirects, this is the connection
    /// of the last request.
    pub(crate) reused: Option<bool>,
    /// Name of the file in the directory of bodies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    pub(crate) error: Option<String>,
    /// Line for standard error.
    #[serde(skip)]
    pub(crate) notice: Option<String>,
    #[serde(skip)]
    pub(crate) outcome: PageOutcome,
}

/// Outcome of a page in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    Fetched,
    /// The page arrived completely, with a status of 400 or above.
    Refused,
    /// The page did not arrive completely.
    Failed,
    /// The program ended before the page did.
    GivenUp,
}

impl PageOutcome {
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::Failed)
    }
}

/// A URL to fetch, with the progress of its attempts.
pub(crate) struct PageRequest {
    url: InputUrl,
    progress: Arc<Mutex<AttemptProgress>>,
}

/// Progress of the last attempt, which the line of a failed page reports.
#[derive(Default)]
struct AttemptProgress {
    begun: bool,
    status: Option<u16>,
    final_url: Option<String>,
    reused: Option<bool>,
    bytes: u64,
}

/// Reader of the response to one URL.
#[derive(Clone)]
pub(crate) struct BodyReader {
    bodies: Option<Arc<BodyDirectory>>,
    ordinal: u64,
    progress: Arc<Mutex<AttemptProgress>>,
}

/// Body that was read to its end.
pub(crate) struct SavedBody {
    /// Name of the file, with `--bodies`. An error of the disk is part of the result, because
    /// another attempt would not solve it.
    file: anyhow::Result<Option<String>>,
}

impl PageRequest {
    pub(crate) fn new(url: InputUrl) -> Self {
        Self { url, progress: Arc::default() }
    }

    /// Begins an attempt. True for the first one.
    pub(crate) fn begin(&self) -> bool {
        let first = !lock(&self.progress).begun;
        *lock(&self.progress) = AttemptProgress { begun: true, ..AttemptProgress::default() };
        first
    }

    pub(crate) fn reader(&self, bodies: Option<Arc<BodyDirectory>>) -> BodyReader {
        BodyReader { bodies, ordinal: self.url.ordinal, progress: self.progress.clone() }
    }
}

impl BodyReader {
    /// Reads the body to its end. Memory holds at most the next block of its file.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no partial file behind.
    pub(crate) async fn read(self, mut response: Response) -> trunkline::Result<SavedBody> {
        let refused = is_refused(response.status().as_u16());
        *lock(&self.progress) = AttemptProgress {
            begun: true,
            status: Some(response.status().as_u16()),
            final_url: Some(response.url().as_str().to_owned()),
            reused: Some(response.connection().reused),
            bytes: 0,
        };
        let bodies = self.bodies.filter(|_| !refused);
        let mut file = bodies.map(|bodies| bodies.begin(self.ordinal, requested_url(&response)));
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len() as u64;
            lock(&self.progress).bytes = bytes;
            if let Some(file) = &mut file
                && let Err(error) = file.write(&chunk).await
            {
                return Ok(SavedBody { file: Err(error) });
            }
        }
        let file = match file {
            Some(file) => file.finish().await.map(Some),
            None => Ok(None),
        };
        Ok(SavedBody { file })
    }
}

fn lock(progress: &Mutex<AttemptProgress>) -> MutexGuard<'_, AttemptProgress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// URL of the first request, as the library parsed it: without credentials.
fn requested_url(response: &Response) -> &str {
    response.history().first().map_or(response.url(), |hop| &hop.url).as_str()
}

fn is_refused(status: u16) -> bool {
    status >= 400
}

impl Page {
    pub(crate) fn from_fetched(fetched: Fetched<PageRequest, SavedBody>) -> Self {
        Self::from_result(fetched.key, &fetched.url, fetched.elapsed, fetched.result)
    }

    pub(crate) fn from_result(
        request: PageRequest,
        url: &url::Url,
        elapsed: Duration,
        result: Result<SavedBody, Error>,
    ) -> Self {
        let page = Self::from_request(request, elapsed);
        match result {
            Ok(SavedBody { file: Ok(file) }) => Self { file, ..page.with_status_checked() },
            Ok(SavedBody { file: Err(error) }) => page.failed(error_text::describe(error.as_ref())),
            Err(error) if error.http().is_some_and(trunkline::Error::is_closed) => {
                Self { outcome: PageOutcome::GivenUp, ..page }
            }
            Err(error) => page.failed(error_text::of_page(&error, url)),
        }
    }

    /// Failed page that was not requested, or is not requested again.
    #[cfg(feature = "frontier")]
    pub(crate) fn refused(request: PageRequest, elapsed: Duration, reason: String) -> Self {
        Self::from_request(request, elapsed).failed(reason)
    }

    /// Failed page of a text that is not a URL. The reason names its line of the input.
    pub(crate) fn invalid_url(url: InputUrl, reason: String) -> Self {
        let reason = match url.location {
            Some(location) => format!("{location}: {reason}"),
            None => reason,
        };
        let page = Self::new(url.text, AttemptProgress::default(), Duration::ZERO);
        Self { outcome: PageOutcome::Failed, notice: Some(reason.clone()), error: Some(reason), ..page }
    }

    fn from_request(request: PageRequest, elapsed: Duration) -> Self {
        let progress = std::mem::take(&mut *lock(&request.progress));
        Self::new(request.url.text, progress, elapsed)
    }

    fn new(url: String, progress: AttemptProgress, elapsed: Duration) -> Self {
        let AttemptProgress { status, final_url, reused, bytes, begun: _ } = progress;
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
            outcome: PageOutcome::Fetched,
        }
    }

    fn with_status_checked(self) -> Self {
        let refused = self.status.filter(|status| is_refused(*status));
        let Some(status) = refused.and_then(|status| http::StatusCode::from_u16(status).ok()) else { return self };
        Self { outcome: PageOutcome::Refused, error: Some(format!("status {status}")), ..self }
    }

    fn failed(self, reason: String) -> Self {
        let notice = Some(format!("{}: {reason}", error_text::without_credentials(&self.url)));
        Self { outcome: PageOutcome::Failed, notice, error: Some(reason), ..self }
    }
}

fn seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Times are measured in microseconds at best.
    serializer.serialize_f64((elapsed.as_secs_f64() * 1e6).round() / 1e6)
}
