//! Error messages of this command: causes in one line, with the names of its options.

use std::borrow::Cow;
use std::error::Error;
use std::iter::successors;

use trunkline::redact_url;
use url::Url;

/// Names of the library's settings and system errors, and the words of this command for them.
const REPLACEMENTS: [(&str, &str); 5] = [
    ("(timeout `total`)", "(--timeout)"),
    ("(timeout `read`)", "(--timeout)"),
    (" (max_redirects)", ""),
    ("unusable value: ", ""),
    ("Too many open files (os error 24)", "too many open files: use a smaller --limit"),
];

/// The error and its causes in one line. A cause that its error quotes appears once.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |error| (*error).source());
    let text = chain.map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    });
    REPLACEMENTS
        .iter()
        .fold(text, |text, (theirs, ours)| if text.contains(theirs) { text.replace(theirs, ours) } else { text })
}

/// Reason for the failure of a page, without the URL of the page, which the line names already. The
/// URL of a redirect's target is named.
pub(crate) fn of_page(error: &trunkline_scrape::Error, requested: &Url) -> String {
    let (text, requested) = (describe(error), redact_url(requested));
    let at = error.http().and_then(trunkline::Error::url).unwrap_or(&requested);
    match text.strip_prefix(&format!("GET {at}: ")) {
        Some(rest) if *at == requested => rest.to_owned(),
        Some(rest) => format!("at {at}: {rest}"),
        None => text,
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
