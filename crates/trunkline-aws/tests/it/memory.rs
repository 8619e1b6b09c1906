//! Test of the memory for a large object, as the kernel measures it for a child process.

#![allow(clippy::print_stdout, reason = "the child process reports through its output")]

use std::process::Command;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::clients::{bucket, config, s3};
use crate::servers::{AccessKey, Moto, TempDir};
use crate::{SOON, within};

const MIB: usize = 1 << 20;
const OBJECT: usize = 20 * MIB;

/// A memory value of this process, in bytes.
fn memory(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_large_object_is_transferred_in_constant_memory() {
    let Ok(bucket) = std::env::var("TRUNKLINE_TEST_BUCKET") else { return run_in_child().await };
    let variable = |name: &str| std::env::var(name).unwrap();
    let pool = Pool::new();
    let key = AccessKey { id: variable("TRUNKLINE_TEST_KEY"), secret: variable("TRUNKLINE_TEST_SECRET") };
    let s3 = Client::from_conf(config(HttpClient::new(&pool), &variable("TRUNKLINE_TEST_URL"), &key).build());
    // Warm-up: small calls, so that the baseline contains their cost.
    let small = s3.put_object().bucket(&bucket).key("small").body(ByteStream::from_static(b"text"));
    within(SOON, small.send()).await.unwrap();
    within(SOON, s3.list_objects_v2().bucket(&bucket).send()).await.unwrap();
    let baseline = memory("VmRSS");

    let body = ByteStream::from_path(variable("TRUNKLINE_TEST_PATH")).await.unwrap();
    within(4 * SOON, s3.put_object().bucket(&bucket).key("large").body(body).send()).await.unwrap();
    let mut got = within(SOON, s3.get_object().bucket(&bucket).key("large").send()).await.unwrap();
    let mut read = 0;
    while let Some(piece) = within(SOON, got.body.try_next()).await.unwrap() {
        assert!(piece.iter().all(|&byte| byte == 7));
        read += piece.len();
    }
    assert_eq!(read, OBJECT);
    let held = memory("VmHWM").saturating_sub(baseline);
    println!("held at most {} KiB more than before", held / 1024);
    assert!(held < OBJECT / 2, "{held}");
    let stats = pool.stats();
    assert_eq!((stats.created, stats.reused), (1, 3), "{stats:?}");
}

async fn run_in_child() {
    let moto = Moto::shared().await;
    let s3 = s3(&Pool::new()).await;
    let bucket = bucket(&s3).await;
    let dir = TempDir::new("memory");
    let path = dir.write("large", vec![7; OBJECT]);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "memory::a_large_object_is_transferred_in_constant_memory", "--nocapture"]);
    command
        .env("TRUNKLINE_TEST_URL", moto.url())
        .env("TRUNKLINE_TEST_BUCKET", &bucket)
        .env("TRUNKLINE_TEST_PATH", path);
    command.env("TRUNKLINE_TEST_KEY", &moto.key().id).env("TRUNKLINE_TEST_SECRET", &moto.key().secret);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && shown.contains("held at most"), "{shown}");
    println!("{}", shown.lines().find(|line| line.contains("held at most")).unwrap());
    let listed = within(SOON, s3.list_objects_v2().bucket(&bucket).send()).await.unwrap();
    let sizes: Vec<_> =
        listed.contents().iter().map(|object| (object.key().unwrap(), object.size().unwrap())).collect();
    assert_eq!(sizes, [("large", OBJECT as i64), ("small", 4)]);
}
