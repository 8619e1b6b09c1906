//! Memory use with large bodies, measured by the kernel in a separate process.

#![allow(clippy::print_stdout, reason = "figures for whoever looks; the other process is read by its own")]

use std::process::Command;
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use trunkline::{Session, Timeouts};

use crate::soak;
use crate::support::{Rogue, Step, TempDir};

const MIB: usize = 1 << 20;

/// Runs this test once more, alone in a new process, with that address to ask and that path. It
/// prints what it held.
fn in_a_process_of_its_own(test: &str, url: &str, path: &str) {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env("TRUNKLINE_TEST_URL", url).env("TRUNKLINE_TEST_PATH", path);
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && shown.contains("held at most"), "{test}: {shown}");
    println!("{}", shown.lines().find(|line| line.contains("held at most")).unwrap());
}

/// In the other process.
fn url() -> Option<String> {
    std::env::var("TRUNKLINE_TEST_URL").ok()
}

/// A figure of this process, in bytes.
fn memory(figure: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

/// Memory in use before the body is read: a connection, its buffers, the session.
async fn baseline(session: &Session, url: &str) -> usize {
    session.get(url).send().await.unwrap();
    memory("VmRSS")
}

/// The most that was held at any time since.
fn held(baseline: usize) -> usize {
    let held = memory("VmHWM").saturating_sub(baseline);
    println!("held at most {} KiB more than before", held / 1024);
    held
}

/// A response of so many MiB of zeros: what begins it, what stands for each MiB, and what ends it.
struct ZeroBody {
    coding: &'static str,
    begin: Vec<u8>,
    mebibyte: Vec<u8>,
    end: Vec<u8>,
}

impl ZeroBody {
    fn gzip(mebibytes: usize) -> Self {
        let zeros = vec![0; MIB];
        // Flushed, each is on its own, and can be sent again and again.
        let mut mebibyte = Vec::with_capacity(MIB);
        Compress::new(Compression::best(), false).compress_vec(&zeros, &mut mebibyte, FlushCompress::Full).unwrap();
        let mut crc = flate2::Crc::new();
        (0..mebibytes).for_each(|_| crc.update(&zeros));
        let size = u32::try_from((mebibytes * MIB) & 0xffff_ffff).unwrap();
        let end = [&[3, 0][..], &crc.sum().to_le_bytes(), &size.to_le_bytes()].concat();
        Self { coding: "gzip", begin: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], mebibyte, end }
    }

    /// By the reference encoder, flushed after each MiB, with the largest window there is: 16 MiB.
    fn br() -> Self {
        let first = b"\xaf\xff\xff\x87\x7f\x02\x20\x1e\x0b\x04\x72\xef\x1f\x0c";
        let mebibyte = b"\xfa\xff\x7f\xf8\x27\x00\xe2\xb0\x00\x40\xf7\xfe\xc1\x00";
        Self { coding: "br", begin: first.to_vec(), mebibyte: mebibyte.to_vec(), end: vec![3] }
    }

    /// With the largest window that is taken: 8 MiB. Each MiB is eight blocks of one byte, 128 KiB
    /// times (RFC 8878 section 3.1.1.2).
    fn zstd() -> Self {
        let block = [0x02, 0x00, 0x10, 0];
        let begin = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3];
        Self { coding: "zstd", begin, mebibyte: block.repeat(8), end: vec![1, 0, 0] }
    }

    /// The first request gets a little, each other one all of it.
    async fn serve(self, mebibytes: usize) -> Rogue {
        let Self { coding, begin, mebibyte, end } = self;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nConnection: close\r\n\r\n");
        Rogue::start(move |connection| {
            let times = if connection == 0 { 1 } else { mebibytes };
            let body = Step::Repeat(times, vec![Step::send(&mebibyte)]);
            vec![
                Step::ReadHead,
                Step::send([head.as_bytes(), &begin].concat()),
                body,
                Step::send(&end),
                Step::Fin,
                Step::Drain,
            ]
        })
        .await
    }
}

