//! The public suffix list's own tests, against what the jar asks of the list.

use super::super::scope::{above, is_public};

/// <https://github.com/publicsuffix/list/blob/main/tests/test_psl.txt>
const VECTORS: &str = include_str!("../../../tests/data/test_psl.txt");

/// The registrable domain: the widest domain of the host that includes no strangers.
fn registrable(host: &str) -> Option<String> {
    let url::Host::Domain(host) = url::Host::parse(host).ok()? else { return None };
    if host.starts_with('.') {
        return None;
    }
    let own = std::iter::once(host.as_str()).chain(above(&host));
    own.filter(|domain| !is_public(domain, &host)).last().map(str::to_owned)
}

#[test]
fn the_lists_own_tests_pass() {
    let mut checked = 0;
    for line in VECTORS.lines().filter(|line| line.starts_with("checkPublicSuffix(")) {
        let arguments = line.trim_start_matches("checkPublicSuffix(").trim_end_matches(");");
        let (host, expected) = arguments.split_once(", ").unwrap();
        let text = |quoted: &str| (quoted != "null").then(|| quoted.trim_matches('\'').to_owned());
        let Some(host) = text(host) else { continue };
        let expected = text(expected).map(|domain| url::Host::parse(&domain).unwrap().to_string());
        assert_eq!(registrable(&host), expected, "{line}");
        checked += 1;
    }
    assert!(checked > 70, "{checked}");
}
