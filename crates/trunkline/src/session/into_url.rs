//! Conversions of the caller's text into a URL.

use url::Url;

use crate::error::{Error, Result};

/// A type that becomes the URL of a request: text, or a [`Url`].
pub trait IntoUrl: sealed::Sealed {
    #[doc(hidden)]
    fn text(&self) -> Option<&str> {
        None
    }

    #[doc(hidden)]
    fn into_url(self, base: Option<&Url>) -> Result<Url>;
}

impl IntoUrl for Url {
    fn into_url(self, _: Option<&Url>) -> Result<Url> {
        check(self)
    }
}

impl IntoUrl for &Url {
    fn into_url(self, _: Option<&Url>) -> Result<Url> {
        check(self.clone())
    }
}

impl IntoUrl for &str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }

    fn into_url(self, base: Option<&Url>) -> Result<Url> {
        let parsed = Url::options().base_url(base).parse(self);
        parsed.map_err(|error| unusable(self).because(error)).and_then(check)
    }
}

impl IntoUrl for &String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }

    fn into_url(self, base: Option<&Url>) -> Result<Url> {
        self.as_str().into_url(base)
    }
}

impl IntoUrl for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }

    fn into_url(self, base: Option<&Url>) -> Result<Url> {
        self.as_str().into_url(base)
    }
}

fn check(url: Url) -> Result<Url> {
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(unusable(url.as_str())),
    }
}

/// Names the address without what may be secret in it.
pub(super) fn unusable(text: &str) -> Error {
    let shown = match Url::parse(text) {
        Ok(url) if !url.cannot_be_a_base() => crate::redact::redact_url(&url).to_string(),
        // Without a scheme, `ann:secret@example.com` parses, as an address by the scheme `ann`.
        _ => {
            // Credentials end at the last `@`, whatever else is in them.
            let bare = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
            bare.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect()
        }
    };
    Error::input(format!("{shown:?} is not an http or https URL, such as https://example.com/path"))
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for super::Url {}
    impl Sealed for &super::Url {}
    impl Sealed for &str {}
    impl Sealed for String {}
    impl Sealed for &String {}
}

#[cfg(test)]
mod tests {
    use super::unusable;

    #[test]
    fn what_is_no_address_is_named_without_its_credentials() {
        for (text, shown) in [
            ("ftp://ann:secret@example.com/x?key=secret", "ftp://example.com/x"),
            ("ann:secret@example.com/x", "example.com/x"),
            ("ann:sec/re?t@example.com/x#secret", "example.com/x"),
            ("localhost:8080/x?key=secret", "localhost:8080/x"),
            ("//ann:secret@example.com", "example.com"),
        ] {
            let message = unusable(text).to_string();
            assert!(message.contains(&format!("\"{shown}\"")) && !message.contains("secret"), "{text}: {message}");
        }
    }
}
