//! `Referer` and `Origin` of requests from a page (the Referrer Policy standard, and Fetch's
//! "append a request `Origin` header").

use http::HeaderMap;
use http::header::REFERRER_POLICY;
use scraper::Html;
use url::{Host, Url};

use super::walk::elements;

/// The referrer policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    NoReferrer,
    NoReferrerWhenDowngrade,
    SameOrigin,
    Origin,
    StrictOrigin,
    OriginWhenCrossOrigin,
    /// The default of browsers.
    #[default]
    StrictOriginWhenCrossOrigin,
    UnsafeUrl,
}

/// A longer one is cut down to its origin.
const LONGEST: usize = 4096;

impl Policy {
    /// The page's: of its header, and of its `<meta>`s the last one that says something.
    pub(super) fn of(headers: &HeaderMap, html: &Html) -> Self {
        let headers = headers.get_all(REFERRER_POLICY).into_iter().filter_map(|value| value.to_str().ok());
        let header = headers.flat_map(|value| value.split(',')).filter_map(Self::named).next_back();
        let metas = elements(html).filter(|element| {
            let is_it = |name: &str| name.eq_ignore_ascii_case("referrer");
            element.value().name() == "meta" && element.attr("name").is_some_and(is_it)
        });
        let meta = metas.filter_map(|meta| Self::of_meta(meta.attr("content")?)).last();
        meta.or(header).unwrap_or_default()
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "no-referrer" => Self::NoReferrer,
            "no-referrer-when-downgrade" => Self::NoReferrerWhenDowngrade,
            "same-origin" => Self::SameOrigin,
            "origin" => Self::Origin,
            "strict-origin" => Self::StrictOrigin,
            "origin-when-cross-origin" => Self::OriginWhenCrossOrigin,
            "strict-origin-when-cross-origin" => Self::StrictOriginWhenCrossOrigin,
            "unsafe-url" => Self::UnsafeUrl,
            _ => return None,
        })
    }

    /// With the words of old.
    fn of_meta(content: &str) -> Option<Self> {
        match content.trim().to_ascii_lowercase().as_str() {
            "never" => Some(Self::NoReferrer),
            "default" => Some(Self::default()),
            "always" => Some(Self::UnsafeUrl),
            "origin-when-crossorigin" => Some(Self::OriginWhenCrossOrigin),
            name => Self::named(name),
        }
    }

    /// The `Referer` of a request.
    pub(crate) fn referer(self, from: &Url, to: &Url) -> Option<String> {
        let full = || {
            let mut url = from.clone();
            // Both fail only for addresses that cannot carry credentials in the first place.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_fragment(None);
            Some(url.to_string()).filter(|url| url.len() <= LONGEST).or_else(|| origin(from))
        };
        let same = from.origin() == to.origin();
        match self {
            Self::NoReferrer => None,
            Self::UnsafeUrl => full(),
            Self::Origin => origin(from),
            Self::OriginWhenCrossOrigin => {
                if same {
                    full()
                } else {
                    origin(from)
                }
            }
            Self::SameOrigin => {
                if same {
                    full()
                } else {
                    None
                }
            }
            _ if is_downgrade(from, to) => None,
            Self::NoReferrerWhenDowngrade => full(),
            Self::StrictOrigin => origin(from),
            Self::StrictOriginWhenCrossOrigin => {
                if same {
                    full()
                } else {
                    origin(from)
                }
            }
        }
    }

    /// The `Origin` of a request that is no GET.
    pub(crate) fn origin(self, from: &Url, to: &Url) -> String {
        let hidden = match self {
            Self::NoReferrer => true,
            Self::NoReferrerWhenDowngrade | Self::StrictOrigin | Self::StrictOriginWhenCrossOrigin => {
                from.scheme() == "https" && to.scheme() != "https"
            }
            Self::SameOrigin => from.origin() != to.origin(),
            Self::Origin | Self::OriginWhenCrossOrigin | Self::UnsafeUrl => false,
        };
        if hidden { "null".to_owned() } else { from.origin().ascii_serialization() }
    }
}

/// With a slash: it is an address.
fn origin(url: &Url) -> Option<String> {
    Some(format!("{}/", url.origin().ascii_serialization()))
}

/// True from a trustworthy URL to one that is not.
fn is_downgrade(from: &Url, to: &Url) -> bool {
    is_trustworthy(from) && !is_trustworthy(to)
}

/// The Secure Contexts standard's "potentially trustworthy".
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_depends_on_policy_and_way() {
        let page = Url::parse("https://ann:pw@a.test/login?x=1#top").unwrap();
        let [same, other, plain] =
            ["https://a.test/in", "https://b.test/", "http://a.test/"].map(|url| Url::parse(url).unwrap());
        let (full, short) = (Some("https://a.test/login?x=1"), Some("https://a.test/"));
        for (policy, referers, origins) in [
            (Policy::NoReferrer, [None, None, None], [false, false, false]),
            (Policy::NoReferrerWhenDowngrade, [full, full, None], [true, true, false]),
            (Policy::SameOrigin, [full, None, None], [true, false, false]),
            (Policy::Origin, [short, short, short], [true, true, true]),
            (Policy::StrictOrigin, [short, short, None], [true, true, false]),
            (Policy::OriginWhenCrossOrigin, [full, short, short], [true, true, true]),
            (Policy::StrictOriginWhenCrossOrigin, [full, short, None], [true, true, false]),
            (Policy::UnsafeUrl, [full, full, full], [true, true, true]),
        ] {
            for ((to, referers), origin) in [&same, &other, &plain].into_iter().zip(referers).zip(origins) {
                assert_eq!(policy.referer(&page, to).as_deref(), referers, "{policy:?} {to}");
                let expected = if origin { "https://a.test" } else { "null" };
                assert_eq!(policy.origin(&page, to), expected, "{policy:?} {to}");
            }
        }
    }
}
