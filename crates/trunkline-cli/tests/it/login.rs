//! `trunkline login`: Django's admin, Jupyter Server, and each source of the password.

use std::fs;
use std::process::Command;

use crate::servers::TempDir;
use crate::support::sites::django::{self, Django};
use crate::support::sites::jupyter::{self, Jupyter};
use crate::support::sites::site::Site;
use crate::support::{Finished, Running, fetch, on_a_terminal, shown_on_a_terminal};

const USER: &str = "username=ann";
const IN_ENV: [&str; 2] = ["--password-env", "SITE_PASSWORD"];

fn login<'a>(arguments: impl IntoIterator<Item = &'a str>, password: &str) -> Finished {
    Running::command("login", arguments, [("SITE_PASSWORD", password)]).finish()
}

fn curl<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let run = Command::new("curl").args(["-sS", "--fail-with-body"]).args(arguments).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap()
}

#[tokio::test]
async fn fetch_and_curl_share_the_cookies_of_a_django_login() {
    let (django, dir) = (Django::start().await, TempDir::new("django"));
    let (jar, curls) = (dir.join("jar.txt"), dir.join("curl.txt"));
    let (jar, curls, pages) = (jar.to_str().unwrap(), curls.to_str().unwrap(), dir.join("pages"));
    let (at, users) = (django.url("/admin/login/?next=/admin/"), django.url("/admin/auth/user/"));

    let run = login([&*at, "--field", USER, IN_ENV[0], IN_ENV[1], "--cookies", jar], django::PASSWORD);
    let told = format!("logged in: {} (200 OK); 2 cookies in {jar:?}\n", django.url("/admin/"));
    assert_eq!((run.code, run.stdout, &*run.stderr), (Some(0), told, ""));

    let run = fetch([&*users, "--cookies", jar, "--bodies", pages.to_str().unwrap(), "-o-"], "");
    assert_eq!(run.json()[0]["final_url"], users, "{run:?}");
    let page = fs::read_to_string(pages.join(run.json()[0]["file"].as_str().unwrap())).unwrap();
    assert!(page.contains("ann@example.com"));
    assert!(curl(["-b", jar, &users]).contains("ann@example.com"));

    // curl logs in by hand, and `trunkline fetch` uses its cookies.
    let form = curl(["-c", curls, &at]);
    let (_, token) = form.split_once("name=\"csrfmiddlewaretoken\" value=\"").unwrap();
    let fields = [
        format!("csrfmiddlewaretoken={}", token.split('"').next().unwrap()),
        USER.to_owned(),
        format!("password={}", django::PASSWORD),
    ];
    let fields = fields.iter().flat_map(|field| ["--data-urlencode", field]);
    curl(["-b", curls, "-c", curls, &at].into_iter().chain(fields));
    let run = fetch([&*users, "--cookies", curls, "-o-"], "");
    assert_eq!((run.code, &run.json()[0]["final_url"]), (Some(0), &users.into()), "{run:?}");
}

#[tokio::test]
async fn a_wrong_password_is_one_clear_error_and_changes_no_file() {
    let (django, dir) = (Django::start().await, TempDir::new("wrong"));
    let jar = dir.write("jar.txt", "# Netscape HTTP Cookie File\nexample.com\tFALSE\t/\tFALSE\t0\tkept\t1\n");
    let before = fs::read(&jar).unwrap();
    let at = django.url("/admin/login/");
    let arguments = [&*at, "--field", USER, IN_ENV[0], IN_ENV[1], "--cookies", jar.to_str().unwrap()];
    let run = login(arguments, "wr0ng-pass");
    let expected = "error: login failed: the password form is still there: Please enter the correct username";
    assert!(run.stderr.starts_with(expected) && run.stderr.lines().count() == 1, "{run:?}");
    assert_eq!((run.code, &*run.stdout, run.stderr.contains("wr0ng-pass")), (Some(1), "", false), "{run:?}");
    assert_eq!(fs::read(&jar).unwrap(), before);

    // `fetch` fails in the same way, fetches nothing, and leaves earlier results unchanged.
    let out = dir.write("out.jsonl", "yesterday's");
    let url = django.url("/admin/");
    let mut arguments = vec![&*url, "--login", &at, "-o", out.to_str().unwrap()];
    arguments.extend(&[["--field", USER], IN_ENV].concat());
    let run = Running::command("fetch", arguments, [("SITE_PASSWORD", "wr0ng-pass")]).finish();
    assert!(run.stderr.starts_with(expected) && run.stderr.lines().count() == 1, "{run:?}");
    assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{run:?}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "yesterday's");

    // It creates no new file, with or without --resume.
    for more in [None, Some("--resume")] {
        let new = dir.join("new.jsonl");
        let mut arguments = vec![&*url, "--login", &at, "-o", new.to_str().unwrap()];
        arguments.extend([["--field", USER], IN_ENV].concat().into_iter().chain(more));
        let run = Running::command("fetch", arguments, [("SITE_PASSWORD", "wr0ng-pass")]).finish();
        assert_eq!((run.code, new.exists()), (Some(1), false), "{run:?}");
    }
}

