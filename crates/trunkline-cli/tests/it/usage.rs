//! Usage errors: reported before anything is fetched, with exit code 2.

use std::fs::File;
use std::process::Command;

use crate::servers::TempDir;
use crate::support::{Running, Site, fetch};

#[test]
fn a_usage_error_names_the_mistake_and_its_correction() {
    let site = Site::start();
    let url = site.url("/");
    let dir = TempDir::new("usage");
    let inside = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let file = dir.write("file", &url).to_str().unwrap().to_owned();
    let odd = dir.write("odd.txt", "# Netscape HTTP Cookie File\nse-cret\n").to_str().unwrap().to_owned();
    let cases: [(&[&str], &[&str]); 45] = [
        (&[], &["--input <FILE>"]),
        (&[&url, "--nonsense"], &["--nonsense"]),
        (&[&url, "--concurency", "3"], &["--concurency", "'--concurrency'"]),
        (&[&url, "example.com/x"], &["\"example.com/x\"", "did you mean http://example.com/x?"]),
        (&[&url, "ann:se-cret@host/"], &["\"…@host/\"", "https://example.com/path"]),
        (&[&url, &file], &["is a file: did you mean -i ", "file?"]),
        (&[&url, "word"], &["\"word\"", "https://example.com/path"]),
        (&[&url, "ftp://example.com"], &["\"ftp://example.com", "https://example.com/path"]),
        (&[&url, "-"], &["-i -"]),
        (&["-i", &inside("nowhere")], &["nowhere", "one a line"]),
        (&["-i", dir.path().to_str().unwrap()], &["is a directory", "one a line"]),
        (&[&url, "-H", "Nonsense"], &["\"Nonsense\"", "'Name: value'"]),
        (&[&url, "-H", "No name: x"], &["\"No\" is not a name", "'Name: value'"]),
        (&[&url, "-H", "Authorization Basic se-cret:"], &["\"Authorization\"", "'Name: value'"]),
        (&[&url, "-H", "X-Break: se-cret\nY: z"], &["x-break", "line break"]),
        (&[&url, "-o", &inside("no/where")], &["no/where", "directory that exists"]),
        (&["-i", &file, "-o", &file], &["erase"]),
        (&[&url, "--cookies", &odd], &["odd.txt", "line 2 ", "seven fields"]),
        (&[&url, "--cookies", &inside("no/where")], &["no/where", "directory that exists"]),
        (&[&url, "--cookies", dir.path().to_str().unwrap()], &["cookie file", "regular file"]),
        (&[&url, "--cookies", &inside("both"), "-o", &inside("both")], &["both", "erase"]),
        (&[&url, "--cookies", "-"], &["\"-\"", "read and written"]),
        (&[&url, "--bodies", &file], &[&file, "needs a directory"]),
        (&[&url, "-c", "0"], &["'0'", "at least 1"]),
        (&[&url, "--limit", "-1"], &["-1"]),
        (&[&url, "--limit-per-host", "many"], &["'many'", "0 for no limit"]),
        (&[&url, "--limit", "99999999999999999999"], &["'99999999999999999999'", "up to 1000000"]),
        (&[&url, "--timeout", "0"], &["'0'", "from 0.001 to 604800"]),
        (&[&url, "--timeout", "1e18"], &["'1e18'", "from 0.001 to 604800"]),
        (&[&url, "--retries", "-1"], &["'-1'", "0 for none"]),
        (&[&url, "--retries", "9999999999"], &["'9999999999'", "up to 1000"]),
        (&[&url, "--delay", "soon"], &["'soon'", "such as 1 or 0.5"]),
        (&[&url, "--delay", "1e18"], &["'1e18'", "up to 604800"]),
        (&[&url, "--field", "a=b"], &["--login <URL>"]),
        (&[&url, "--login", "ftp://a"], &["\"ftp://a", "https://example.com/path"]),
        (&[&url, "--login", &url, "--field", "ann"], &["\"ann\"", "NAME=VALUE"]),
        (&[&url, "--login", &url, "--form", "first"], &["'first'", "id=ID"]),
        (&[&url, "--login", &url, "--expect", "colour=red"], &["colour=red", "status=200"]),
        (&[&url, "--login", &url, "--logged-out", "text=x"], &["'text=x'", "status=403"]),
        (&[&url, "--login", &url, "--password-file", &inside("none")], &["none", "cannot take the password"]),
        (&[&url, "--login", &url, "--password-env", "se-cret"], &["environment variable"]),
        (&[&url, "--login", &url, "--password-file", "-", "-i-"], &["either the URLs"]),
        (&[&url, "--login", &url, "--password-file", &file, "-o", &file], &["password file", "erase"]),
        (&[&url, "--password-field", "x"], &["--login <URL>"]),
        (&[&url, "--timeout", "soon"], &["'soon'", "such as 30 or 0.5"]),
    ];
    for (arguments, words) in cases {
        let run = fetch(arguments, "");
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{arguments:?} {run:?}");
        assert!(run.stderr.starts_with("error: "), "{arguments:?} {run:?}");
        for word in words {
            assert!(run.stderr.contains(word), "{arguments:?} {run:?}");
        }
        assert!(!run.stderr.contains("se-cret"), "{run:?}");
    }
    assert_eq!(site.counts().requests, 0);
    assert!(!dir.join("both").exists());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), url, "the input is as it was");
}

