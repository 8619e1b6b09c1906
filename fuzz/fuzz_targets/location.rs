//! Fuzz target for `Location`: no panic, no hang, only valid requests, and credentials reach only
//! the origin they were meant for.
//!
//! The first byte of an input chooses status and method, the rest is the `Location`; in it `$H` and
//! `$T` stand for the two servers' `host:port`, `$h` and `$t` for their ports.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use trunkline_fuzz::{Answer, Harness, Then, header};

static HARNESS: LazyLock<Harness> = LazyLock::new(|| Harness::new(3));

const SECRET: &str = "s3cr3t";
/// `s3cr3t:s3cr3t`
const ENCODED: &str = "czNjcjN0OnMzY3IzdA";

fuzz_target!(|input: &[u8]| {
    let [choice, location @ ..] = input else { return };
    // These bytes would end the header.
    if location.iter().any(|byte| b"\r\n\0".contains(byte)) || contains(location, SECRET) {
        return;
    }
    let harness = &*HARNESS;
    let status = [301, 302, 303, 307, 308][usize::from(*choice) % 5];
    let redirect = redirect(status, &fill_in(harness, location));
    harness.first.answer(move |head| if head.contains(" /start") { redirect.clone() } else { arrived() });
    harness.second.answer(|_| arrived());
    harness.run(async {
        let start = harness.first.url("/start");
        let session = &harness.session;
        let request = match choice / 5 % 4 {
            0 => session.get(&start).bearer_auth(SECRET),
            1 => session.post(&start).body("hello").basic_auth(SECRET, SECRET),
            2 => session.put(&start).body("hello").header("authorization", SECRET),
            _ => session.get(start.replace("http://", &format!("http://{SECRET}:{SECRET}@"))),
        };
        let request = request.header("cookie", SECRET).header("proxy-authorization", SECRET);
        match request.await {
            Ok(response) => drop(response.bytes().await),
            Err(error) => {
                let text = format!("{error} {error:?}");
                assert!(!error.is_input() && !text.contains(SECRET), "{text}");
            }
        }
    });
    for head in harness.first.heads().iter().chain(&harness.second.heads()) {
        check(harness, head);
    }
});

fn check(harness: &Harness, head: &str) {
    let line = head.split("\r\n").next().unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    let [_, target, "HTTP/1.1"] = words[..] else { panic!("no request line: {line:?}") };
    assert!(target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()), "{line:?}");
    let host = header(head, "host").expect("every request has a host");
    let secret = [SECRET, ENCODED].iter().any(|secret| head.contains(secret));
    assert!(!secret || host == harness.first.authority(), "a secret was sent to {host}: {head}");
}

fn redirect(status: u16, location: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: ");
    Answer { pieces: vec![[head.as_bytes(), location, b"\r\n\r\n"].concat()], then: Then::Keep }
}

fn arrived() -> Answer {
    Answer { pieces: vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()], then: Then::Keep }
}

/// Replaces the placeholders by the servers' addresses, whose ports no input can know.
fn fill_in(harness: &Harness, location: &[u8]) -> Vec<u8> {
    let mut filled = Vec::new();
    let mut bytes = location.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let value = match (byte, bytes.peek()) {
            (b'$', Some(b'H')) => harness.first.authority(),
            (b'$', Some(b'T')) => harness.second.authority(),
            (b'$', Some(b'h')) => harness.first.port.to_string(),
            (b'$', Some(b't')) => harness.second.port.to_string(),
            _ => {
                filled.push(byte);
                continue;
            }
        };
        bytes.next();
        filled.extend(value.into_bytes());
    }
    filled
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
