//! Error messages of this command: causes in one line, with the names of its options.

use std::borrow::Cow;
use std::error::Error;
use std::iter::successors;

use trunkline::redact_url;
use url::Url;

/// The error code of the system for too many open files.
const TOO_MANY_FILES: i32 = 24;

/// The error and its causes in one line.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    chain(error).map(text_of).collect::<Vec<_>>().join(": ")
}

/// Reason for the failure of a page, without the URL of the page, which the line names already. The
/// URL of a redirect's target is named.
pub(crate) fn of_page(error: &trunkline_scrape::Error, requested: &Url) -> String {
    let option = error.http().map(option_of).unwrap_or_default();
    let causes = chain(error).skip(1).map(text_of);
    let text =
        [error.message() + option + &attempts_of(error)].into_iter().chain(causes).collect::<Vec<_>>().join(": ");
    match error.failed_url() {
        Some(at) if at != redact_url(requested) => format!("at {at}: {text}"),
        _ => text,
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| (*error).source())
}

/// The text of one error of a chain. Errors of the library name the option of this command instead
/// of the library's setting.
fn text_of(error: &(dyn Error + 'static)) -> String {
    let page = error.downcast_ref::<trunkline_scrape::Error>();
    if let Some(http) = error.downcast_ref().or_else(|| page?.http()) {
        let request = http.method().zip(http.url()).map(|(method, url)| format!("{method} {url}: "));
        let attempts = page.map(attempts_of).unwrap_or_default();
        return request.unwrap_or_default() + &http.message() + option_of(http) + &attempts;
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
        Some(TOO_MANY_FILES) => "too many open files: use a smaller --limit".to_owned(),
        _ => error.to_string(),
    }
}

/// The number of attempts, if there were several.
fn attempts_of(error: &trunkline_scrape::Error) -> String {
    match error.attempts() {
        0 | 1 => String::new(),
        several => format!(" ({several} attempts)"),
    }
}

/// The option that sets the limit which the request exceeded.
fn option_of(error: &trunkline::Error) -> &'static str {
    match error.setting() {
        Some("total" | "read") => " (--timeout)",
        _ => "",
    }
}

/// The URL as given, without credentials. Unlike in [`redact_url`], the query stays: the lines of
/// the output tell pages apart by it.
pub(crate) fn without_credentials(url: &str) -> Cow<'_, str> {
    let Some((_, rest)) = url.rsplit_once('@') else { return Cow::Borrowed(url) };
    match Url::parse(url) {
        Ok(parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let mut shown = redact_url(&parsed);
            shown.set_query(parsed.query());
            shown.set_fragment(parsed.fragment());
            Cow::Owned(shown.into())
        }
        Ok(parsed) if parsed.has_host() => Cow::Borrowed(url),
        // Credentials end at the last `@`.
        _ => Cow::Borrowed(rest),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_follow_the_error() {
        let error = anyhow!("refused").context("no connection").context("the file");
        assert_eq!(describe(error.as_ref()), "the file: no connection: refused");
    }

    #[tokio::test]
    async fn settings_have_the_names_of_options() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let timeouts = trunkline::Timeouts::new().total(std::time::Duration::from_secs(1));
        let error = trunkline::Session::new().get(&*url).timeouts(timeouts).await.unwrap_err();
        let text =
            format!("GET {url}: timed out while waiting for the response: the request's deadline passed (--timeout)");
        assert_eq!(describe(&error), text);
        let refused = trunkline::Session::builder().base_url("nowhere").build().unwrap_err();
        assert_eq!(describe(&refused), refused.message() + ": relative URL without a base");
        let full = std::io::Error::from_raw_os_error(24);
        assert_eq!(describe(&full), "too many open files: use a smaller --limit");
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(without_credentials("http://a/b c?d=e#f"), "http://a/b c?d=e#f");
        assert_eq!(without_credentials("http://ann:s3cret@a/?d=e"), "http://a/?d=e");
        assert_eq!(without_credentials("http://ann@a"), "http://a/");
        assert_eq!(without_credentials("http://a/?to=@b"), "http://a/?to=@b");
        for unusable in ["ann:s3cret@a/", "http://ann:s3cret@["] {
            assert!(!without_credentials(unusable).contains("s3cret"));
        }
    }
}
