//! The programs of `examples/`, run against local servers. `cargo test -p trunkline` builds them.

use std::ffi::OsStr;
use std::fs;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use trunkline::Session;

use crate::support::{Httpbin, Rogue, Step, TempDir};
use crate::{EXAMPLE_LIMIT, within};

/// A command that runs the example as built together with this test binary.
///
/// # Panics
/// If cargo has not built the examples, as with `cargo test --test it`. (`--examples` would build
/// their unit tests, not the programs.)
fn example(name: &str) -> Command {
    // target/debug/deps/it-… → target/debug/examples/NAME
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: `cargo test -p trunkline` builds it; before `--test it`, run `cargo build --examples`",
        program.display()
    );
    let mut command = Command::new(program);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs the example to its end and returns the lines of its output.
async fn run<A: AsRef<OsStr>>(name: &str, arguments: &[A]) -> Vec<String> {
    let output = within(EXAMPLE_LIMIT, example(name).args(arguments).output()).await.unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn example_get_prints_status_type_and_text() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    let rogue = Rogue::start(vec![Step::ReadHead, Step::send(answer), Step::Drain]).await;
    let lines = run("get", &[rogue.url("/page")]).await;
    assert_eq!(lines, ["status: 200 OK", "content-type: text/plain", "hello"]);
    let request = &rogue.requests()[0];
    assert_eq!((request.line().as_str(), request.header("user-agent")), ("GET /page", Some("trunkline-example")));
}

#[tokio::test]
async fn example_json_sends_and_receives_a_value() {
    let httpbin = Httpbin::shared().await;
    assert_eq!(run("json", &[httpbin.url("/post")]).await, ["received 2 of tea"]);
}

#[tokio::test]
async fn example_upload_file_sends_the_file() {
    let dir = TempDir::new("example-upload");
    let file = dir.write("data.txt", "the content");
    let rogue = Rogue::start(Step::serve("")).await;
    let lines = run("upload_file", &[rogue.url("/data"), file.display().to_string()]).await;
    assert_eq!(lines, [format!("{}: 200 OK", file.display())]);
    let request = &rogue.requests()[0];
    assert_eq!((request.line().as_str(), request.body.as_slice()), ("PUT /data", b"the content".as_slice()));
    assert_eq!(request.header("expect"), Some("100-continue"));
}

#[tokio::test]
async fn example_download_file_saves_the_body() {
    let dir = TempDir::new("example-download");
    let file = dir.join("page.html");
    let rogue = Rogue::start(Step::serve("the page")).await;
    let lines = run("download_file", &[rogue.url("/"), file.display().to_string()]).await;
    assert_eq!(lines, [format!("8 bytes saved to {}", file.display())]);
    assert_eq!(fs::read_to_string(file).unwrap(), "the page");
}

#[tokio::test]
async fn example_multipart_sends_fields_and_files() {
    let httpbin = Httpbin::shared().await;
    let dir = TempDir::new("example-multipart");
    let file = dir.write("photo.txt", "the photo");
    let lines = run("multipart", &[httpbin.url("/post"), file.display().to_string()]).await;
    assert_eq!(lines[0], "status: 200 OK");
    let received: serde_json::Value = serde_json::from_str(&lines[1..].join("\n")).unwrap();
    assert_eq!(received["form"], serde_json::json!({ "title": "Holidays" }));
    assert_eq!(received["files"], serde_json::json!({ "attachment": "the photo", "notes": "day,place\n" }));
}

#[tokio::test]
async fn example_cookies_file_keeps_cookies_between_runs() {
    let dir = TempDir::new("example-cookies");
    let file = dir.join("cookies.txt").display().to_string();
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: color=blue; Path=/; Max-Age=1000\r\nContent-Length: 2\r\n\r\nok";
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::send(answer)])]).await;
    let url = rogue.url("/");
    assert_eq!(run("cookies_file", &[&url, &file]).await, ["0 cookies loaded", "ok", "1 cookies saved"]);
    assert_eq!(run("cookies_file", &[&url, &file]).await, ["1 cookies loaded", "ok", "1 cookies saved"]);
    let cookies: Vec<_> = rogue.requests().iter().map(|request| request.header("cookie").map(str::to_owned)).collect();
    assert_eq!(cookies, [None, Some("color=blue".to_owned())]);
}

