//! The application as a process: signals, exit codes, sockets and output.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Process, until};

fn ask(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    stream
}

/// Reads until the server closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_signal_ends_it_in_order_after_the_request_in_flight() {
    for signal in ["TERM", "INT"] {
        let mut app = Process::start("open:session open:database work:outbox serve");
        let address = app.line("serving ");
        let idle = TcpStream::connect(&address).unwrap();
        let slow = ask(&address, "/slow");
        app.line("asked");
        app.signal(signal);
        // The listener is closed before the request is finished: one socket is left, the client's.
        assert_eq!(rest(idle), "");
        until("one socket is left, established", || app.sockets() == ["01"]);
        assert!(TcpStream::connect(&address).is_err());
        app.go();
        let answer = rest(slow);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("at last\n"), "{answer}");
        app.line("drained");
        let finished = app.finish();
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
        let end = &finished.lines[finished.lines.len() - 4..];
        assert_eq!(end, ["drained", "stopped outbox", "releasing database", "releasing session"]);
    }
}

#[test]
fn a_second_signal_exits_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        // While requests are drained.
        let mut app = Process::start("open:session serve");
        let address = app.line("serving ");
        let _slow = ask(&address, "/slow");
        app.line("asked");
        app.signal("TERM");
        until("it has stopped accepting", || TcpStream::connect(&address).is_err());
        app.signal_until_ended(signal);
        let finished = app.finish();
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(!finished.lines.iter().any(|line| line.starts_with("releasing")), "{finished:?}");

        // While something is released.
        let mut app = Process::start("open:session stuck:database serve");
        app.line("serving ");
        app.signal("TERM");
        app.line("releasing database");
        app.signal_until_ended(signal);
        assert_eq!(app.finish().code, Some(code));
    }
}

#[test]
fn a_signal_sent_several_times_at_once_counts_once() {
    for signal in ["TERM", "INT"] {
        let mut app = Process::start("open:session serve");
        let address = app.line("serving ");
        let slow = ask(&address, "/slow");
        app.line("asked");
        app.signal_times(signal, 3);
        until("it has stopped accepting", || TcpStream::connect(&address).is_err());
        app.go();
        assert!(rest(slow).ends_with("at last\n"));
        let finished = app.finish();
        assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{finished:?}");
    }
}

#[test]
fn a_signal_during_the_start_ends_the_start() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut app = Process::start("open:session work:outbox hang:database serve");
        app.line("acquiring database");
        app.signal(signal);
        let finished = app.finish();
        assert_eq!(finished.code, Some(code), "{finished:?}");
        let end = &finished.lines[finished.lines.len() - 3..];
        assert_eq!(end, ["acquiring database", "stopped outbox", "releasing session"]);
        assert!(
            finished.stderr.starts_with(&format!("stopped by SIG{signal} before it was up; down in ")),
            "{finished:?}"
        );
    }
}

#[test]
fn the_exit_code_tells_success_and_failures_apart() {
    for (words, code, message) in [
        ("open:session", 0, ""),
        ("open:session fail:database", 1, "error: failed to open \"database\": nobody there\n"),
        ("open:session bad:database", 1, "error: failed validation for \"database\": it is not what it seemed\n"),
        ("open:session panic", 1, "error: the application failed: panicked: as it was told to\n"),
        ("open:session stuck:database release=50", 1, ": it took longer than 50.0ms\n"),
    ] {
        let finished = Process::start(words).finish();
        assert_eq!(finished.code, Some(code), "{words}: {finished:?}");
        assert!(finished.stderr.ends_with(message), "{words}: {finished:?}");
        assert_eq!(finished.lines.last().unwrap(), "releasing session", "{words}");
    }
}

#[test]
fn a_release_that_blocks_its_thread_does_not_keep_the_process() {
    let finished = Process::start("open:session block:database release=50 exit").finish();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.lines[2..], ["releasing database", "releasing session"]);
    assert!(finished.stderr.ends_with(": it took longer than 50.0ms\n"), "{finished:?}");
}

#[test]
fn the_log_has_the_address_and_each_step() {
    let mut app = Process::start("trace open:session serve");
    app.line(" INFO trunkline::lifespan: opened name=\"session\"");
    let rest_of_line = app.line(" INFO trunkline::lifespan: listening on http://");
    let address = rest_of_line.split(' ').next().unwrap();
    // The address is announced when the application is ready, not before.
    assert!(ready(address).starts_with("HTTP/1.1 200 OK\r\n"));
    let _slow = ask(address, "/slow");
    app.line("asked");
    app.signal("INT");
    app.line(" INFO trunkline::lifespan: stopping cause=SIGINT");
    app.signal("TERM");
    app.line("ERROR trunkline::lifespan: second signal: exiting at once signal=15");
    assert_eq!(app.finish().code, Some(143));
}

#[test]
fn work_that_fails_ends_an_application_that_serves() {
    let mut app = Process::start("open:session crash:outbox serve");
    let address = app.line("serving ");
    app.go();
    app.line("drained");
    let finished = app.finish();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("\n  error: background work \"outbox\" failed after "), "{finished:?}");
    assert_eq!(finished.lines.last().unwrap(), "releasing session");
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn requests_that_outlast_the_drain_are_in_the_exit_code() {
    let mut app = Process::start("trace open:session drain=50 serve");
    let address = app.line("serving ");
    let slow = ask(&address, "/slow");
    app.line("asked");
    app.signal("TERM");
    assert_eq!(rest(slow), "");
    app.line(&format!(" WARN trunkline::lifespan: http://{address}: not drained in "));
    app.line(" INFO trunkline::lifespan: session: released in ");
    let finished = app.finish();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.starts_with("stopped by SIGTERM; down in "), "{finished:?}");
    assert!(finished.stderr.contains("; 1 request aborted\n"), "{finished:?}");
}

#[test]
fn it_is_not_ready_during_the_pause() {
    let mut app = Process::start("pause=60000 serve");
    let address = app.line("serving ");
    assert!(ready(&address).starts_with("HTTP/1.1 200 OK\r\n"));
    app.signal("TERM");
    until("it is not ready", || ready(&address).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    app.signal_until_ended("TERM");
    assert_eq!(app.finish().code, Some(143));
}

fn ready(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    rest(stream)
}
