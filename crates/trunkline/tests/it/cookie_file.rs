//! The cookie file: compatible with curl, private to its owner, replaced atomically.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::process::Command;
use trunkline::{CookieJar, Session};
use url::Url;

use crate::support::{Rogue, Step, TempDir};
use crate::{SOON, eventually, within};

const SITE: &str = "http://www.shop.test/";

/// Cookies that a site sets; some of them match `SITE`.
const SET: &str = "HTTP/1.1 200 OK\r\n\
    Set-Cookie: session=1; Path=/; HttpOnly\r\n\
    Set-Cookie: lasting=2; Path=/; Max-Age=5000; Domain=shop.test\r\n\
    Set-Cookie: dated=3; Path=/in; Expires=Wed, 01 Jan 2098 00:00:00 GMT; HttpOnly; Domain=shop.test\r\n\
    Set-Cookie: empty=; Path=/\r\n\
    Set-Cookie: over=4; Path=/; Max-Age=0\r\n\
    Content-Length: 0\r\n\r\n";

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// Runs curl against the rogue as if that were `www.shop.test`.
async fn curl(rogue: &Rogue, path: &str, options: &[&str]) {
    let connect = format!("www.shop.test:80:127.0.0.1:{}", rogue.port());
    let address = format!("http://www.shop.test{path}");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--connect-to", &connect, "--output", "/dev/null"]);
    let run = command.args(options).arg(address).kill_on_drop(true).output();
    let run = within(SOON, run).await.expect("curl has to be installed: ./test does it");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn what_curl_has_written_is_read() {
    let dir = TempDir::new("curl-to-us");
    let file = dir.join("cookies.txt");
    let rogue = Rogue::start(vec![Step::ReadHead, Step::send(SET)]).await;
    curl(&rogue, "/", &["--cookie-jar", file.to_str().unwrap()]).await;

    let jar = within(SOON, CookieJar::load(&file)).await.unwrap();
    let sent: Vec<_> = jar.matching(&url(SITE)).iter().map(|cookie| cookie.name().into_owned()).collect();
    assert!(
        sent.len() == 3 && ["session", "lasting", "empty"].iter().all(|&name| sent.contains(&name.into())),
        "{sent:?}"
    );
    let get = |address: &str, name: &str| jar.get(&url(address), name);
    let session = get(SITE, "session").unwrap();
    assert_eq!(
        (session.value(), session.expires(), session.http_only(), session.host_only()),
        ("1".into(), None, true, true)
    );
    let lasting = get("http://a.shop.test/", "lasting").unwrap();
    let left = lasting.expires().unwrap().duration_since(SystemTime::now()).unwrap();
    assert!((4_000..=5_000).contains(&left.as_secs()) && !lasting.http_only(), "{left:?}");
    assert!(get("http://shop.test/in/x", "dated").unwrap().http_only());
    assert_eq!((get("http://shop.test/", "session"), get("http://shop.test/", "dated"), jar.len()), (None, None, 4));
}

#[tokio::test]
async fn what_is_written_here_is_sent_by_curl() {
    let dir = TempDir::new("us-to-curl");
    let file = dir.join("cookies.txt");
    let jar = CookieJar::new();
    for cookie in SET.lines().filter_map(|line| line.strip_prefix("Set-Cookie: ")) {
        jar.set(&url(SITE), cookie).unwrap();
    }
    jar.set(&url("http://other.test/"), "stranger=1").unwrap();
    jar.set(&url("https://www.shop.test/"), "tls=1; Secure").unwrap();
    jar.set(&url("http://shop.test/"), "parent=1").unwrap();
    within(SOON, jar.save(&file)).await.unwrap();

    let rogue = Rogue::start(Step::serve("")).await;
    let back = dir.join("back.txt");
    curl(&rogue, "/in/x", &["--cookie", file.to_str().unwrap(), "--cookie-jar", back.to_str().unwrap()]).await;
    let sent = rogue.requests()[0].header("cookie").unwrap().to_owned();
    let mut sent: Vec<_> = sent.split("; ").collect();
    sent.sort_unstable();
    assert_eq!(sent, ["dated=3", "empty=", "lasting=2", "session=1"]);

    // And there and back again nothing is lost.
    let again = within(SOON, CookieJar::load(&back)).await.unwrap();
    let lines = |jar: &CookieJar| {
        let file = String::from_utf8(jar.to_netscape()).unwrap();
        let mut lines: Vec<_> = file.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&again), lines(&jar));
}

#[tokio::test]
async fn a_session_goes_on_where_the_last_one_ended() {
    let dir = TempDir::new("resumed");
    let file = dir.join("cookies.txt");
    let rogue = Rogue::start([vec![Step::ReadHead, Step::send(SET)], Step::serve("")].concat()).await;
    let first = Session::new();
    within(SOON, first.get(rogue.url("/")).send()).await.unwrap();
    within(SOON, first.cookies().save(&file)).await.unwrap();
    first.close().await;

    let rogue = Rogue::start(Step::serve("")).await;
    let jar = within(SOON, CookieJar::load(&file)).await.unwrap();
    let second = Session::builder().cookie_jar(jar).build().unwrap();
    within(SOON, second.get(rogue.url("/")).send()).await.unwrap();
    assert_eq!(rogue.requests()[0].header("cookie"), Some("session=1; empty="));
}

