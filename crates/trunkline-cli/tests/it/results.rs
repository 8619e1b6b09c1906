//! Results of pages: lines, JSON, the summary, and the exit code.

use std::net::TcpListener;

use serde_json::json;

use crate::servers::TempDir;
use crate::support::{Running, Site, fetch, soak, until};

#[test]
fn each_page_has_a_line_and_the_summary_adds_them_up() {
    let site = Site::start();
    let urls: Vec<_> = (0..200).map(|page| site.url(&format!("/page/{page}?size=100"))).collect();
    let run = fetch(["-i", "-", "-c", "20", "--limit", "4"], urls.join("\n"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let mut expected: Vec<_> = urls.iter().map(|url| format!("200 100 {url}")).collect();
    expected.sort_unstable();
    assert_eq!(run.lines(), expected);

    let counts = site.counts();
    assert_eq!(counts.requests, 200);
    assert!(run.last().starts_with("200 pages, 0 failed, 20.0 KB in "), "{run:?}");
    assert!(run.last().contains(&format!(" · {} connection", counts.opened)), "{run:?} {counts:?}");
    assert!(run.last().ends_with(" requests reused one"), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "no terminal, no progress: {run:?}");
}

#[test]
fn arguments_come_before_the_input() {
    let site = Site::start();
    let run = fetch([&site.url("/a"), &site.url("/b"), "-c1", "-i-"], site.url("/c"));
    let pages: Vec<_> = run.stdout.lines().map(|line| line.chars().last().unwrap()).collect();
    assert_eq!(pages, ['a', 'b', 'c'], "{run:?}");
}

#[test]
fn a_json_line_has_known_values_and_null_otherwise() {
    let site = Site::start();
    let urls = ["/one?size=5", "/from?to=/target", "/gone?status=404"].map(|path| site.url(path));
    let run = fetch(["-c1", "-o-"].iter().copied().chain(urls.iter().map(String::as_str)), "");
    assert_eq!(run.code, Some(1), "{run:?}");
    let mut lines = run.json();
    for line in &mut lines {
        let elapsed = line.as_object_mut().unwrap().remove("elapsed").unwrap().as_f64().unwrap();
        assert!(elapsed > 0.0 && elapsed < 30.0, "{run:?}");
    }
    let [one, from, gone] = &urls;
    let expected = [
        json!({"url": one, "final_url": one, "status": 200, "bytes": 5, "reused": false, "error": null}),
        json!({"url": from, "final_url": site.url("/target"), "status": 200, "bytes": 12, "reused": true, "error": null}),
        json!({"url": gone, "final_url": gone, "status": 404, "bytes": 12, "reused": true, "error": "status 404 Not Found"}),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn json_in_a_file_comes_besides_the_plain_lines() {
    let site = Site::start();
    let dir = TempDir::new("json");
    let file = dir.write("out.jsonl", "yesterday's");
    let run = fetch(["-o", file.to_str().unwrap(), &site.url("/")], "");
    assert_eq!(run.lines(), [format!("200 12 {}", site.url("/"))]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 1);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap()["url"], site.url("/"));
}

#[test]
fn a_status_of_400_or_above_is_a_failure_with_its_status() {
    let site = Site::start();
    for (status, code) in [(204, 0), (304, 0), (399, 0), (400, 1), (404, 1), (500, 1), (503, 1)] {
        let url = site.url(&format!("/?size=0&status={status}"));
        let run = fetch([&url], "");
        assert_eq!((run.code, run.lines()), (Some(code), vec![&*format!("{status} 0 {url}")]), "{run:?}");
    }
}

#[test]
fn an_incomplete_page_has_an_err_line_and_a_reason() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::start();
    let urls = [format!("http://ann:pass-word@{nobody}/a?token=t"), site.url("/?cut&size=10")];
    let run = fetch(&urls, "");
    assert_eq!(run.code, Some(1), "{run:?}");
    let mut expected = [format!("ERR 0 http://{nobody}/a?token=t"), format!("ERR 5 {}", urls[1])];
    expected.sort_unstable();
    assert_eq!(run.lines(), expected);
    assert!(run.stderr.contains(&format!("http://{nobody}/a?token=t: no connection")), "{run:?}");
    assert!(run.stderr.contains(&format!("{}: unusable body", urls[1])), "{run:?}");
    assert!(!run.stderr.contains("pass-word") && !run.stderr.contains("GET"), "{run:?}");
    assert!(run.last().starts_with("2 pages, 2 failed, 5 B in "), "{run:?}");
}

#[test]
fn a_page_has_the_timeout_and_no_longer() {
    let site = Site::start();
    let run = fetch(["--timeout", "0.2", &site.url("/?hold=head"), &site.url("/?hold=body")], "");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(run.stderr.matches("timed out").count(), 2, "{run:?}");
    assert!(run.stderr.contains("(--timeout)"), "{run:?}");
}

#[test]
fn a_failure_names_the_given_url_and_the_redirect_target() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::start();
    let url = site.url(&format!("/here?a=1&to=http://{nobody}/there"));
    let run = fetch([&url], "");
    assert!(run.stderr.starts_with(&format!("{url}: at http://{nobody}/there: no connection")), "{run:?}");
    let run = fetch([&url, "-o-"], "");
    assert!(
        run.json()[0]["error"].as_str().unwrap().starts_with(&format!("at http://{nobody}/there: no conn")),
        "{run:?}"
    );

    // An empty reference resolves to the page itself.
    let around = site.url("/around?to=");
    let run = fetch([&around], "");
    assert!(
        run.stderr.starts_with(&format!("{around}: redirect not followed: 10 redirects were followed, and")),
        "{run:?}"
    );
}

#[test]
fn headers_go_with_every_request_and_a_name_may_come_twice() {
    let site = Site::start();
    let run =
        fetch(["-H", "X-One: a: b", "-H", "X-Two:1", "-H", "x-two: 2", "-H", "User-Agent: me", &site.url("/")], "");
    assert_eq!(run.code, Some(0), "{run:?}");
    let head = site.counts().heads.concat().to_lowercase();
    for line in ["x-one: a: b\r\n", "x-two: 1\r\n", "x-two: 2\r\n", "user-agent: me\r\n"] {
        assert_eq!(head.matches(line).count(), 1, "{head}");
    }
    assert_eq!(head.matches("user-agent:").count(), 1, "{head}");
}

#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let site = Site::start();
    let run = fetch(["-o", "/dev/full", &site.url("/")], "");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.last().starts_with("error: cannot write to \"/dev/full\": "), "{run:?}");
}

