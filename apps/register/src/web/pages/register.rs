//! Registering: the form, and where its mail goes.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::{FilledForm, Site, Web, assets, see_other, show, show_as};
use crate::accounts::Accounts;
use crate::web::api::{AddressGiven, Registration};
use crate::web::fields::Form;
use crate::web::problem::Problem;

pub(super) fn router() -> Router<Web> {
    Router::new()
        .route("/", get(form))
        .route("/register", post(register))
        .route("/check-mail", get(check_mail))
        .route("/resend", post(resend))
}

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage<'a> {
    site: &'a Site,
    form: FilledForm,
}

#[derive(Template)]
#[template(path = "check_mail.html")]
struct CheckMailPage<'a> {
    site: &'a Site,
    /// Another mail was asked for.
    again: bool,
    form: FilledForm,
}

async fn form(State(site): State<Arc<Site>>) -> Response {
    show(&RegisterPage { site: &site, form: FilledForm::default() })
}

async fn check_mail(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    show(&CheckMailPage { site: &site, again: query.as_deref() == Some("again"), form: FilledForm::default() })
}

async fn register(
    State(accounts): State<Accounts>,
    State(site): State<Arc<Site>>,
    Form { parsed, email }: Form<Registration>,
) -> Response {
    let done = match parsed {
        Ok(Registration { email, password }) => accounts.register(email, password).await.map_err(Problem::from),
        Err(invalid) => Err(invalid),
    };
    match done {
        Ok(()) => see_other(&site, "/check-mail"),
        Err(problem) => show_as(&problem, &RegisterPage { site: &site, form: FilledForm::refused(email, &problem) }),
    }
}

async fn resend(
    State(accounts): State<Accounts>,
    State(site): State<Arc<Site>>,
    Form { parsed, email }: Form<AddressGiven>,
) -> Response {
    let done = match parsed {
        Ok(AddressGiven { email }) => accounts.resend(email).await.map_err(Problem::from),
        Err(invalid) => Err(invalid),
    };
    match done {
        Ok(()) => see_other(&site, "/check-mail?again"),
        Err(problem) => {
            show_as(&problem, &CheckMailPage { site: &site, again: false, form: FilledForm::refused(email, &problem) })
        }
    }
}
