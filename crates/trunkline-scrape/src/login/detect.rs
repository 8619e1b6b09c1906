//! Detection of an expired login: answers that mean that the session is logged out.

use http::StatusCode;
use url::{Position, Url};

use crate::page::Page;

/// Login page of a site, and the sites that its login is good for.
#[derive(Clone)]
pub(crate) struct LoginPage {
    /// URL of the form.
    at: Url,
    /// Pages of the sites that the login opens, if known: the form may be on another site.
    sites: Vec<Url>,
}

impl LoginPage {
    /// Login page at this URL, before its first use.
    pub(crate) fn at(url: Url) -> Self {
        Self { at: url, sites: Vec::new() }
    }

    /// Login page of a login that led from `form` to `inside`.
    pub(super) fn found(form: &Page, inside: &Page) -> Self {
        Self { at: form.url.clone(), sites: vec![form.requested.clone(), form.url.clone(), inside.url.clone()] }
    }

    /// True if the page means that the session is logged out: it is the login page although another
    /// one was requested, or it has the status 401 and belongs to a site of the login.
    pub(super) fn is_shut(&self, page: &Page) -> bool {
        let is_here = |url| place(url) == place(&self.at);
        let is_home = self.sites.is_empty() || self.sites.iter().any(|url| is_same_site(url, &page.url));
        let refused = page.status == StatusCode::UNAUTHORIZED && is_home;
        (is_here(&page.url) || refused) && !is_here(&page.requested)
    }
}

/// The URL without query, fragment and trailing slash: `/login` mostly redirects to `/login/`, or
/// the other way round.
fn place(url: &Url) -> &str {
    url[..Position::AfterPath].trim_end_matches('/')
}

/// True if both hosts can share a cookie. Compares the last two labels of the names, so that all
/// sites below a public suffix such as `co.uk` count as one.
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
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::document::Parser;

    fn page(requested: &str, url: &str, status: u16) -> Page {
        let [requested, url] = [requested, url].map(|url| Url::parse(url).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        Page { requested, url, status, headers: HeaderMap::new(), body: Bytes::new(), parser: Parser::default() }
    }

    #[test]
    fn it_is_shut_to_those_who_wanted_something_else() {
        let (form, inside) = ("https://id.test/login/", "https://www.example.com/home");
        let found = LoginPage::found(&page("https://id.test/login", form, 200), &page(form, inside, 200));
        let given = LoginPage::at(Url::parse("https://id.test/login").unwrap());
        for (requested, url, status, shut, shut_if_given) in [
            ("https://example.com/a", "https://example.com/a", 200, false, false),
            ("https://example.com/a", "https://id.test/login/?next=/a", 200, true, true),
            ("https://example.com/a", "https://example.com/a", 401, true, true),
            ("https://example.com/a", "https://example.com/a", 403, false, false),
            ("https://other.test/a", "https://other.test/a", 401, false, true),
            ("https://id.test/login/?next=/a", "https://id.test/login/?next=/a", 200, false, false),
            ("https://id.test/login?next=/a#b", "https://id.test/login/?next=/a", 200, false, false),
            ("https://id.test/login", "https://id.test/login/", 401, false, false),
        ] {
            let page = page(requested, url, status);
            assert_eq!(
                (found.is_shut(&page), given.is_shut(&page)),
                (shut, shut_if_given),
                "{requested} {url} {status}"
            );
        }
    }

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