#[tokio::test]
async fn jupyter_server_accepts_only_the_right_password() {
    let (jupyter, dir) = (Jupyter::start().await, TempDir::new("jupyter"));
    let jar = dir.join("jar.txt");
    let jar = jar.to_str().unwrap();
    let (at, contents) = (jupyter.url("/login?next=%2Fapi%2Fcontents"), jupyter.url("/api/contents"));
    let expected = ["--expect", "status=200", "--expect", "url=/api/contents", "--cookies", jar];
    let run = login([&*at, IN_ENV[0], IN_ENV[1]].into_iter().chain(expected), "wr0ng");
    let told = format!(
        "error: login failed: {} answers with the status 401 Unauthorized, not 200 OK: Invalid credentials\n",
        jupyter.url("/login")
    );
    assert_eq!((run.code, run.stderr, &*run.stdout), (Some(1), told, ""));
    assert!(!dir.join("jar.txt").exists());

    assert_eq!(fetch([&*contents], "").code, Some(1));
    let run = login([&*at, IN_ENV[0], IN_ENV[1]].into_iter().chain(expected), jupyter::PASSWORD);
    assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run:?}");
    assert_eq!(fetch([&*contents, "--cookies", jar], "").code, Some(0));
    assert!(curl(["-b", jar, &contents]).contains("\"type\": \"directory\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_comes_from_a_file_a_variable_or_stdin() {
    let (site, dir) = (Site::start(10).await, TempDir::new("sources"));
    let file = dir.write("password", "s3cret\n");
    let at = site.url("/login");
    for source in [vec!["--password-file", file.to_str().unwrap()], IN_ENV.to_vec(), vec!["--password-file", "-"]] {
        let arguments = [&*at, "--field", "user=ann"].into_iter().chain(source.iter().copied());
        let mut running = Running::command("login", arguments, [("SITE_PASSWORD", "s3cret")]);
        std::io::Write::write_all(&mut running.stdin.take().unwrap(), b"s3cret\n").unwrap();
        let run = running.finish();
        let told = format!("logged in: {} (200 OK); its cookies are lost now", site.url("/home"));
        assert!(run.code == Some(0) && run.stdout.starts_with(&told) && run.stderr.is_empty(), "{source:?} {run:?}");
    }
    assert_eq!(site.logins(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_on_the_terminal_does_not_echo_the_password() {
    let site = Site::start(10).await;
    let at = site.url("/login?next=se-cret");
    let question = format!("Password for 127.0.0.1:{}/login: ", site.port());
    let arguments = ["login", &at, "--field", "user=ann"];
    let typed = on_a_terminal(&question, "s3creT\u{7f}t\n", arguments);
    assert_eq!((typed.code, typed.echoes), (0, true), "{typed:?}");
    assert!(typed.seen.contains("logged in: ") && typed.seen.starts_with(&question), "{typed:?}");
    assert!(!typed.seen.contains("s3c") && !typed.seen.contains("se-cret"), "{typed:?}");

    // `fetch` prompts as well.
    let url = site.url("/page/1");
    let typed = on_a_terminal(&question, "s3cret\n", ["fetch", &url, "--login", &at, "--field", "user=ann"]);
    assert!(typed.code == 0 && typed.seen.contains(&format!("200 6 {url}")), "{typed:?}");

    // Ctrl-Z has no effect: a suspended prompt would leave the terminal to the shell.
    let typed = on_a_terminal(&question, "s3c\u{1a}ret\n", arguments);
    assert_eq!((typed.code, typed.echoes), (0, true), "{typed:?}");

    // The terminal as standard input would echo the password.
    let ended = shown_on_a_terminal(&question, "", arguments.into_iter().chain(["--password-file", "-"]));
    assert!(ended.code == 2 && ended.seen.contains("leave the option out to be asked"), "{ended:?}");

    for (typed, code, words) in [("\n", 1, "no password was entered"), ("\u{3}", 130, ""), ("SIGTERM", 143, "")] {
        let ended = on_a_terminal(&question, typed, arguments);
        assert_eq!((ended.code, ended.echoes), (code, true), "{typed:?} {ended:?}");
        assert!(ended.seen.contains(words) && ended.seen.contains("error") != words.is_empty(), "{ended:?}");
    }
    assert_eq!(site.tries(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_form_or_field_is_reported_before_a_submission() {
    let site = Site::start(10).await;
    let (at, home) = (site.url("/login"), site.url("/home"));
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&[&at, "--field", "pass=s3cret"], 2, &["\"pass\" is for a password", "never an argument", "--password-file"]),
        (&[&at, "--field", "name=ann"], 2, &["no field \"name\"", "\"user\" (text)", "\"pass\" (password)"]),
        (&[&at, "--form", "id=in"], 2, &["no form with the id \"in\"", "0: action="]),
        (&[&at, "--form", "selector=:::"], 2, &["\":::\""]),
        (&[&at, "--password-field", "user"], 2, &["\"user\" is not a field for a password", "the form has \"pass\""]),
        (&[&home], 2, &["no form with a password field", "no form at all"]),
        (&[&site.url("/nowhere")], 1, &["login failed: the login page has the status 404"]),
        (&["http://127.0.0.1:1/login"], 1, &["http://127.0.0.1:1/login: no connection"]),
        (&[&at, "--field", "user=ann", "--expect", "present=:::"], 2, &["\":::\""]),
    ];
    for (arguments, code, words) in cases {
        let run = login(arguments.iter().copied().chain(IN_ENV), "s3cret");
        assert_eq!((run.code, &*run.stdout), (Some(code), ""), "{arguments:?} {run:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.lines().count() == 1, "{arguments:?} {run:?}");
        for word in words {
            assert!(run.stderr.contains(word), "{arguments:?} {run:?}");
        }
        assert!(!run.stderr.contains("s3cret"), "{run:?}");
    }
    assert!(site.tries() <= 1, "but for the last, which has to be tried to be known");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_the_error_names_other_sources() {
    let site = Site::start(10).await;
    let run = Command::new("setsid")
        .args([env!("CARGO_BIN_EXE_trunkline"), "login", &site.url("/login"), "--field", "user=ann"])
        .output()
        .unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("no terminal") && told.contains("use --password-file or --password-env"), "{told}");
    assert_eq!((run.status.code(), site.tries()), (Some(2), 0));
}
