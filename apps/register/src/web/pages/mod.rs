//! The pages, for people. They work without scripts; with scripts the forms talk to the API.
//!
//! The forms carry no session and no cookie: sending one does no more than any client can do from
//! anywhere, so there is nothing that another site could borrow by having a visitor send it. Forms
//! that browsers say come from elsewhere are refused all the same.

mod activate;
mod dev_mail;
mod filled_form;
mod register;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};

use self::filled_form::FilledForm;
use super::problem::Problem;
use super::{Site, Web, assets, host, own_forms};

pub(super) fn router(web: &Web) -> Router<Web> {
    let pages = Router::new().merge(register::router()).merge(activate::router());
    let pages = pages.route_layer(own_forms(Some(&web.site.origin)));
    match web.app.mailbox.clone() {
        Some(mailbox) => {
            let own = from_fn_with_state(web.site.name.clone(), host::require_own);
            pages.merge(dev_mail::router(mailbox).route_layer(own))
        }
        None => pages,
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

/// The header `Allow` has the allowed methods.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address is not for this method. The header Allow has those that are.",
    )
}

/// Shows a problem as a page to those who take one.
pub(super) async fn for_people(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let wanted = wants_page(&request);
    let response = next.run(request).await;
    let problem = response.extensions().get::<Problem>().filter(|_| wanted);
    match problem.map(|problem| ProblemPage { site: &site, problem }.render()) {
        Some(Ok(html)) => {
            let (mut parts, _) = response.into_parts();
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            Response::from_parts(parts, html.into())
        }
        _ => response,
    }
}

/// The API is never answered with pages; else, who does not say what they take gets one.
fn wants_page(request: &Request) -> bool {
    !request.uri().path().starts_with("/api/") && takes_html(request.headers())
}

fn takes_html(headers: &HeaderMap) -> bool {
    let given: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let ranges = given.iter().flat_map(|value| value.split(',')).map(|range| range.trim().to_ascii_lowercase());
    let ranges: Vec<_> = ranges.collect();
    let any = |wanted: &[&str]| ranges.iter().any(|range| wanted.iter().any(|wanted| range.starts_with(wanted)));
    let programs = any(&["application/json", "application/problem+json"]);
    given.is_empty() || any(&["text/html"]) || any(&["*/*", "text/*"]) && !programs
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    site: &'a Site,
    problem: &'a Problem,
}

/// A page.
fn show(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => Problem::internal(&error.into()).into_response(),
    }
}

/// A page that says what the problem is, with its status.
fn show_as(problem: &Problem, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => problem.as_page(html),
        Err(error) => Problem::internal(&error.into()).into_response(),
    }
}

/// To be fetched with GET (RFC 9110, 15.4.4), so that loading it again sends nothing again.
fn see_other(site: &Site, path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, format!("{}{path}", site.base))]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_accepts_html_gets_a_page() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("*/*", true),
            ("TEXT/HTML", true),
            ("application/json", false),
            ("application/json, text/plain, */*", false),
            ("application/problem+json", false),
            ("image/avif", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(takes_html(&headers), page, "{accept}");
        }
        assert!(takes_html(&HeaderMap::new()));
    }
}