#[tokio::test]
async fn only_its_owner_may_read_it_from_the_first_byte() {
    let dir = TempDir::new("mode");
    let (jar, file) = (CookieJar::new(), dir.join("cookies.txt"));
    jar.set(&url(SITE), "a=b").unwrap();
    // Also if the old file was readable by all users.
    for before in [None, Some(0o644), Some(0o666)] {
        if let Some(mode) = before {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        within(SOON, jar.save(&file)).await.unwrap();
        assert_eq!(mode(&file), 0o600);
    }
    assert_eq!(names(&dir), ["cookies.txt"]);
}

#[tokio::test]
async fn a_link_is_replaced_and_not_followed() {
    let dir = TempDir::new("link");
    let (target, link) = (dir.write("target", "precious"), dir.join("cookies.txt"));
    symlink(&target, &link).unwrap();
    within(SOON, CookieJar::new().save(&link)).await.unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_all_as_it_was() {
    let dir = TempDir::new("unwritable");
    let jar = CookieJar::new();
    fs::create_dir(dir.join("a-directory")).unwrap();
    let _listening = std::os::unix::net::UnixListener::bind(dir.join("no-file")).unwrap();
    for path in [dir.join("nowhere/cookies.txt"), dir.join("a-directory"), dir.join("no-file")] {
        let error = within(SOON, jar.save(&path)).await.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(path.to_str().unwrap()), "{error:?}");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.downcast_ref::<std::io::Error>().is_some(), "{error:?}");
    }
    let mut left = names(&dir);
    left.sort_unstable();
    assert_eq!(left, ["a-directory", "no-file"]);
}

#[tokio::test]
async fn nobody_ever_finds_half_a_file() {
    let dir = TempDir::new("atomic");
    let (jar, file) = (CookieJar::new(), dir.join("cookies.txt"));
    for number in 0..50 {
        jar.set(&url(SITE), format!("name{number}={}", "x".repeat(4_000))).unwrap();
    }
    within(SOON, jar.save(&file)).await.unwrap();
    let whole = fs::read(&file).unwrap();
    let saves: Vec<_> = (0..crate::soak(500, 20))
        .map(|_| {
            let (jar, file) = (jar.clone(), file.clone());
            tokio::spawn(async move { jar.save(file).await })
        })
        .collect();
    let mut read = 0;
    while read == 0 || saves.iter().any(|save| !save.is_finished()) {
        assert!(fs::read(&file).unwrap() == whole);
        read += 1;
        tokio::task::yield_now().await;
    }
    for save in saves {
        save.await.unwrap().unwrap();
    }
    assert_eq!(names(&dir), ["cookies.txt"]);
}

#[tokio::test]
async fn a_save_that_is_dropped_goes_on_by_itself() {
    let dir = TempDir::new("dropped");
    let (jar, file) = (CookieJar::new(), dir.join("cookies.txt"));
    jar.set(&url(SITE), "a=b").unwrap();
    let mut save = Box::pin(jar.save(&file));
    let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(save.as_mut().poll(cx).is_pending())).await;
    drop(save);
    eventually("the file is there", || file.exists()).await;
    assert!(fs::read_to_string(&file).unwrap().ends_with("\ta\tb\n"), "begun: {begun}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_with_its_line() {
    let dir = TempDir::new("unreadable");
    let missing = within(SOON, CookieJar::load(dir.join("none.txt"))).await.unwrap_err();
    let source = std::error::Error::source(&missing).unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
    assert!(missing.is_input() && missing.to_string().contains("none.txt"), "{missing:?}");

    let no_file = within(SOON, CookieJar::load("/dev/zero")).await.unwrap_err();
    assert!(format!("{no_file:?}").contains("not a regular file"), "{no_file:?}");

    let file = dir.write("odd.txt", "# Netscape HTTP Cookie File\n\n<html>se-cret</html>\n");
    let odd = within(SOON, CookieJar::load(&file)).await.unwrap_err();
    let text = format!("{odd} {}", std::error::Error::source(&odd).unwrap());
    assert!(text.contains("odd.txt") && text.contains("line 3 ") && !text.contains("se-cret"), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3, "it is as it was");
}

#[tokio::test]
async fn session_cookies_are_saved_unless_they_are_cleared() {
    let dir = TempDir::new("cleared");
    let (jar, file) = (CookieJar::new(), dir.join("cookies.txt"));
    jar.set(&url(SITE), "session=1").unwrap();
    jar.set(&url(SITE), "lasting=1; Max-Age=100").unwrap();
    within(SOON, jar.save(&file)).await.unwrap();
    assert_eq!(within(SOON, CookieJar::load(&file)).await.unwrap().len(), 2);
    jar.clear_session();
    within(SOON, jar.save(&file)).await.unwrap();
    let kept = within(SOON, CookieJar::load(&file)).await.unwrap().all();
    assert_eq!(kept.iter().map(|cookie| cookie.name().into_owned()).collect::<Vec<_>>(), ["lasting"]);
    assert!(kept[0].expires().unwrap() > SystemTime::now() + Duration::from_secs(50));
}
