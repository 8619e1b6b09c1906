//! Connections, as the kernel sees them.

use std::time::{Duration, Instant};

/// The connections to this port that this machine's clients have open, by the kernel's list.
pub(crate) fn connections(port: u16) -> usize {
    let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let open = list.lines().skip(1).filter(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let to = u16::from_str_radix(words[2].rsplit_once(':').unwrap().1, 16).unwrap();
        // A socket in TIME_WAIT (06) has no owner any more.
        to == port && words[3] != "06"
    });
    open.count()
}

/// A socket that is closed is gone when the other side has said so too.
pub(crate) async fn assert_no_connections(port: u16) {
    until("no connection is left", || connections(port) == 0).await;
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < Duration::from_secs(30), "not so after 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
