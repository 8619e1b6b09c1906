//! The development mailbox: what was sent, as its recipients would see it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::{Site, Web, assets, show};
use crate::dev_mail::{Mailbox, Received};
use crate::web::problem::Problem;

/// A mail brings its own styles, in its text. It runs nothing, loads nothing, and its links lead
/// out of the frame.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation";

pub(super) fn router(mailbox: Mailbox) -> Router<Web> {
    let (one, html) = (mailbox.clone(), mailbox.clone());
    Router::new()
        .route("/dev/mail", get(move |site| list(site, mailbox)))
        .route("/dev/mail/{id}", get(move |site, id| mail(site, id, one)))
        .route("/dev/mail/{id}/html", get(move |id| mail_as_html(id, html)))
}

#[derive(Template)]
#[template(path = "dev_mails.html")]
struct MailsPage<'a> {
    site: &'a Site,
    mails: Vec<MailView>,
}

#[derive(Template)]
#[template(path = "dev_mail.html")]
struct MailPage<'a> {
    site: &'a Site,
    mail: MailView,
}

async fn list(State(site): State<Arc<Site>>, mailbox: Mailbox) -> Response {
    let mails = mailbox.newest_first().iter().map(|mail| MailView::new(mail)).collect();
    show(&MailsPage { site: &site, mails })
}

async fn mail(State(site): State<Arc<Site>>, Path(id): Path<String>, mailbox: Mailbox) -> Response {
    match mailbox.get(&id) {
        Some(mail) => show(&MailPage { site: &site, mail: MailView::new(&mail) }),
        None => gone().into_response(),
    }
}

async fn mail_as_html(Path(id): Path<String>, mailbox: Mailbox) -> Response {
    match mailbox.get(&id).and_then(|mail| mail.html.clone()) {
        Some(html) => {
            let html = html.replacen("<head>", "<head><base target=\"_top\">", 1);
            ([(CONTENT_SECURITY_POLICY, MAIL_POLICY)], Html(html)).into_response()
        }
        None => gone().into_response(),
    }
}

fn gone() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such mail, or no longer.")
}

/// A mail as the page shows it.
struct MailView {
    id: String,
    subject: String,
    from: String,
    to: String,
    /// In UTC (RFC 3339).
    received: String,
    /// Its tags and headers.
    marks: Vec<(String, String)>,
    text: String,
    html: bool,
}

impl MailView {
    fn new(mail: &Received) -> Self {
        Self {
            id: mail.id.clone(),
            subject: mail.subject.clone(),
            from: mail.from.clone(),
            to: mail.to.join(", "),
            received: humantime::format_rfc3339_seconds(mail.received_at).to_string(),
            marks: mail.headers.iter().chain(&mail.tags).cloned().collect(),
            text: mail.text.clone().unwrap_or_default(),
            html: mail.html.is_some(),
        }
    }

    /// The time of the day.
    fn clock(&self) -> &str {
        self.received.get(11..19).unwrap_or_default()
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        pieces(&self.text)
    }
}

/// A stretch of text: an address on the web, or not.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    text: &'a str,
    link: bool,
}

/// Cuts a text so that each address on the web is a piece of its own.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    let scheme = |text: &str| ["https://", "http://"].iter().filter_map(|scheme| text.find(scheme)).min();
    while let Some(start) = scheme(rest) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|char: char| char.is_whitespace() || "<>\"".contains(char)).unwrap_or(from.len());
        // Punctuation at the end of a sentence is not part of the link.
        let end = from[..end].trim_end_matches(['.', ',', ')', ';', '!', '?']).len();
        let (link, after) = from.split_at(end);
        pieces.push(Piece { text: before, link: false });
        pieces.push(Piece { text: link, link: true });
        rest = after;
    }
    pieces.push(Piece { text: rest, link: false });
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_pieces_of_their_own() {
        for (text, expected) in [
            ("", &[][..]),
            ("no link", &[("no link", false)]),
            ("see https://a.b/c?d=e.", &[("see ", false), ("https://a.b/c?d=e", true), (".", false)]),
            ("http://a\n\nhttps://b", &[("http://a", true), ("\n\n", false), ("https://b", true)]),
            ("<https://ä.b/>", &[("<", false), ("https://ä.b/", true), (">", false)]),
            ("http://", &[("http://", true)]),
        ] {
            let expected: Vec<_> = expected.iter().map(|&(text, link)| Piece { text, link }).collect();
            assert_eq!(pieces(text), expected, "{text:?}");
        }
    }
}
