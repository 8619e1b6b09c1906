//! Retries, pauses, robots.txt, counts per host, and an expired login.

use std::time::Instant;

use crate::support::sites::site::Site as Guarded;
use crate::support::{Running, Site, fetch};

#[test]
fn a_page_is_tried_again_as_often_as_asked() {
    for (retries, requests) in [("0", 1), ("1", 2)] {
        let site = Site::start();
        let url = site.url("/?status=503");
        let run = fetch([&*url, "--retries", retries], "");
        assert_eq!((run.code, site.counts().requests), (Some(1), requests), "{run:?}");
        assert_eq!(run.stdout, format!("503 12 {url}\n"), "the last one is delivered");
    }
}

#[test]
fn a_page_is_tried_again_when_the_server_says() {
    // Without Retry-After it waits 0.5 s at most. More than ten minutes are a failure.
    for (after, requests) in [(1, 2), (601, 1)] {
        let (site, begun) = (Site::start(), Instant::now());
        let run = fetch([&*site.url(&format!("/?status=503&after={after}")), "--retries", "1"], "");
        assert_eq!((run.code, site.counts().requests), (Some(1), requests), "{run:?}");
        assert!(requests == 1 || begun.elapsed().as_secs() >= 1, "{run:?}");
    }
}

#[test]
fn a_host_is_left_a_pause_and_has_its_figures() {
    let site = Site::start();
    let urls: Vec<_> = (0..4).map(|page| site.url(&format!("/{page}"))).collect();
    let begun = Instant::now();
    let run = fetch(["-i-", "--delay", "0.2", "--per-host"], urls.join("\n"));
    assert!(run.code == Some(0) && begun.elapsed().as_secs_f64() >= 0.6, "{run:?}");
    let table: Vec<_> = run.stderr.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(table[0], ["host", "pages", "failed", "bytes", "retries", "reused", "p50", "p99"], "{run:?}");
    assert_eq!(table[1][..6], [&*format!("http://{}", site.address()), "4", "0", "48", "B", "0"], "{run:?}");
}

#[test]
fn the_figures_of_hosts_add_up_to_the_summary() {
    let (site, other) = (Site::start(), Site::start_at("127.0.0.2"));
    let paths = ["/1", "/2", "/?status=404&size=100", "/?status=503", "/?cut&size=10"].map(|path| site.url(path));
    let lines = [&paths[..], &[other.url("/"), "no url".into()]].concat().join("\n");
    let run = fetch(["-i-", "--retries", "1", "--per-host", "-c1"], lines);
    let figures = |line: &str| line.split_whitespace().skip(1).take(5).map(str::to_owned).collect::<Vec<_>>().join(" ");
    let of = |site: &Site| {
        let name = format!("http://{} ", site.address());
        figures(run.stderr.lines().find(|line| line.starts_with(&name)).unwrap())
    };
    assert_eq!(of(&site), "5 3 141 B 2", "{run:?}");
    assert_eq!(of(&other), "1 0 12 B 0", "{run:?}");
    assert!(run.last().starts_with("7 pages, 4 failed, 153 B in "), "and the line that is no URL: {run:?}");
}

#[test]
fn robots_txt_is_asked_for_once_and_only_if_asked() {
    // A robots.txt without rules allows everything.
    for (more, requests) in [(None, 2), (Some("--robots"), 3)] {
        let site = Site::start();
        let run = fetch([site.url("/1"), site.url("/2")].iter().map(String::as_str).chain(more), "");
        assert_eq!((run.code, site.counts().requests), (Some(0), requests), "{run:?}");
    }
}

/// A request for the login page itself causes no login.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_login_is_renewed_and_no_page_comes_twice() {
    let site = Guarded::start(10).await;
    let mut urls: Vec<_> = (0..50).map(|page| site.url(&format!("/page/{page}"))).collect();
    urls.insert(7, site.url("/login?next=/page/7"));
    let at = site.url("/login");
    let arguments = ["--login", &at, "--field", "user=ann", "--password-env", "P", "-c8"];
    let arguments = arguments.into_iter().chain(urls.iter().map(String::as_str));
    let run = Running::command("fetch", arguments, [("P", "s3cret")]).finish();
    assert_eq!((run.code, run.lines().len()), (Some(0), 51), "{run:?}");
    assert!(run.lines().iter().all(|line| line.starts_with("200 ")), "{run:?}");
    assert_eq!((site.delivered().len(), site.logins()), (50, 5));
    assert!(site.delivered().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_robots_txt_disallows_is_a_failure() {
    let site = Guarded::start(10).await;
    let (home, private) = (site.url("/home"), site.url("/private"));
    let run = fetch([&*home, &private, "--robots"], "");
    assert_eq!((run.code, run.lines().len()), (Some(1), 2), "{run:?}");
    assert!(run.lines().contains(&&*format!("ERR 0 {private}")), "{run:?}");
    let told = format!("{private}: its robots.txt does not allow it to \"trunkline-cli\"");
    assert!(run.stderr.lines().any(|line| line == told), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logged_out_names_a_sign_of_an_expired_login() {
    for (more, code, logins) in [(None, Some(1), 1), (Some("--logged-out=status=403"), Some(0), 2)] {
        let site = Guarded::start(10).await;
        let (at, url) = (site.url("/login"), site.url("/members"));
        let arguments = [&*url, "--login", &at, "--field", "user=ann", "--password-env", "P"];
        let run = Running::command("fetch", arguments.into_iter().chain(more), [("P", "s3cret")]).finish();
        assert_eq!((run.code, site.logins()), (code, logins), "{run:?}");
    }
}
