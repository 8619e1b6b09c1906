//! Headers that a caller gives, and those made of credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION};

use crate::error::{BoxError, Error, Result};

/// A header given by the caller; what may be a secret is marked so that nothing prints it.
pub(super) fn header<K, V>(name: K, value: V) -> Result<(HeaderName, HeaderValue)>
where
    K: TryInto<HeaderName>,
    K::Error: Into<BoxError>,
    V: TryInto<HeaderValue>,
    V::Error: Into<BoxError>,
{
    let unusable =
        |error: BoxError| Error::input("a header's name is made of letters, digits and -_.!#$%&'*+^`|~").because(error);
    let name = name.try_into().map_err(|error| unusable(error.into()))?;
    let mut value = value.try_into().map_err(|error| {
        // The value itself may be a secret.
        Error::input(format!("the value of the header {name} has a character that a header cannot hold")).because(error)
    })?;
    if is_secret(&name) {
        value.set_sensitive(true);
    }
    Ok((name, value))
}

/// Nothing prints the value of a header that is.
pub(super) fn is_secret(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name)
}

/// `Basic` credentials (RFC 7617).
pub(super) fn basic(username: &str, password: &str) -> HeaderValue {
    let credentials = STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
        .expect("base64 is made of letters that a header can hold");
    value.set_sensitive(true);
    value
}

/// The `Content-Type` of a body with this boundary.
pub(super) fn multipart_type(given: Option<&HeaderValue>, boundary: &str) -> Result<HeaderValue> {
    let given = given.map_or(Ok("multipart/form-data"), HeaderValue::to_str).unwrap_or_default();
    let lower = given.to_ascii_lowercase();
    if !lower.starts_with("multipart/") || lower.contains("boundary=") {
        return Err(Error::input(format!(
            "the content-type {given:?} does not describe a multipart body with a boundary of its own: leave it out, or name a \
             multipart/… type without a boundary"
        )));
    }
    HeaderValue::try_from(format!("{given}; boundary={boundary}"))
        .map_err(|error| Error::input("the content-type of a multipart body").because(error))
}

/// Decodes percent-encoding.
pub(super) fn percent_decoded(text: &str) -> String {
    // A form reads `+` and `&` in its own way, and the rest alike.
    let as_form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(as_form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
