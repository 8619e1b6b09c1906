//! Message of a page about a failed login.

use crate::document::Document;

/// Selectors of such messages, the likeliest first.
const PLACES: [&str; 14] = [
    ".errornote",
    "[role=alert]",
    ".alert-danger, .alert-error",
    ".message.error, .messages .error",
    ".error-message, .errormessage",
    ".flash-error, .flash.error",
    ".errorlist",
    ".error",
    ".errors",
    "#error, #errors, #message",
    ".alert",
    ".flash, .flashes",
    ".invalid-feedback",
    ".message",
];

const LONGEST: usize = 300;

/// The first such message, unless it says one of these secrets.
pub(super) fn of(document: &Document, secrets: &[String]) -> Option<String> {
    let found = PLACES.iter().filter_map(|selector| document.text_of(selector).ok().flatten());
    let printable = found.map(|text| text.chars().filter(|letter| !letter.is_control()).collect::<String>());
    let text = printable.into_iter().find(|text| !text.is_empty())?;
    if secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret)) {
        return None;
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}
