//! The cookie file: its lines, and how it comes to the disk.

use std::time::{Duration, SystemTime};

use url::Url;

use super::super::CookieJar;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn in_seconds(seconds: u64) -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + seconds
}

/// Domain, host only, path, secure, http only, name, value.
type Line = (String, bool, String, bool, bool, String, String);

fn lines(jar: &CookieJar) -> Vec<Line> {
    let all = jar.all();
    let line = |cookie: &super::super::Cookie| {
        let (domain, path) = (cookie.domain().to_owned(), cookie.path().to_owned());
        let (name, value) = (cookie.name().into_owned(), cookie.value().into_owned());
        (domain, cookie.host_only(), path, cookie.secure(), cookie.http_only(), name, value)
    };
    all.iter().map(line).collect()
}

#[test]
fn what_is_written_is_read_again() {
    let jar = CookieJar::new();
    let site = url("https://www.example.com/dir/page");
    for cookie in [
        "plain=1",
        "all=2; Domain=example.com; Path=/; Max-Age=1000",
        "__Host-id=3; Secure; Path=/; HttpOnly",
        "nameless",
        "empty=",
        "spaces= a b\tc ; Path=/a b",
        "long=x; Max-Age=99999999999",
    ] {
        jar.set(&site, cookie).unwrap();
    }
    jar.set(&site, b"latin=\xe4").unwrap();
    jar.set(&url("http://[::1]/"), "six=1").unwrap();
    let text = jar.to_netscape();
    let again = CookieJar::from_netscape(&text).unwrap();
    assert_eq!(lines(&again), lines(&jar));
    assert_eq!(again.to_netscape(), text);
    assert_eq!(again.get(&site, "latin").unwrap().value_bytes(), b"\xe4");
    for (was, is) in jar.all().iter().zip(again.all()) {
        let whole = was.expires().map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(is.expires(), whole.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), "{was:?}");
    }
}

#[test]
fn the_lines_are_those_that_curl_writes() {
    let jar = CookieJar::new();
    jar.set(&url("https://example.com/x/y"), "a=b; Secure; HttpOnly; Domain=example.com").unwrap();
    jar.set(&url("http://example.com/"), "c=d").unwrap();
    let text = String::from_utf8(jar.to_netscape()).unwrap();
    assert!(text.starts_with("# Netscape HTTP Cookie File\n"), "Python insists on it: {text}");
    let lines: Vec<_> = text.lines().skip_while(|line| !line.is_empty()).skip(1).collect();
    assert_eq!(lines, ["#HttpOnly_.example.com\tTRUE\t/x\tTRUE\t0\ta\tb", "example.com\tFALSE\t/\tFALSE\t0\tc\td"]);
}

#[test]
fn comments_blank_lines_and_line_ends_of_windows_are_no_matter() {
    let later = in_seconds(1000);
    let text = format!(
        "\u{feff}# Netscape HTTP Cookie File\r\n\r\n   \n#comment\texample.com\n\
         EXAMPLE.com\tFALSE\t/\tFALSE\t{later}\ta\tb\r\n#HttpOnly_.Example.com\ttrue\t/p\tTRUE\t{later}.75\tc\td\n\
         past.example\tFALSE\t/\tFALSE\t1\told\tx\nexample.com\tFALSE\t/\tFALSE\t0\tempty"
    );
    let jar = CookieJar::from_netscape(text).unwrap();
    let expected: [Line; 3] = [
        ("example.com".into(), true, "/".into(), false, false, "a".into(), "b".into()),
        ("example.com".into(), false, "/p".into(), true, true, "c".into(), "d".into()),
        ("example.com".into(), true, "/".into(), false, false, "empty".into(), String::new()),
    ];
    assert_eq!(lines(&jar), expected);
    let expires = |at: usize| jar.all()[at].expires();
    assert_eq!(expires(0), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(later)));
    assert_eq!(expires(2), None);
}

#[test]
fn session_cookies_of_python_and_ports_of_wget_are_understood() {
    let text = "# Netscape HTTP Cookie File\n\nexample.com\tFALSE\t/\tFALSE\t\ta\tb\n\
         .example.com\tTRUE\t/\tFALSE\t\t\tnameless\nlocalhost:8080\tFALSE\t/\tFALSE\t0\tc\td\n\
         ::1\tFALSE\t/\tFALSE\t0\te\tf\n";
    let jar = CookieJar::from_netscape(text).unwrap();
    let named = |address: &str, name: &str| jar.get(&url(address), name).unwrap();
    assert_eq!(
        (named("http://example.com/", "a").expires(), named("http://a.example.com/", "").expires()),
        (None, None)
    );
    assert_eq!(named("http://localhost/", "c").value(), "d");
    assert_eq!(named("http://[::1]/", "e").value(), "f");
}

