//! `--bodies`: one complete file per page, under a safe name.

use std::fs;
use std::path::Path;

use crate::servers::nginx::BIG;
use crate::servers::{Nginx, TempDir};
use crate::support::{Running, Site, fetch, until};

/// Names and sizes, in order.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect();
    files.sort_unstable();
    files
}

#[test]
fn hostile_urls_get_safe_and_unique_names() {
    let (site, other) = (Site::start(), Site::start_at("127.0.0.2"));
    let dir = TempDir::new("bodies");
    let inside = dir.join("new/pages");
    let long = format!("/{}?size=3", "long/".repeat(5_000));
    let paths = [
        "/../../etc/passwd",
        "/..%2f..%2fetc",
        "/a/b",
        "/a_b",
        "/A/B",
        "/a/b",
        "//",
        "/%00.%2e",
        "/\u{e9}?q=\\..\\",
        &long,
    ];
    let mut urls: Vec<_> = paths.iter().map(|path| site.url(path)).collect();
    urls.push(other.url("/a/b"));
    urls.push(site.url("/x").replace("http://", "http://ann:pass-word@"));
    let run = fetch(["-i-", "-o-", "--bodies", inside.to_str().unwrap()], urls.join("\n"));
    assert_eq!(run.code, Some(0), "{run:?}");

    let files = files(&inside);
    assert_eq!(files.len(), urls.len(), "{files:?}");
    for (number, (name, size)) in files.iter().enumerate() {
        assert!(name.starts_with(&format!("{:06}-127.0.0.", number + 1)), "{name}");
        assert!(
            name.len() < 200 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
            "{name}"
        );
        assert!(!name.contains("ann") && !name.contains("pass-word"), "{name}");
        assert_eq!(*size, if urls[number].ends_with("size=3") { 3 } else { 12 }, "{name}");
    }
    let named: Vec<_> = run.json().iter().map(|line| line["file"].as_str().unwrap().to_owned()).collect();
    assert!(files.iter().all(|(name, _)| named.contains(name)), "{named:?}");
    assert_eq!(fs::read_dir(dir.join("new")).unwrap().count(), 1, "nothing beside the directory");
}

#[test]
fn only_complete_pages_have_a_file() {
    let site = Site::start();
    let dir = TempDir::new("whole");
    let urls = ["/?cut&size=300000", "/?status=404", "/big?size=1000000", "/none?size=0", "/from?to=/target"]
        .map(|path| site.url(path));
    let run = fetch(["--bodies", dir.path().to_str().unwrap()].into_iter().chain(urls.iter().map(String::as_str)), "");
    assert_eq!(run.code, Some(1), "{run:?}");
    let address = site.address().to_string().replace(':', "_");
    let expected = [("3", "big_size_1000000", 1_000_000), ("4", "none_size_0", 0), ("5", "from_to__target", 12)];
    assert_eq!(
        files(dir.path()),
        expected.map(|(number, name, size)| (format!("00000{number}-{address}_{name}"), size))
    );
    let big = fs::read(dir.join(&format!("000003-{address}_big_size_1000000"))).unwrap();
    assert!(big.iter().all(|&byte| byte == b'x'));
}

#[test]
fn an_incomplete_file_never_appears() {
    let site = Site::start();
    let dir = TempDir::new("held");
    let url = site.url("/?hold=body&size=400000");
    let mut running = Running::start([&*url, "--bodies", dir.path().to_str().unwrap()]);
    until("half of it is on the way to the disk", || files(dir.path()).iter().any(|(_, size)| *size > 0));
    assert!(files(dir.path()).iter().all(|(name, _)| name.ends_with(".part")), "{:?}", files(dir.path()));
    // The system merges pending signals of one number, so they are sent until the end.
    until("it is given up", || {
        running.signal("INT");
        running.has_ended()
    });
    assert_eq!(files(dir.path()), []);
    assert_eq!(running.finish().code, Some(130));
}

#[test]
fn a_page_that_cannot_be_kept_is_a_failure() {
    let site = Site::start();
    let dir = TempDir::new("blocked");
    let in_the_way = dir.join(&format!("000001-{}", site.address().to_string().replace(':', "_")));
    fs::create_dir(&in_the_way).unwrap();
    let run = fetch(["--bodies", dir.path().to_str().unwrap(), &site.url("/"), &site.url("/2")], "");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("cannot write ") && run.last().starts_with("2 pages, 1 failed, "), "{run:?}");
    assert_eq!(files(dir.path()).len(), 2);
}

#[tokio::test]
async fn a_compressed_page_is_saved_and_counted_decoded() {
    let nginx = Nginx::builder().extra("gzip on; gzip_types *; gzip_min_length 1;").start().await;
    let dir = TempDir::new("decoded");
    let run = fetch(["-o-", "--bodies", dir.path().to_str().unwrap(), &nginx.url("/big")], "");
    let line = &run.json()[0];
    assert_eq!((run.code, &line["bytes"]), (Some(0), &BIG.into()), "{run:?}");
    let file = fs::read(dir.join(line["file"].as_str().unwrap())).unwrap();
    assert!(file.len() as u64 == BIG && file.iter().all(|byte| *byte == 0));
}
