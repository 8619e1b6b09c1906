//! The session of either command, and what goes with each of its requests.

use std::time::Duration;

use anyhow::{Context as _, Error, anyhow, bail, ensure};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use trunkline::{Session, SessionBuilder, Timeouts};

use crate::cookies::CookieFile;
use crate::target;

/// With this command's name, these cookies and that time for each request.
pub(crate) fn builder(timeout: Duration, cookies: Option<&CookieFile>) -> SessionBuilder {
    // A page that is allowed so long may be silent for as long.
    let timeouts = Timeouts::new().total(timeout).read(timeout);
    let session =
        Session::builder().user_agent(concat!("trunkline-cli/", env!("CARGO_PKG_VERSION"))).timeouts(timeouts);
    match cookies {
        Some(file) => session.cookie_jar(file.jar.clone()),
        None => session,
    }
}

/// The name that robots.txt is looked through for: what the `User-Agent` begins with.
pub(crate) fn robot(headers: &HeaderMap) -> &str {
    let given = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    given.and_then(|agent| agent.split(['/', ' ']).next()).filter(|name| !name.is_empty()).unwrap_or("trunkline-cli")
}

/// An argument that is to be fetched.
pub(crate) fn check_url(text: &str) -> anyhow::Result<()> {
    ensure!(text != "-", "\"-\" is not a URL: to read URLs from standard input, use -i -");
    target::parse(text).map(drop).map_err(|error| match is_file(text) {
        true => anyhow!("{text:?} is not an http or https URL, it is a file: did you mean -i {}?", text.escape_debug()),
        false => Error::msg(error),
    })
}

/// Or what can be read as one, such as a pipe.
fn is_file(text: &str) -> bool {
    std::fs::metadata(text).is_ok_and(|there| !there.is_dir())
}

/// For every request; a name may come more than once.
pub(crate) fn headers(texts: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for text in texts {
        let (name, value) = header(text)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The value may be a secret and is in no message.
fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    const WANTED: &str = "write it as 'Name: value', such as 'Accept-Language: en'";
    // Behind a space the value may have begun, its colon forgotten.
    let start = text.split([' ', '\t', ':']).next().unwrap_or_default();
    let Some((name, value)) = text.split_once(':') else { bail!("the header {start:?} has no colon: {WANTED}") };
    let Ok(parsed) = name.trim().parse::<HeaderName>() else {
        bail!("what stands before the colon of {start:?} is not a name: {WANTED}")
    };
    ensure!(
        parsed != CONTENT_LENGTH && parsed != TRANSFER_ENCODING,
        "the header {parsed} describes a body, which -H is not for: leave it out"
    );
    let value = value.trim_matches([' ', '\t']).parse::<HeaderValue>();
    let mut value = value.with_context(|| {
        format!("the value of the header {parsed} has a line break or another control character in it")
    })?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_a_colon_and_a_value() {
        let (name, value) = header("X-Two:  a: b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-two", "a: b"));
        assert_eq!(header("X-Empty:").unwrap().1, "");
        assert_eq!(header("X-Name: Zoë").unwrap().1, "Zoë");
    }

    #[test]
    fn an_unusable_header_is_named_without_its_value() {
        for text in [
            "Authorization se-cret",
            "Authorization se-cret:x",
            "Two words: se-cret",
            ": se-cret",
            "X-Break: se-cret\r\nX: y",
            "Content-Length: 5",
            "",
        ] {
            let message = format!("{:#}", header(text).unwrap_err());
            assert!(!message.contains("se-cret"), "{message}");
        }
        assert!(header("Authorization se-cret").unwrap_err().to_string().contains("\"Authorization\" has no colon"));
    }
}
