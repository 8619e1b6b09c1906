//! The mails that were given up, on the console: what became of each, and a button that sends it
//! again.

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::post;
use serde::Deserialize;
use uuid::Uuid;

use super::figures::in_time;
use crate::outbox::Outbox;
use crate::store::{Backlog, GivenUp};
use crate::web::{Problem, WebState};

/// How many are told apart. There may be any number, most likely for the same reason.
const SHOWN: usize = 50;

/// Where they are on the page.
const PLACE: &str = "/console#given-up";

pub(super) fn router() -> Router<WebState> {
    Router::new().route("/console/mails/again", post(all)).route("/console/mails/{id}/again", post(one))
}

/// What a press of a button means is what was shown beside it, not what has become of that since.
#[derive(Deserialize)]
struct Shown {
    given_up_at: i64,
}

type Pressed = Result<Form<Shown>, FormRejection>;

async fn one(State(outbox): State<Outbox>, Path(id): Path<String>, pressed: Pressed) -> Result<Redirect, Problem> {
    let no_such_mail = |_| Problem::new(StatusCode::NOT_FOUND, "There is no such mail.");
    let (id, shown) = (id.parse().map_err(no_such_mail)?, shown(pressed)?);
    outbox.send_again(id, shown.given_up_at).await.map_err(|error| Problem::internal(&error))?;
    Ok(Redirect::to(PLACE))
}

async fn all(State(outbox): State<Outbox>, pressed: Pressed) -> Result<Redirect, Problem> {
    let shown = shown(pressed)?;
    outbox.send_all_again(shown.given_up_at).await.map_err(|error| Problem::internal(&error))?;
    Ok(Redirect::to(PLACE))
}

fn shown(pressed: Pressed) -> Result<Shown, Problem> {
    let wrong = |rejection: FormRejection| {
        let detail = "The form has one field, given_up_at: a time in milliseconds since 1970, as the console shows it.";
        Problem::new(rejection.status(), detail)
    };
    pressed.map(|Form(shown)| shown).map_err(wrong)
}

/// What the page says of them.
#[derive(Template)]
#[template(path = "given_up.html")]
pub(super) struct Section {
    mails: Vec<Mail>,
    /// How many there are beyond those.
    more: i64,
    backlog: Backlog,
    /// The database did not say.
    unknown: bool,
}

struct Mail {
    id: Uuid,
    address: String,
    /// In UTC (RFC 3339).
    at: String,
    given_up_at: i64,
    reason: String,
}

impl Section {
    pub(super) async fn now(outbox: &Outbox, backlog: Option<Backlog>) -> Self {
        // Whom the database has not told the number, it need not be asked for more.
        let mails = match backlog {
            Some(Backlog { given_up: 0, .. }) => Some(Vec::new()),
            Some(_) => in_time("the mails that were given up cannot be shown", outbox.given_up(SHOWN)).await,
            None => None,
        };
        let (unknown, backlog) = (mails.is_none(), backlog.unwrap_or_default());
        let mails: Vec<_> = mails.unwrap_or_default().into_iter().map(Mail::from).collect();
        let more = backlog.given_up - i64::try_from(mails.len()).unwrap_or(i64::MAX);
        Self { mails, more, backlog, unknown }
    }

    fn is_empty(&self) -> bool {
        self.mails.is_empty() && !self.unknown
    }

    /// Differs when there is something else to show; the page's script knows it by the same
    /// figures.
    fn state(&self) -> String {
        match self.backlog {
            _ if self.unknown => "unknown".to_owned(),
            Backlog { given_up, given_up_at, .. } => format!("{given_up} {}", given_up_at.unwrap_or_default()),
        }
    }
}

impl From<GivenUp> for Mail {
    fn from(mail: GivenUp) -> Self {
        let at = humantime::format_rfc3339_seconds(mail.time()).to_string();
        Self { id: mail.id, address: mail.address, at, given_up_at: mail.at, reason: mail.reason }
    }
}

impl Mail {
    /// The day and the time, without the `T` and the `Z`.
    fn clock(&self) -> String {
        self.at.replace('T', " ").replace('Z', "")
    }
}
