//! `--resume`: one complete line per URL after any interruption.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::servers::TempDir;
use crate::support::{Finished, Running, Site, fetch, soak, until};

fn lines(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "whole lines");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn resumed(input: &Path, out: &Path, more: &[&str]) -> Finished {
    let files = ["-i", input.to_str().unwrap(), "-o", out.to_str().unwrap(), "--resume"];
    fetch(files.iter().chain(more), "")
}

/// Interrupts runs at different moments, until one ends by itself.
fn interrupted_by(signal: &str) {
    let pages = soak(5_000, 400);
    let (site, dir) = (Site::start(), TempDir::new("resume"));
    let urls: Vec<_> = (0..pages).map(|page| site.url(&format!("/{page}?delay=2"))).collect();
    let input = dir.write("urls.txt", urls.join("\n"));
    let (out, bodies) = (dir.join("out.jsonl"), dir.join("bodies"));
    let more = ["-c8", "--bodies", bodies.to_str().unwrap()];
    let files = ["-i", input.to_str().unwrap(), "-o", out.to_str().unwrap(), "--resume"];
    for round in 1..=soak(20, 4) {
        let goal = site.counts().requests + pages / 40 + 7 * round;
        let mut running = Running::start(files.iter().chain(&more));
        until("it has fetched some, or all", || site.counts().requests >= goal || running.has_ended());
        running.signal(signal);
        running.finish();
    }
    let run = resumed(&input, &out, &more);
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines = lines(&out);
    let fetched: BTreeSet<_> = lines.iter().map(|line| line["url"].as_str().unwrap().to_owned()).collect();
    assert_eq!((lines.len(), fetched), (pages, urls.into_iter().collect()));
    assert_eq!(fs::read_dir(&bodies).unwrap().count(), pages, "a file for each, and none half made");
}

#[test]
fn after_ctrl_c_each_url_is_there_once() {
    interrupted_by("INT");
}

#[test]
fn after_kill_9_each_url_is_there_once() {
    interrupted_by("KILL");
}

#[test]
fn failed_pages_are_fetched_again_and_duplicates_are_not() {
    let (site, dir) = (Site::start(), TempDir::new("again"));
    let urls = ["/a", "/?status=404", "/b", "/a#top", "/b"].map(|path| site.url(path));
    let (input, out) = (dir.write("urls.txt", urls.join("\n")), dir.join("out.jsonl"));
    for (skipped, requests) in [(2, 3), (4, 4)] {
        let run = resumed(&input, &out, &["-c1"]);
        assert!(run.code == Some(1) && run.last().contains(&format!(" {skipped} skipped, ")), "{run:?}");
        assert_eq!((lines(&out).len(), site.counts().requests), (3, requests));
    }
    // A page without its file is not done.
    let bodies = dir.join("bodies");
    resumed(&input, &out, &["--bodies", bodies.to_str().unwrap()]);
    assert_eq!((lines(&out).len(), fs::read_dir(&bodies).unwrap().count()), (3, 2));
    // A page with a truncated file is not done, such as after a power failure.
    let (file, before) = (fs::read_dir(&bodies).unwrap().next().unwrap().unwrap().path(), site.counts().requests);
    fs::write(&file, "xxx").unwrap();
    resumed(&input, &out, &["--bodies", bodies.to_str().unwrap()]);
    assert_eq!((site.counts().requests, fs::metadata(&file).unwrap().len()), (before + 2, 12), "it, and what failed");
}

#[test]
fn a_file_that_cannot_be_resumed_is_refused_and_unchanged() {
    let (site, dir) = (Site::start(), TempDir::new("refused"));
    let (url, notes) = (site.url("/"), dir.write("notes.txt", "my notes\nof today"));
    let notes = notes.to_str().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["--resume", "-o", notes], "line 1 is not a line of"),
        (&["--resume", "-o-"], "standard output cannot be read again"),
        (&["--resume", "-o", "/dev/null"], "regular file"),
        (&["--resume"], "--output"),
    ];
    for (arguments, words) in cases {
        let run = fetch([&*url].iter().chain(arguments), "");
        assert!(run.code == Some(2) && run.stderr.contains(words), "{run:?}");
    }
    assert_eq!(fs::read_to_string(notes).unwrap(), "my notes\nof today");
    assert_eq!(site.counts().requests, 0);
}