#[tokio::test]
async fn example_timeouts_prints_the_exceeded_limit() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let url = rogue.url("/slow");
    let lines = run("timeouts", &[&url]).await;
    assert!(lines[0].starts_with(&format!("GET {url}: ")), "{lines:?}");
    assert_eq!(lines[1..], ["phase: Some(Response)", "sent: Maybe"]);
}

#[tokio::test]
async fn example_many_requests_keeps_to_the_limit_per_host() {
    let rogue = Rogue::start(Step::serve("ten bytes.")).await;
    let lines = run("many_requests", &[rogue.url("/"), "50".to_owned()]).await;
    assert_eq!(lines[0], "50 of 50 requests succeeded: 500 bytes");
    assert!(lines[1].ends_with(" connections made"), "{lines:?}");
    assert_eq!(rogue.requests().len(), 50);
    assert!(rogue.log().max_open <= 4, "{}", rogue.log().max_open);
}

#[tokio::test]
async fn example_statistics_counts_connections_by_host() {
    let (one, two) = (Rogue::start(Step::serve("1")).await, Rogue::start(Step::serve("2")).await);
    let lines = run("statistics", &[one.url("/"), two.url("/")]).await;
    assert_eq!(lines[..2], ["open: 2, idle: 2, in use: 0, waiting: 0", "created: 2, reused: 4"]);
    assert!(lines[2].starts_with("half of the connections were made within "), "{lines:?}");
    for rogue in [&one, &two] {
        assert!(lines.contains(&format!("{}: 1 open", rogue.address())), "{lines:?}");
    }
    assert_eq!(lines.last().unwrap(), "closed, Closed: 2");
}

#[tokio::test]
async fn example_tower_layer_sets_a_header() {
    let rogue = Rogue::start(Step::serve("done")).await;
    assert_eq!(run("tower_layer", &[rogue.url("/")]).await, ["status: 200 OK", "done"]);
    assert_eq!(rogue.requests()[0].header("x-tenant"), Some("blue"));
}

#[tokio::test]
async fn example_resolver_answers_for_a_name() {
    let rogue = Rogue::start(Step::serve("hello")).await;
    assert_eq!(run("resolver", &[rogue.url_at("api.test", "/")]).await, ["answered by 127.0.0.1", "hello"]);
    let host = format!("api.test:{}", rogue.port());
    assert_eq!(rogue.requests()[0].header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn example_axum_forwards_and_closes_after_ctrl_c() {
    let httpbin = Httpbin::shared().await;
    let mut command = example("axum");
    let mut server = command.arg(httpbin.url("")).env("LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let first = within(EXAMPLE_LIMIT, lines.next_line()).await.unwrap().unwrap();
    let (url, target) = first.split_once(" forwards to ").unwrap();
    assert_eq!(target, httpbin.url(""));

    let session = Session::new();
    let echo = async { session.post(url).body("hello").await?.json::<serde_json::Value>().await };
    let echo = within(EXAMPLE_LIMIT, echo).await.unwrap();
    assert_eq!(echo["form"]["data"], "hello");
    session.close().await;

    let interrupt = Command::new("kill").args(["-INT", &server.id().unwrap().to_string()]).status();
    assert!(interrupt.await.unwrap().success());
    let mut last = String::new();
    while let Some(line) = within(EXAMPLE_LIMIT, lines.next_line()).await.unwrap() {
        last = line;
    }
    assert!(last.starts_with("closed: "), "{last}");
    assert!(within(EXAMPLE_LIMIT, server.wait()).await.unwrap().success());
}

#[tokio::test]
async fn example_site_lists_pages_and_counts_requests() {
    let mut command = example("site");
    let mut server = command.args(["--pages", "3"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let url = within(EXAMPLE_LIMIT, lines.next_line()).await.unwrap().unwrap();

    let session = Session::new();
    let get = async |url: String| within(EXAMPLE_LIMIT, async { session.get(url).await?.text().await }).await.unwrap();
    let pages = get(format!("{url}/urls")).await;
    assert_eq!(pages.lines().count(), 3);
    for page in pages.lines() {
        assert!(get(page.to_owned()).await.contains("<h1>Page "));
    }
    let figures = get(format!("{url}/")).await;
    assert!(figures.starts_with("the site answered 3 requests for pages, over 1 connections\n"), "{figures}");
    session.close().await;
}
