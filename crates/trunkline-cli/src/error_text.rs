//! Error messages of this command: causes in one line, with the names of its options.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::iter::successors;

use trunkline::redact_url;
use url::Url;

/// Names of the library's settings, and the options of this command for them.
const REPLACEMENTS: [(&str, &str); 4] = [
    ("(timeout `total`)", "(--timeout)"),
    ("(timeout `read`)", "(--timeout)"),
    (" (max_redirects)", ""),
    ("unusable value: ", ""),
];

/// Error number of a process that has too many open files.
const EMFILE: i32 = 24;

/// The error and its causes in one line. A cause that its error quotes appears once.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    join(message(error), error.source())
}

/// Reason for the failure of a page, without the URL of the page, which the line names already. The
/// URL of a redirect's target is named.
pub(crate) fn of_page(error: &trunkline_scrape::Error, requested: &Url) -> String {
    let reason = join(error.message(), error.source());
    match error.failed_url() {
        Some(failed) if failed != redact_url(requested) => format!("at {failed}: {reason}"),
        _ => reason,
    }
}

fn join(first: String, cause: Option<&(dyn Error + 'static)>) -> String {
    let causes = successors(cause, |error| (*error).source());
    let text = causes.map(message).fold(first, |text, cause| match text {
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    });
    REPLACEMENTS
        .iter()
        .fold(text, |text, (theirs, ours)| if text.contains(theirs) { text.replace(theirs, ours) } else { text })
}

/// Message of one error of the chain.
fn message(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        Some(EMFILE) => "too many open files: use a smaller --limit".into(),
        _ => error.to_string(),
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
    fn each_cause_appears_once() {
        let error = anyhow!("refused").context("no connection: refused").context("the file");
        assert_eq!(describe(error.as_ref()), "the file: no connection: refused");
    }

    #[test]
    fn settings_have_the_names_of_options() {
        let error = anyhow!("unusable value: line 2").context("the file");
        assert_eq!(describe(error.as_ref()), "the file: line 2");
        assert_eq!(describe(anyhow!("too slow (timeout `total`)").as_ref()), "too slow (--timeout)");
        let full = io::Error::from_raw_os_error(24);
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
