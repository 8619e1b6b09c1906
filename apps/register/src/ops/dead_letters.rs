//! Dead letters on the console: recipient, time and reason of each, and a button to send it again.

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::post;
use serde::Deserialize;
use uuid::Uuid;

use super::snapshot::in_time;
use crate::outbox::Outbox;
use crate::store::{Backlog, DeadLetter};
use crate::web::{Problem, WebState};

/// Maximum number of rows. Any further dead letters are only counted.
const ROWS: usize = 50;

/// Redirect target: the section of the console.
const SECTION_PATH: &str = "/console#given-up";

pub(super) fn router() -> Router<WebState> {
    Router::new().route("/console/mails/again", post(all)).route("/console/mails/{id}/again", post(one))
}

/// Form of the button. The time identifies the refusal that the operator saw, so that a later one
/// is not affected.
#[derive(Deserialize)]
struct ResendForm {
    given_up_at: i64,
}

type SubmittedForm = Result<Form<ResendForm>, FormRejection>;

async fn one(
    State(outbox): State<Outbox>,
    Path(id): Path<String>,
    submitted: SubmittedForm,
) -> Result<Redirect, Problem> {
    let no_such_mail = |_| Problem::new(StatusCode::NOT_FOUND, "There is no such mail.");
    let (id, form) = (id.parse().map_err(no_such_mail)?, resend_form(submitted)?);
    outbox.send_again(id, form.given_up_at).await.map_err(|error| Problem::internal(&error))?;
    Ok(Redirect::to(SECTION_PATH))
}

async fn all(State(outbox): State<Outbox>, submitted: SubmittedForm) -> Result<Redirect, Problem> {
    let form = resend_form(submitted)?;
    outbox.send_all_again(form.given_up_at).await.map_err(|error| Problem::internal(&error))?;
    Ok(Redirect::to(SECTION_PATH))
}

fn resend_form(submitted: SubmittedForm) -> Result<ResendForm, Problem> {
    let wrong = |rejection: FormRejection| {
        let detail = "The form has one field, given_up_at: a time in milliseconds since 1970, as the console shows it.";
        Problem::new(rejection.status(), detail)
    };
    submitted.map(|Form(form)| form).map_err(wrong)
}

/// Section of the console.
#[derive(Template)]
#[template(path = "dead_letters.html")]
pub(super) struct DeadLetterSection {
    mails: Vec<DeadLetterRow>,
    /// Number of dead letters beyond the rows.
    more: i64,
    backlog: Backlog,
    /// True if the database did not answer.
    unknown: bool,
}

struct DeadLetterRow {
    id: Uuid,
    address: String,
    /// In UTC (RFC 3339).
    at: String,
    given_up_at: i64,
    reason: String,
}

impl DeadLetterSection {
    pub(super) async fn now(outbox: &Outbox, backlog: Option<Backlog>) -> Self {
        // No second query if the first one failed.
        let mails = match backlog {
            Some(Backlog { given_up: 0, .. }) => Some(Vec::new()),
            Some(_) => in_time("the mails that were given up cannot be shown", outbox.dead_letters(ROWS)).await,
            None => None,
        };
        let (unknown, backlog) = (mails.is_none(), backlog.unwrap_or_default());
        let mails: Vec<_> = mails.unwrap_or_default().into_iter().map(DeadLetterRow::from).collect();
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

impl From<DeadLetter> for DeadLetterRow {
    fn from(mail: DeadLetter) -> Self {
        let at = humantime::format_rfc3339_seconds(mail.time()).to_string();
        Self { id: mail.id, address: mail.address, at, given_up_at: mail.at, reason: mail.reason }
    }
}

impl DeadLetterRow {
    /// The day and the time, without the `T` and the `Z`.
    fn clock(&self) -> String {
        self.at.replace('T', " ").replace('Z', "")
    }
}
