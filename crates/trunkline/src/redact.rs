//! URLs for logs and error messages, without their secrets.

use url::Url;

/// The URL without credentials, query and fragment: safe for logs and error messages.
///
/// Activation links, session identifiers and signed URLs carry their secret in the query. Every
/// error, event and `Debug` of this crate shows URLs in this form.
///
/// ```
/// let url = "https://ann:secret@example.com/activate?token=secret#top".parse()?;
/// assert_eq!(trunkline::redact_url(&url).as_str(), "https://example.com/activate");
/// # Ok::<(), url::ParseError>(())
/// ```
#[must_use]
pub fn redact_url(url: &Url) -> Url {
    let mut url = url.clone();
    // Both setters fail only for URLs that cannot hold credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}
