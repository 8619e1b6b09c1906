//! `--cookies`: the file is written at each kind of end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::servers::TempDir;
use crate::support::{Running, Site, fetch, until};

/// Cookies of the last request.
fn sent(site: &Site) -> Option<String> {
    let head = site.counts().heads.pop().unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(name, _)| name.eq_ignore_ascii_case("cookie")).map(|(_, value)| value.to_owned())
}

#[test]
fn cookies_outlive_the_run_in_a_file_of_their_own() {
    let (site, dir) = (Site::start(), TempDir::new("cookies"));
    let path = dir.join("jar.txt");
    let file = path.to_str().unwrap();
    let run = fetch([&*site.url("/?set=a=1"), "--cookies", file], "");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fetch([&*site.url("/from?to=/?set=b=2"), "--cookies", file], "");
    let run = fetch([&*site.url("/?status=404&set=c=3"), "--cookies", file, "-H", "Cookie: by=hand"], "");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(sent(&site).unwrap(), "by=hand; a=1; b=2");
    fetch([&*site.url("/"), "--cookies", file], "");
    assert_eq!(sent(&site).unwrap(), "a=1; b=2; c=3");
    fetch([&*site.url("/")], "");
    assert_eq!(sent(&site), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn within_a_run_they_go_along_without_a_file() {
    let site = Site::start();
    let run = fetch([&*site.url("/?set=a=1&to=/there")], "");
    assert_eq!((run.code, sent(&site).as_deref()), (Some(0), Some("a=1")), "{run:?}");
}

#[test]
fn the_file_is_written_after_ctrl_c_and_after_a_second_one() {
    for twice in [false, true] {
        let (site, other, dir) = (Site::start(), Site::start(), TempDir::new("cookies"));
        let path = dir.join("jar.txt");
        let urls = [other.url("/?set=a=1"), site.url("/?hold=head")];
        let mut running =
            Running::start(urls.iter().map(String::as_str).chain(["-c1", "--cookies", path.to_str().unwrap()]));
        until("one has come, one is under way", || site.counts().held == 1);
        running.signal("INT");
        if twice {
            until("it has ended", || {
                running.signal("INT");
                running.has_ended()
            });
        } else {
            until("it has heard: the idle connection is closed", || other.counts().open == 0);
            site.release();
        }
        let run = running.finish();
        assert_eq!(run.code, Some(130), "{run:?}");
        assert!(fs::read_to_string(&path).unwrap().ends_with("\ta\t1\n"), "{run:?}");
    }
}

#[test]
fn the_output_is_another_file_however_its_path_is_written() {
    let dir = TempDir::new("cookies");
    fs::create_dir(dir.join("inside")).unwrap();
    let (cookies, output) = (dir.join("jar.txt"), dir.join("inside/../jar.txt"));
    let files = ["--cookies", cookies.to_str().unwrap(), "--output", output.to_str().unwrap()];
    // The file does not exist in the first round and exists in the second.
    for _ in 0..2 {
        let run = fetch(["http://127.0.0.1:1/"].into_iter().chain(files), "");
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("is the cookie file as well"), "{run:?}");
        fs::write(&cookies, "").unwrap();
    }
}

#[test]
fn a_cookie_file_that_cannot_be_written_is_a_failure() {
    let (site, dir) = (Site::start(), TempDir::new("cookies"));
    let inside = dir.join("inside");
    fs::create_dir(&inside).unwrap();
    let path = inside.join("jar.txt");
    let running = Running::start([&*site.url("/?hold=head"), "--cookies", path.to_str().unwrap()]);
    until("it is under way", || site.counts().held == 1);
    fs::remove_dir(&inside).unwrap();
    site.release();
    let run = running.finish();
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.starts_with("200 ") && run.last().contains("jar.txt"), "{run:?}");
}

#[test]
fn an_unwritable_directory_is_reported_before_the_first_page() {
    let site = Site::start();
    // Root cannot create a file there either.
    let run = fetch([&*site.url("/"), "--cookies", "/proc/jar.txt"], "");
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("\"/proc\" has to be writable"), "{run:?}");
    assert!(site.counts().heads.is_empty());
}

#[test]
fn a_link_stays_one_and_what_it_leads_to_is_written() {
    let (site, dir) = (Site::start(), TempDir::new("link"));
    fs::create_dir(dir.join("inside")).unwrap();
    let (target, link, other) = (dir.join("inside/jar.txt"), dir.join("link.txt"), dir.join("other.txt"));
    std::os::unix::fs::symlink("inside/jar.txt", &link).unwrap();
    std::os::unix::fs::symlink(&link, &other).unwrap();
    // A missing file, an existing file, and a link to a link.
    for (path, cookie, cookies) in [(&link, "a=1", 1), (&link, "b=2", 2), (&other, "c=3", 3)] {
        let run = fetch([&*site.url(&format!("/?set={cookie}")), "--cookies", path.to_str().unwrap()], "");
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(fs::symlink_metadata(path).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap().matches("127.0.0.1\t").count(), cookies);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}
