//! Ends before the end of the input: signals, closed pipes, --fail-fast.

use std::io::{BufRead as _, BufReader};

use crate::servers::TempDir;
use crate::support::{Running, Site, fetch, shown_on_a_terminal, until};

/// Sends the signal with one page fetched, two under way, and the input still open.
fn stopped_by(signal: &str, code: i32) {
    let (site, other) = (Site::start(), Site::start());
    let dir = TempDir::new("signal");
    let urls = [other.url("/quick?size=10"), site.url("/slow?hold=head"), site.url("/slow?hold=body&size=200000")];
    let arguments = ["-i-", "-c3", "--bodies", dir.path().to_str().unwrap()];
    let running = Running::start(arguments.into_iter().chain(urls.iter().map(String::as_str)));
    until("two are under way, one has been asked for", || site.counts().held == 2 && other.counts().requests == 1);
    running.signal(signal);
    until("it has heard: the idle connection is closed", || other.counts().open == 0);
    site.release();
    let run = running.finish();
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.stdout.matches("200 ").count(), 3, "{run:?}");
    assert!(run.last().starts_with("3 pages, 0 failed, 200.0 KB in "), "{run:?}");
    let mut sizes: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 12, 200_000]);
}

#[test]
fn ctrl_c_finishes_what_is_under_way() {
    stopped_by("INT", 130);
}

#[test]
fn sigterm_does_the_same() {
    stopped_by("TERM", 143);
}

#[test]
fn after_ctrl_c_no_page_starts_and_slow_pages_are_given_up() {
    let site = Site::start();
    let mut running = Running::start(["-i-", "-c6", "--limit", "2"]);
    let url = site.url("/?hold=head");
    running.feed(std::iter::repeat_with(move || url.clone()));
    until("two are under way", || site.counts().held == 2);
    running.signal("INT");
    let begun = std::time::Instant::now();
    let run = running.finish();
    let took = begun.elapsed().as_secs_f64();
    assert!((4.5..9.0).contains(&took), "the grace is 5 s, not {took}: {run:?}");
    assert_eq!((run.code, &*run.stdout), (Some(130), ""), "{run:?}");
    assert!(run.last().starts_with("0 pages, 0 failed, 6 given up, 0 B in "), "{run:?}");
    assert_eq!(site.counts().requests, 2);
}

#[test]
fn ctrl_c_on_a_terminal_leaves_no_bar_behind() {
    let site = Site::start();
    let typed = shown_on_a_terminal("1 open", "\u{3}", ["fetch", &site.url("/?delay=1000")]);
    assert_eq!(typed.code, 130, "{typed:?}");
    let (before, after) = typed.seen.split_once("^C").unwrap();
    assert!(before.ends_with('\r'), "what is typed stands on the bar's line: {typed:?}");
    assert!(after.contains("finishing the pages under way"), "{typed:?}");
    let last = typed.seen.trim_end().rsplit('\r').next().unwrap();
    assert!(last.starts_with("1 page, 0 failed, "), "{typed:?}");
}

#[test]
fn ctrl_c_cancels_a_robots_txt_and_its_pages_stay_undone() {
    use std::io::{Read as _, Write as _};

    // In the second round the first response is a temporary failure; no other response follows.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for first in [None, Some(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")] {
        let dir = TempDir::new("robots");
        let out = dir.join("out.jsonl");
        let running = Running::start([&*format!("http://{address}/"), "--robots", "-o", out.to_str().unwrap()]);
        let mut asked = silent.accept().unwrap().0;
        if let Some(answer) = first {
            assert!(asked.read(&mut [0; 1_000]).unwrap() > 0);
            asked.write_all(answer).unwrap();
            asked = silent.accept().unwrap().0;
        }
        assert!(asked.read(&mut [0; 1_000]).unwrap() > 0);
        let begun = std::time::Instant::now();
        running.signal("INT");
        let run = running.finish();
        assert!(first.is_some() || begun.elapsed().as_secs_f64() < 4.5, "without the grace of 5 s");
        assert_eq!((run.code, &*run.stdout), (Some(130), ""), "{run:?}");
        assert!(run.last().starts_with("0 pages, 0 failed, "), "{run:?}");
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "", "it is undone");
    }
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let site = Site::start();
    let mut running = Running::start([site.url("/?hold=head")]);
    until("it is under way", || site.counts().held == 1);
    let begun = std::time::Instant::now();
    until("it has ended", || {
        running.signal("INT");
        running.has_ended()
    });
    assert!(begun.elapsed().as_secs_f64() < 4.5, "without the grace of 5 s");
    let run = running.finish();
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.last().starts_with("0 pages, 0 failed, 1 given up, "), "{run:?}");
}

#[test]
fn a_closed_stdout_ends_it_without_an_error() {
    for json in [false, true] {
        let site = Site::start();
        let mut running = Running::start(["-i", "-"].into_iter().chain(json.then_some("-o-")));
        let url = site.url("/");
        running.feed(std::iter::repeat_with(move || url.clone()));
        let mut first = String::new();
        BufReader::new(running.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.ends_with('\n') && first.contains(&site.url("/")), "{first}");
        let run = running.finish();
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run:?}");
    }
}

#[test]
fn ctrl_c_ends_it_even_if_its_output_is_not_read() {
    let site = Site::start();
    let mut running = Running::start(["-i-", "-c10"]);
    let url = site.url(&format!("/{}", "x".repeat(1_000)));
    running.feed(std::iter::repeat_with(move || url.clone()));
    let (mut before, mut same) = (0, 0);
    until("it has stopped asking, for a quarter of a second", || {
        let now = site.counts().requests;
        same = if now == before && now > 0 { same + 1 } else { 0 };
        before = now;
        same > 100
    });
    // The pipe's 64 KiB, two batches, and the pages under way.
    assert!(before < 400, "it went on without a reader: {before}");
    running.signal("INT");
    until("it has ended", || running.has_ended());
    assert_eq!(running.finish().code, Some(130));
}

#[test]
fn fail_fast_stops_at_the_first_failure() {
    let site = Site::start();
    for failure in [site.url("/?status=404"), "no url".into()] {
        let mut running = Running::start(["-i-", "-c3", "--fail-fast"]);
        let lines = [site.url("/1"), site.url("/?hold=head"), failure];
        let more = site.url("/?hold=head");
        running.feed(lines.into_iter().chain(std::iter::repeat_with(move || more.clone())));
        let run = running.finish();
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.last().contains(" 1 failed, ") && run.last().contains(" given up, "), "{run:?}");
    }
    let run = fetch(["--fail-fast", &site.url("/1"), &site.url("/2")], "");
    assert_eq!(run.code, Some(0), "{run:?}");
}