#[test]
fn nobody_who_hears_of_what_is_left_out_finds_the_jar_locked() {
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    struct Looks(CookieJar);

    impl<S: tracing::Subscriber> Layer<S> for Looks {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            assert_eq!(self.0.len(), 1);
        }
    }

    let jar = CookieJar::new();
    jar.set(&url("http://example.com/"), "a\tb=c").unwrap();
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let subscriber = tracing_subscriber::registry().with(Looks(jar.clone()));
        tracing::subscriber::with_default(subscriber, || jar.to_netscape());
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(5)).expect("it is locked");
}

#[test]
fn a_line_that_is_no_cookie_is_named_without_its_secrets() {
    let good = "example.com\tFALSE\t/\tFALSE\t0\ta\tse-cret\n";
    for (bad, what) in [
        ("example.com FALSE / FALSE 0 a se-cret", "seven fields"),
        ("example.com\tFALSE\t/\tFALSE\t0", "seven fields"),
        ("example.com\tperhaps\t/\tFALSE\t0\ta\tse-cret", "TRUE or FALSE"),
        ("example.com\tFALSE\t/\t1\t0\ta\tse-cret", "TRUE or FALSE"),
        ("example.com\tFALSE\tx\tFALSE\t0\ta\tse-cret", "path"),
        ("example.com\tFALSE\t/\tFALSE\t-1\ta\tse-cret", "seconds"),
        ("example.com\tFALSE\t/\tFALSE\tsoon\ta\tse-cret", "seconds"),
        ("example.com\tFALSE\t/\tFALSE\t0\t\t", "neither"),
        ("example.com\tFALSE\t/\tFALSE\t0\ta\tse-cret\u{1}", "control"),
        ("example.com\tFALSE\t/\tFALSE\t0\ta\tse-cret; b=c", "something else"),
        ("example.com\tFALSE\t/\tFALSE\t0\ta=b\tse-cret", "something else"),
        ("..example.com\tTRUE\t/\tFALSE\t0\ta\tse-cret", "host name"),
        ("exa mple.com\tFALSE\t/\tFALSE\t0\ta\tse-cret", "host name"),
        ("\tFALSE\t/\tFALSE\t0\ta\tse-cret", "host name"),
        ("example.com\tFALSE\t/\tFALSE\t0\t__Secure-a\tse-cret", "__Secure-"),
        ("example.com\tTRUE\t/\tTRUE\t0\t__Host-a\tse-cret", "__Host-"),
    ] {
        let error = CookieJar::from_netscape(format!("{good}\n{good}{bad}\n{good}")).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(error.is_input() && text.contains("line 4 ") && text.contains(what), "{text}");
        assert!(!text.contains("se-cret"), "{text}");
    }
}

#[test]
fn a_file_widens_no_domain_and_extends_no_lifetime() {
    let text = ".com\tTRUE\t/\tFALSE\t0\ta\tb\n.localhost\tTRUE\t/\tFALSE\t99999999999999999999999\tc\td\n";
    let jar = CookieJar::from_netscape(text).unwrap();
    assert!(jar.matching(&url("http://example.com/")).is_empty());
    assert_eq!(jar.matching(&url("http://com/")).len(), 1);
    let cookie = jar.get(&url("http://localhost/"), "c").unwrap();
    assert!(cookie.expires().unwrap() <= SystemTime::now() + Duration::from_secs(400 * 24 * 60 * 60));
}

#[test]
fn of_too_many_the_last_are_taken() {
    let text: String = (0..60).map(|number| format!("example.com\tFALSE\t/\tFALSE\t0\tn{number}\tx\n")).collect();
    let jar = CookieJar::from_netscape(text).unwrap();
    let names: Vec<_> = jar.all().iter().map(|cookie| cookie.name().into_owned()).collect();
    assert_eq!(names, (10..60).map(|number| format!("n{number}")).collect::<Vec<_>>());
}

#[test]
fn what_a_file_cannot_hold_is_left_out_of_it() {
    let jar = CookieJar::new();
    for cookie in ["a\tb=c", "a=b; Path=/x\ty", "kept=1"] {
        jar.set(&url("http://example.com/"), cookie).unwrap();
    }
    let again = CookieJar::from_netscape(jar.to_netscape()).unwrap();
    assert_eq!(again.all().iter().map(|cookie| cookie.name().into_owned()).collect::<Vec<_>>(), ["kept"]);
}