/// br begins with the first MiB, which is coded unlike the others.
fn all(mebibytes: usize) -> [(ZeroBody, usize); 3] {
    [(ZeroBody::gzip(mebibytes), mebibytes), (ZeroBody::br(), mebibytes - 1), (ZeroBody::zstd(), mebibytes)]
}

#[tokio::test]
async fn of_a_bomb_no_more_is_held_than_twice_the_limit() {
    const LIMIT: usize = 40 * MIB;
    let Some(url) = url() else {
        let mebibytes = soak(10 * 1024, 200);
        for (zeros, times) in all(mebibytes) {
            let coding = zeros.coding;
            let rogue = zeros.serve(times).await;
            println!("{coding}:");
            in_a_process_of_its_own("memory::of_a_bomb_no_more_is_held_than_twice_the_limit", &rogue.url("/"), "");
        }
        return;
    };
    let session = Session::builder().max_body_size(LIMIT).build().unwrap();
    let baseline = baseline(&session, &url).await;
    let error = session.get(&url).send().await.unwrap().bytes().await.unwrap_err();
    assert!(
        error.is_body() && error.to_string().contains(&format!("max_body_size, which is {LIMIT} bytes")),
        "{error}"
    );
    let held = held(baseline);
    assert!(held < 2 * LIMIT, "{held}");
}

#[tokio::test]
async fn a_bomb_read_by_chunk_is_held_a_frame_at_a_time() {
    let mebibytes = soak(10 * 1024, 64);
    let Some(url) = url() else {
        for (zeros, times) in all(mebibytes) {
            let coding = zeros.coding;
            let rogue = zeros.serve(times).await;
            println!("{coding}:");
            in_a_process_of_its_own("memory::a_bomb_read_by_chunk_is_held_a_frame_at_a_time", &rogue.url("/"), "");
        }
        return;
    };
    let session = Session::builder().timeouts(Timeouts::new().total(Duration::MAX)).build().unwrap();
    let baseline = baseline(&session, &url).await;
    let mut response = session.get(&url).send().await.unwrap();
    let mut size = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        size += chunk.len();
    }
    assert_eq!(size, mebibytes * MIB);
    // The window, 16 MiB for br, and what comes and goes.
    let held = held(baseline);
    assert!(held < 20 * MIB, "{held}");
}

#[tokio::test]
async fn a_download_of_any_size_is_saved_in_constant_memory() {
    let mebibytes = soak(5 * 1024, 256);
    let Some(url) = url() else {
        let dir = TempDir::new("memory");
        let head =
            |mebibytes: usize| Step::send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", mebibytes * MIB));
        let body = |mebibytes: usize| Step::Repeat(mebibytes, vec![Step::send(vec![7; MIB])]);
        let rogue = Rogue::start(vec![
            Step::ReadHead,
            Step::ok(""),
            Step::ReadHead,
            head(mebibytes),
            body(mebibytes),
            Step::ReadHead,
            Step::ok("next"),
        ])
        .await;
        let path = dir.join("download");
        let test = "memory::a_download_of_any_size_is_saved_in_constant_memory";
        in_a_process_of_its_own(test, &rogue.url("/"), path.to_str().unwrap());
        assert_eq!(rogue.accepted(), 1);
        return;
    };
    let path = std::env::var("TRUNKLINE_TEST_PATH").unwrap();
    let session = Session::builder().timeouts(Timeouts::new().total(Duration::MAX)).max_body_size(MIB).build().unwrap();
    let baseline = baseline(&session, &url).await;
    let size = session.get(&url).send().await.unwrap().save_to(&path).await.unwrap();
    assert_eq!((size, std::fs::metadata(&path).unwrap().len()), ((mebibytes * MIB) as u64, (mebibytes * MIB) as u64));
    let held = held(baseline);
    assert!(held < 8 * MIB, "{held}");
    assert_eq!(session.get(&url).send().await.unwrap().text().await.unwrap(), "next");
}