#[test]
#[cfg(not(feature = "frontier"))]
fn a_build_without_the_frontier_says_how_to_get_it() {
    let database = "postgres://me:se-cret@db/pages";
    for (command, arguments) in [
        ("frontier", &["add", database, "http://a.example/", "-i", "urls.txt"][..]),
        ("frontier", &["--help"]),
        ("frontier", &[]),
        ("fetch", &["--frontier", database, "-o", "pages.jsonl"]),
        ("fetch", &["--frontier", database, "--lease", "9", "--follow"]),
    ] {
        let run = Running::command(command, arguments, []).finish();
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{arguments:?} {run:?}");
        assert!(run.stderr.contains("`cargo install --path crates/trunkline-cli --features frontier`"), "{run:?}");
        assert!(!run.stderr.contains("se-cret"), "{run:?}");
    }
    for (command, arguments) in [("--help", &[][..]), ("fetch", &["--help"]), ("fetch", &["-h"]), ("fetch", &[])] {
        let run = Running::command(command, arguments, []).finish();
        assert!(!(run.stdout + &run.stderr).contains("frontier"), "{command} {arguments:?}");
    }
}

#[test]
fn an_input_is_not_overwritten_under_any_name() {
    let dir = TempDir::new("same");
    let input = dir.write("urls.txt", "http://127.0.0.1:1/\n");
    let other = dir.join("other.txt");
    std::fs::hard_link(&input, &other).unwrap();
    for read in ["other.txt", "-"] {
        let run = Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .args(["fetch", "-o", "urls.txt", "-i", read])
            .current_dir(dir.path())
            .stdin(File::open(&input).unwrap())
            .output()
            .unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert!(run.status.code() == Some(2) && told.contains("would erase it"), "{read}: {told}");
    }
    assert_eq!(std::fs::read_to_string(&input).unwrap(), "http://127.0.0.1:1/\n");
}

#[test]
fn help_has_examples_and_exit_codes_within_80_columns() {
    let of_fetch = ["Examples:", "Exit status:", "--limit-per-host", "400 or above", "--cookies <FILE>", "--resume"];
    let of_login = ["Examples:", "Exit status:", "--password-file <FILE>", "--expect <WHAT>", "cookie=sessionid"];
    for (command, words) in [("fetch", &of_fetch[..]), ("login", &of_login[..])] {
        for help in ["--help", "-h"] {
            let run = Running::command(command, [help], []).finish();
            assert_eq!(run.code, Some(0), "{run:?}");
            assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
            let missing = words.iter().find(|word| !run.stdout.contains(**word));
            assert!(help == "-h" || missing.is_none(), "{missing:?}");
        }
    }
}
