//! A `trunkline::Session` as a resource: built, probed on request, and closed at the end.

use std::mem;
use std::time::Duration;

use trunkline::{Error, Session, SessionBuilder};

use crate::resource::Resource;

/// A session that is opened with the application and closed, awaited, after its last request.
///
/// ```no_run
/// # async fn example(app: &trunkline_lifespan::App) -> trunkline_lifespan::Result<()> {
/// use trunkline::{Pool, Session};
///
/// let session = trunkline_lifespan::session(Session::builder().base_url("https://api.example.com"));
/// let session: Session = app.open("session", session.probe("health")).await?;
/// # drop(session); Ok(())
/// # }
/// ```
pub fn session(builder: SessionBuilder) -> SessionResource {
    SessionResource { builder, probe: None, grace: Duration::from_secs(5) }
}

/// See [`session`].
#[derive(Debug)]
#[must_use = "a resource does nothing until it is opened"]
pub struct SessionResource {
    builder: SessionBuilder,
    probe: Option<String>,
    grace: Duration,
}

impl SessionResource {
    /// A URL that must answer a `GET` with success before the application starts. By default none.
    pub fn probe(mut self, url: impl Into<String>) -> Self {
        self.probe = Some(url.into());
        self
    }

    /// The time that requests in flight have to finish at the end. By default 5 s: half of the default
    /// limit of a release.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl Resource for SessionResource {
    type Handle = Session;
    type Error = Error;

    async fn acquire(&mut self) -> Result<Session, Error> {
        mem::replace(&mut self.builder, Session::builder()).build()
    }

    async fn check(&mut self, session: &Session) -> Result<(), Error> {
        if let Some(url) = &self.probe {
            session.get(url).await?.error_for_status()?;
        }
        Ok(())
    }

    async fn release(self, session: Session) -> Result<(), Error> {
        let report = session.close_within(self.grace).await;
        if report.aborted > 0 {
            tracing::warn!(target: "trunkline::lifespan", "session closed: {report}");
        } else {
            tracing::info!(target: "trunkline::lifespan", "session closed: {report}");
        }
        Ok(())
    }
}