/// Each run creates the file as a check. The others must not take it for an output.
#[test]
fn of_runs_that_begin_at_once_one_has_the_output() {
    let (listener, dir) = (TcpListener::bind("127.0.0.1:0").unwrap(), TempDir::new("at-once"));
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    for round in 0..soak(200, 20) {
        let out = dir.join(&round.to_string());
        let mut runs: Vec<_> = (0..6).map(|_| Running::start(["-o", out.to_str().unwrap(), &url])).collect();
        let mut asking = Vec::new();
        until("each has ended, or asks for its page", || {
            asking.extend(listener.accept().ok());
            asking.len() + runs.iter_mut().map(|run| usize::from(run.has_ended())).sum::<usize>() == runs.len()
        });
        assert_eq!(asking.len(), 1, "round {round}");
        // Dropped before they would retry.
        drop(runs);
    }
}

#[test]
fn an_output_of_another_run_is_reported_without_path_advice() {
    let (site, dir) = (Site::start(), TempDir::new("two"));
    let (out, url) = (dir.join("two.jsonl"), site.url("/?hold=head"));
    let arguments = ["-o", out.to_str().unwrap(), &url];
    let first = Running::start(arguments);
    until("the first has begun", || site.counts().requests == 1);
    let run = fetch(arguments, "");
    let told = format!("error: cannot write to {out:?}: another run is writing it\n");
    assert_eq!((run.code, run.stderr), (Some(2), told));
    drop(first);
}

#[test]
fn a_password_in_a_url_is_sent_and_only_shown_as_given() {
    let (site, dir) = (Site::start(), TempDir::new("secret"));
    let (out, url) = (dir.join("out.jsonl"), site.url("/there").replace("http://", "http://ann:s3cret@"));
    let arguments = ["-o", out.to_str().unwrap(), "--resume", "-i-", "--per-host"];
    let lines = format!("{url}\nann:s3cret@nowhere/x\n");
    let run = fetch(arguments, &lines);
    assert_eq!(run.lines(), [format!("200 12 {}", site.url("/there")), "ERR 0 nowhere/x".into()]);
    assert!(!run.stderr.contains("s3cret") && !run.stdout.contains("s3cret"), "{run:?}");
    assert!(
        site.counts().heads[0].to_lowercase().contains("authorization: basic yw5uonmzy3jlda=="),
        "{:?}",
        site.counts()
    );
    let written = std::fs::read_to_string(&out).unwrap();
    let line: serde_json::Value =
        serde_json::from_str(written.lines().find(|line| line.contains("/there")).unwrap()).unwrap();
    assert_eq!((&line["url"], &line["final_url"]), (&url.as_str().into(), &site.url("/there").into()));
    // The recorded URL identifies the page.
    fetch(arguments, &lines);
    assert_eq!(site.counts().requests, 1);
}
