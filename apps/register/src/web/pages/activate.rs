//! Activating: what the link in the mail leads to. To look at it does nothing, as mail scanners do;
//! the button activates.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::{FilledForm, Site, Web, assets, show, show_as};
use crate::accounts::{Accounts, Activation, Token};
use crate::web::api::TokenGiven;
use crate::web::fields::Form;
use crate::web::problem::Problem;

pub(super) fn router() -> Router<Web> {
    Router::new().route("/activate", get(button).post(activate))
}

#[derive(Template)]
#[template(path = "activate.html")]
struct ActivatePage<'a> {
    site: &'a Site,
    token: &'a str,
}

#[derive(Template)]
#[template(path = "activated.html")]
struct ActivatedPage<'a> {
    site: &'a Site,
}

#[derive(Template)]
#[template(path = "not_activated.html")]
struct NotActivatedPage<'a> {
    site: &'a Site,
    title: &'a str,
    reason: &'a str,
    form: FilledForm,
}

#[derive(Deserialize)]
struct Link {
    token: String,
}

async fn button(State(site): State<Arc<Site>>, link: Result<Query<Link>, QueryRejection>) -> Response {
    match link {
        Ok(Query(Link { token })) if Token::parse(&token).is_ok() => show(&ActivatePage { site: &site, token: &token }),
        _ => broken(&site),
    }
}

async fn activate(
    State(accounts): State<Accounts>,
    State(site): State<Arc<Site>>,
    Form { parsed, .. }: Form<TokenGiven>,
) -> Response {
    let Ok(TokenGiven { token }) = parsed else { return broken(&site) };
    match accounts.activate(&token).await {
        Ok(Activation::Done) => show(&ActivatedPage { site: &site }),
        Ok(Activation::Gone) => failed(
            &site,
            StatusCode::GONE,
            "This link no longer works",
            "It was used before, or it is too old. If your account is not active yet, ask for another mail.",
        ),
        Ok(Activation::Unknown) => failed(
            &site,
            StatusCode::NOT_FOUND,
            "We do not know this link",
            "Perhaps it was changed on its way. Follow the one in the mail again, or ask for another mail.",
        ),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn broken(site: &Site) -> Response {
    failed(
        site,
        StatusCode::BAD_REQUEST,
        "This link is incomplete",
        "Copy it from the mail again, from its beginning to its end, or ask for another mail.",
    )
}

fn failed(site: &Site, status: StatusCode, title: &str, reason: &str) -> Response {
    let page = NotActivatedPage { site, title, reason, form: FilledForm::default() };
    show_as(&Problem::new(status, reason), &page)
}
