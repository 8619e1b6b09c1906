//! What failed, in the words of this command: the library's settings have other names here.

use std::borrow::Cow;
use std::error::Error;
use std::iter::successors;

use url::Url;

/// What the library or the system calls it, and what it is called here.
const NAMES: [(&str, &str); 5] = [
    ("(timeout `total`)", "(--timeout)"),
    ("(timeout `read`)", "(--timeout)"),
    (" (max_redirects)", ""),
    ("unusable value: ", ""),
    ("Too many open files (os error 24)", "too many open files: use a smaller --limit"),
];

/// The error and its causes, each once: some errors quote theirs.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |error| (*error).source());
    let told = chain.map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    });
    NAMES
        .iter()
        .fold(told, |told, (theirs, ours)| if told.contains(theirs) { told.replace(theirs, ours) } else { told })
}

/// Why that page failed, without the request that it begins with: whoever shows it has named the
/// page. That it was another one's, to which the page redirects, is told.
pub(crate) fn of_page(error: &trunkline_scrape::Error, asked: &Url) -> String {
    let (told, asked) = (words(error), bare(asked.clone()));
    let at = error.http().and_then(trunkline::Error::url).unwrap_or(&asked);
    match told.strip_prefix(&format!("GET {at}: ")) {
        Some(rest) if *at == asked => rest.to_owned(),
        Some(rest) => format!("at {at}: {rest}"),
        None => told,
    }
}

/// An address without what may be a secret in it.
pub(crate) fn bare(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    without_user(url)
}

/// A URL as it was given, or what was to be one, but for a name and a password in it.
pub(crate) fn named(url: &str) -> Cow<'_, str> {
    let Some((_, behind)) = url.rsplit_once('@') else { return Cow::Borrowed(url) };
    match Url::parse(url) {
        Ok(parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            Cow::Owned(without_user(parsed).into())
        }
        Ok(parsed) if parsed.has_host() => Cow::Borrowed(url),
        // Credentials end at the last `@`, whatever else is in them.
        _ => Cow::Borrowed(behind),
    }
}

fn without_user(mut url: Url) -> Url {
    // Both fail only for addresses that carry none in the first place.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("refused").context("no connection: refused").context("the file");
        assert_eq!(words(error.as_ref()), "the file: no connection: refused");
    }

    #[test]
    fn settings_have_the_names_of_options() {
        let error = anyhow!("unusable value: line 2").context("the file");
        assert_eq!(words(error.as_ref()), "the file: line 2");
        assert_eq!(words(anyhow!("too slow (timeout `total`)").as_ref()), "too slow (--timeout)");
        let full = std::io::Error::from_raw_os_error(24);
        assert_eq!(words(&full), "too many open files: use a smaller --limit");
    }

    #[test]
    fn a_url_is_named_without_a_password() {
        assert_eq!(named("http://a/b c?d=e#f"), "http://a/b c?d=e#f");
        assert_eq!(named("http://ann:s3cret@a/?d=e"), "http://a/?d=e");
        assert_eq!(named("http://ann@a"), "http://a/");
        assert_eq!(named("http://a/?to=@b"), "http://a/?to=@b");
        for unusable in ["ann:s3cret@a/", "http://ann:s3cret@["] {
            assert!(!named(unusable).contains("s3cret"));
        }
    }
}
