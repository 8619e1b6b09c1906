//! Where a login goes in, and what it looks like when it is shut.

use http::StatusCode;
use url::{Position, Url};

use crate::page::Page;

/// Where a login went in.
#[derive(Clone)]
pub(crate) struct Door {
    /// Where its form was.
    at: Url,
    /// Pages of the sites that it let in to, as far as is known: its own may be another one's.
    sites: Vec<Url>,
}

impl Door {
    /// Where it is said to be.
    pub(crate) fn at(url: Url) -> Self {
        Self { at: url, sites: Vec::new() }
    }

    /// The page with the form, and the one that it led to.
    pub(super) fn found(form: &Page, inside: &Page) -> Self {
        Self { at: form.url.clone(), sites: vec![form.requested.clone(), form.url.clone(), inside.url.clone()] }
    }

    /// Does this page say that nobody is logged in? Whoever asks for the login page itself gets it, logged in or not, and what another site wants to know is no matter of
    /// this login.
    pub(super) fn is_shut(&self, page: &Page) -> bool {
        let sent_here = place(&page.url) == place(&self.at);
        let is_home = self.sites.is_empty() || self.sites.iter().any(|url| is_same_site(url, &page.url));
        let refused = page.status == StatusCode::UNAUTHORIZED && is_home;
        (sent_here || refused) && place(&page.requested) != place(&self.at)
    }
}

/// An address but for its query and fragment.
fn place(url: &Url) -> &str {
    &url[..Position::AfterPath]
}

/// May a cookie of the one go to the other? By the last two labels of their names: sites below one public suffix, such as `co.uk`, are not told apart.
fn is_same_site(one: &Url, other: &Url) -> bool {
    match (one.domain(), other.domain()) {
        (Some(one), Some(other)) => site(one) == site(other),
        _ => one.host() == other.host(),
    }
}

fn site(name: &str) -> &str {
    name.rmatch_indices('.').nth(1).map_or(name, |(dot, _)| &name[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_what_cookies_are_shared_in() {
        for (one, other, same) in [
            ("https://example.com/", "http://example.com:8080/x", true),
            ("https://login.example.com/", "https://www.shop.example.com/", true),
            ("https://example.com/", "https://example.org/", false),
            ("https://badexample.com/", "https://example.com/", false),
            ("http://127.0.0.1:1/", "http://127.0.0.1:2/", true),
            ("http://127.0.0.1/", "http://127.0.0.2/", false),
            ("http://1.0.0.127.example/", "http://127.0.0.1/", false),
            ("http://localhost:1/", "http://localhost:2/", true),
        ] {
            let [one, other] = [one, other].map(|url| Url::parse(url).unwrap());
            assert_eq!(is_same_site(&one, &other), same, "{one} {other}");
        }
    }
}
