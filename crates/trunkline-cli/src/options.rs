//! Options shared by `fetch` and `login`: the session, its headers, and URL arguments.

use std::time::Duration;

use anyhow::{Context as _, Error, anyhow, bail, ensure};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use trunkline::{Session, SessionBuilder, Timeouts};

use crate::cookies::CookieFile;
use crate::url_argument;

/// Session with this command's user agent, the cookies, and a time limit for each request.
pub(crate) fn session_builder(timeout: Duration, cookies: Option<&CookieFile>) -> SessionBuilder {
    // A page may be silent for its whole time limit.
    let timeouts = Timeouts::new().total(timeout).read(timeout);
    let session =
        Session::builder().user_agent(concat!("trunkline-cli/", env!("CARGO_PKG_VERSION"))).timeouts(timeouts);
    match cookies {
        Some(file) => session.cookie_jar(file.jar.clone()),
        None => session,
    }
}

/// Name of the robot for robots.txt: the first word of the `User-Agent`.
pub(crate) fn robot(headers: &HeaderMap) -> &str {
    let given = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    given.and_then(|agent| agent.split(['/', ' ']).next()).filter(|name| !name.is_empty()).unwrap_or("trunkline-cli")
}

/// Checks a URL argument.
///
/// # Errors
///
/// The text is not a URL. The message names a likely mistake.
pub(crate) fn check_url(text: &str) -> anyhow::Result<()> {
    ensure!(text != "-", "\"-\" is not a URL: to read URLs from standard input, use -i -");
    url_argument::parse(text).map(drop).map_err(|error| match is_file(text) {
        true => anyhow!("{text:?} is not an http or https URL, it is a file: did you mean -i {}?", text.escape_debug()),
        false => Error::msg(error),
    })
}

/// True for a path that can be read, such as a file or a pipe.
fn is_file(text: &str) -> bool {
    std::fs::metadata(text).is_ok_and(|metadata| !metadata.is_dir())
}

/// Parses the headers of `-H`. A name may occur more than once.
///
/// # Errors
///
/// A text is not a header.
pub(crate) fn headers(texts: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for text in texts {
        let (name, value) = header(text)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Parses a header. The value may be a secret, so no message contains it.
fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    const ADVICE: &str = "write it as 'Name: value', such as 'Accept-Language: en'";
    // Without a colon, the value may begin after a space.
    let start = text.split([' ', '\t', ':']).next().unwrap_or_default();
    let Some((name, value)) = text.split_once(':') else { bail!("the header {start:?} has no colon: {ADVICE}") };
    let Ok(parsed) = name.trim().parse::<HeaderName>() else {
        bail!("what stands before the colon of {start:?} is not a name: {ADVICE}")
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
    fn an_invalid_header_is_named_without_its_value() {
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
