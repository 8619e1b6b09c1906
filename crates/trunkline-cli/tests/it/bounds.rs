//! Bounds of pages under way, connections and memory.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::servers::{Nginx, TempDir, sockets_of};
use crate::support::{Running, Site, fetch, soak, until};

#[test]
fn pages_under_way_never_exceed_the_concurrency() {
    let site = Site::start();
    let urls: Vec<_> = (0..100).map(|page| site.url(&format!("/{page}?delay=5"))).collect();
    let run = fetch(["-i-", "-c", "5", "--limit", "0"], urls.join("\n"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(site.counts().most_under_way, 5);
}

#[test]
fn connections_never_exceed_the_limits() {
    for limit in [["--limit", "8"], ["--limit-per-host", "8"]] {
        let site = Site::start();
        let urls: Vec<_> = (0..500).map(|page| site.url(&format!("/{page}?delay=1"))).collect();
        let run = fetch(["-i-", "-c", "64"].into_iter().chain(limit), urls.join("\n"));
        assert_eq!(run.code, Some(0), "{run:?}");
        let counts = site.counts();
        assert_eq!((counts.most_open, counts.opened, counts.requests), (8, 8, 500));
        assert!(run.last().contains(" · 8 connections opened, "), "{run:?}");
    }
}

#[tokio::test]
async fn limit_8_never_opens_a_ninth_socket() {
    const PAGES: usize = 10_000;
    const EACH: usize = 1_000;
    let nginx = Nginx::builder().keepalive_requests(EACH).start().await;
    let dir = TempDir::new("nginx");
    let urls: Vec<_> = (0..PAGES).map(|page| nginx.url(&format!("/page/{page}"))).collect();
    let file = dir.write("urls.txt", urls.join("\n"));
    let out = dir.join("out.jsonl");
    let mut running = Running::start(["-i", file.to_str().unwrap(), "--limit", "8", "-o", out.to_str().unwrap()]);
    // Drained, so that the program never waits for its reader.
    let mut stdout = running.stdout.take().unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
    let (mut most, mut samples) = (0, 0);
    while !running.has_ended() {
        let owned = sockets_of(running.pid(), nginx.port()).len();
        (most, samples) = (most.max(owned), samples + usize::from(owned > 0));
        std::thread::sleep(Duration::from_millis(2));
    }
    reading.join().unwrap();
    let run = running.finish();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!((1..=8).contains(&most) && samples >= 3, "{most} at most in {samples} samples");
    assert!(run.last().starts_with("10000 pages, 0 failed, "), "{run:?}");
    let log = nginx.access_log();
    assert_eq!(log.len(), PAGES);
    let connections: BTreeSet<_> = log.iter().map(|access| access.connection).collect();
    let ended = log.iter().filter(|access| access.number == EACH as u64).count();
    assert!(connections.len() <= 8 + ended, "{} connections, {ended} ended by nginx", connections.len());
    assert_eq!(std::fs::read_to_string(out).unwrap().lines().count(), PAGES);
}

#[test]
fn connections_may_be_as_many_as_the_system_allows() {
    const PAGES: usize = 100;
    let site = Site::start();
    let urls = (0..PAGES).map(|page| site.url(&format!("/{page}?hold=head")));
    // A soft limit, which the program may raise.
    let mut run = Command::new("sh")
        .args(["-c", "ulimit -Sn 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_trunkline"), "fetch"])
        .args(["--limit", "0", "--retries", "0"])
        .args(urls)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("all are under way, or it has failed", || site.counts().held == PAGES || run.try_wait().unwrap().is_some());
    site.release();
    assert_eq!(run.wait().unwrap().code(), Some(0));
}

const MIB: u64 = 1024 * 1024;

/// Peak memory for that number of URLs of 600 bytes, read from a pipe.
fn memory_for(urls: usize) -> u64 {
    let site = Site::start();
    let mut running = Running::start(["-i-", "-c64"]);
    let (page, last) = (site.url(&format!("/{}", "x".repeat(570))), site.url("/?hold=head"));
    running.feed(std::iter::repeat_n(page, urls).chain([last]));
    let mut stdout = running.stdout.take().unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
    while site.counts().held == 0 || site.counts().under_way > 1 {
        assert!(!running.has_ended());
        std::thread::sleep(Duration::from_millis(20));
    }
    let memory = running.most_memory();
    site.release();
    let run = running.finish();
    reading.join().unwrap();
    assert!(run.last().starts_with(&format!("{} pages, 0 failed, ", urls + 1)), "{run:?}");
    memory
}

#[test]
fn a_million_urls_take_no_more_memory_than_a_few() {
    let (few, many) = (memory_for(2_000), memory_for(soak(1_000_000, 50_000)));
    // The text of 50,000 URLs alone has 30 MB.
    assert!(many < few + 8 * MIB, "{} MiB, and {} MiB for 2,000", many / MIB, few / MIB);
    assert!(many < 64 * MIB, "{} MiB", many / MIB);
}

#[test]
fn a_large_page_takes_no_more_memory_than_a_small_one() {
    let site = Site::start();
    let dir = TempDir::new("large");
    let memory = |size: usize| {
        let urls = [site.url(&format!("/?size={size}")), site.url("/?hold=head")];
        let held = site.counts().held;
        let running = Running::start(["-c1", "--bodies", dir.path().to_str().unwrap(), &urls[0], &urls[1]]);
        until("the large one is fetched", || site.counts().held == held + 1);
        running.most_memory()
    };
    let (small, large) = (memory(10), memory(128 << 20));
    assert!(large < small + 8 * MIB, "{} MiB, and {} MiB for 10 bytes", large / MIB, small / MIB);
}
