//! Fuzz target for `Set-Cookie`: no panic, and the jar stores and returns only permitted cookies.
//!
//! An input is a list of lines. The first byte of each chooses the site that sets the cookie, the
//! rest is the value of `Set-Cookie`.

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use trunkline::{Cookie, CookieJar};
use trunkline_fuzz::cookies::audit;
use url::Url;

static SITES: LazyLock<Vec<Url>> = LazyLock::new(|| {
    let sites = [
        "https://www.example.com/a/b?q",
        "http://www.example.com/a/b",
        "https://example.com/",
        "https://deep.www.example.com/a/",
        "https://shop.example.co.uk/cart",
        "http://127.0.0.1:8080/a",
        "http://[::1]/",
        "http://localhost/x/y/z",
    ];
    sites.map(|site| Url::parse(site).expect("an address")).to_vec()
});

fuzz_target!(|input: &[u8]| {
    let jar = CookieJar::new();
    for line in input.split(|&byte| byte == b'\n') {
        let [choice, set_cookie @ ..] = line else { continue };
        let site = &SITES[usize::from(*choice) % SITES.len()];
        let before = lasting(&jar);
        match jar.set(site, set_cookie) {
            Ok(()) => {}
            Err(error) => {
                assert!(error.is_input() && !error.to_string().is_empty(), "{error:?}");
                assert_eq!(before, lasting(&jar), "a rejected cookie changed the jar");
            }
        }
    }
    audit(&jar);
    for site in &*SITES {
        check_matching(&jar, site);
    }
    assert!(jar.matching(&Url::parse("https://stranger.example.org/a/b").expect("an address")).is_empty());
    check_file(&jar);
    jar.clear_session();
    assert!(jar.all().iter().all(|cookie| cookie.expires().is_some()));
    jar.clear();
    assert!(jar.is_empty());
});

/// Checks that each matching cookie belongs to the site.
fn check_matching(jar: &CookieJar, site: &Url) {
    let (matching, host) = (jar.matching(site), site.host_str().unwrap_or_default().trim_matches(['[', ']']));
    let local = site.host_str().is_some_and(|host| ["127.0.0.1", "[::1]", "localhost"].contains(&host));
    for cookie in &matching {
        let same_host = host == cookie.domain();
        let subdomain = !cookie.host_only() && host.ends_with(&format!(".{}", cookie.domain()));
        assert!(same_host || subdomain, "{cookie:?} is not for {site}");
        let rest = site.path().strip_prefix(cookie.path());
        let on_path = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie.path().ends_with('/'));
        assert!(on_path, "{cookie:?} is not for {site}");
        assert!(!cookie.secure() || site.scheme() == "https" || local, "{cookie:?} goes to {site}");
    }
    assert!(matching.is_sorted_by(|one, next| one.path().len() >= next.path().len()), "longer paths go first");
}

/// Checks that a file preserves the cookies.
fn check_file(jar: &CookieJar) {
    let file = jar.to_netscape();
    let read = CookieJar::from_netscape(&file).expect("a written file can be read");
    assert_eq!(lasting(jar), lasting(&read));
}

/// The cookies that a file can store, without those that may expire during the test.
fn lasting(jar: &CookieJar) -> Vec<String> {
    let soon = SystemTime::now() + Duration::from_secs(60);
    let fits = |cookie: &&Cookie| {
        let lasts = cookie.expires().is_none_or(|end| end > soon);
        lasts && !cookie.name().contains('\t') && !cookie.path().contains('\t')
    };
    jar.all().iter().filter(fits).map(written).collect()
}

/// The attributes that a file stores.
fn written(cookie: &Cookie) -> String {
    let end = cookie.expires().and_then(|end| end.duration_since(std::time::UNIX_EPOCH).ok()).map(|end| end.as_secs());
    let (flags, value) = ((cookie.host_only(), cookie.secure(), cookie.http_only()), cookie.value_bytes());
    format!("{} {value:?} {} {} {flags:?} {end:?}", cookie.name(), cookie.domain(), cookie.path())
}
