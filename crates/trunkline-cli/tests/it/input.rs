//! Input of URLs, and its invalid lines.

use crate::servers::TempDir;
use crate::support::{Running, Site, fetch, until};

#[test]
fn invalid_lines_are_located_and_do_not_stop_the_run() {
    let site = Site::start();
    let dir = TempDir::new("lines");
    let mut text = format!("# a comment\n\n{}\r\nnot a url\nftp://example.com/\n", site.url("/1")).into_bytes();
    text.extend_from_slice(b"http://127.0.0.1/\xFF\n");
    text.extend_from_slice(format!("http://127.0.0.1/{}\n   {}  ", "x".repeat(70_000), site.url("/2")).as_bytes());
    let file = dir.write("urls.txt", text);
    let name = file.to_str().unwrap();
    let run = fetch(["-i", name], "");
    assert_eq!(run.code, Some(1), "{run:?}");
    let mut places: Vec<_> = run.stderr.lines().filter_map(|line| line.strip_prefix(name)?.split(' ').next()).collect();
    places.sort_unstable();
    assert_eq!(places, [":4:", ":5:", ":6:", ":7:"], "{run:?}");
    assert!(run.stderr.contains(":4: \"not a url\" is not an http or https URL"), "{run:?}");
    let fetched: Vec<_> = run.lines().into_iter().filter(|line| line.starts_with("200 ")).collect();
    assert_eq!(fetched, ["/1", "/2"].map(|path| format!("200 12 {}", site.url(path))));
    assert!(run.last().starts_with("6 pages, 4 failed, 24 B in "), "{run:?}");
}

#[test]
fn standard_input_is_called_stdin_and_cannot_break_a_line() {
    let run = fetch(["-i-"], "\n\u{1b}[2Jhttp\t://x\n");
    assert!(run.stderr.starts_with("stdin:2: "), "{run:?}");
    assert!(!run.stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'), "{run:?}");
}

#[test]
fn an_input_without_urls_is_no_failure() {
    let run = fetch(["-i-"], "# nothing today\n");
    assert_eq!((run.code, &*run.stdout), (Some(0), ""), "{run:?}");
    assert!(run.last().starts_with("0 pages, 0 failed, 0 B in "), "{run:?}");
}

#[test]
fn a_line_is_fetched_before_the_input_ends() {
    use std::io::Write as _;

    let site = Site::start();
    let mut running = Running::start(["-i-"]);
    let mut input = running.stdin.take().unwrap();
    for page in 1..4 {
        // The incomplete line after the URL does not delay the URL.
        write!(input, "{}\n# and a comment\nhttp://half-a-li", site.url("/")).unwrap();
        until("the page is asked for", || site.counts().requests == page);
        writeln!(input, "ne.invalid:port/").unwrap();
    }
    drop(input);
    let run = running.finish();
    assert_eq!(run.stdout.matches("200 12 ").count(), 3, "{run:?}");
}
