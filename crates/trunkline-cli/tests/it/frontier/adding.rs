//! `frontier add`: each URL once, even with concurrent commands.

use sqlx::Connection as _;

use super::support::{Frontier, finished};
use crate::servers::TempDir;
use crate::support::Running;

#[tokio::test]
async fn a_url_is_added_once_and_bad_lines_are_named() {
    let (frontier, dir) = (Frontier::new().await, TempDir::new("adding"));
    let file = dir
        .write("urls.txt", "# a comment\nhttp://a.example/1\nnot a url\nhttp://a.example/2#top\nhttp://A.example/1\n");
    let name = file.to_str().unwrap();
    let run = Running::command("frontier", ["add", &frontier.url, "http://b.example/", "-i", name], []).finish();
    assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{run:?}");
    assert!(run.stderr.starts_with(&format!("{name}:3: \"not a url\" is not an http or https URL")), "{run:?}");
    assert_eq!(run.last(), "3 added, 1 there already, 1 unusable");
    let run = frontier.add("http://a.example/2\nhttp://a.example/2?\n");
    assert_eq!((run.code, run.last()), (Some(0), "1 added, 1 there already, 0 unusable"));
    assert_eq!(frontier.count("SELECT count(DISTINCT host_id) FROM trunkline.urls").await, 2);
    let long = format!("http://a.example/{}", "x".repeat(60_000));
    let run = frontier.add(format!("{long}\n{long}\n"));
    assert_eq!((run.code, run.last()), (Some(0), "1 added, 1 there already, 0 unusable"));
}

#[tokio::test]
async fn invalid_lines_are_refused_and_the_rest_is_added() {
    let frontier = Frontier::new().await;
    let host =
        |letters: usize| format!("http://{}{}/", format!("{}.", "a".repeat(60)).repeat(4), "b".repeat(letters - 244));
    let lines = ["http://a.example/\0x", "http://a\0b/", &host(253), &host(254), &host(5_000), &"x".repeat(100_000)];
    let run = frontier.add(lines.join("\n"));
    assert_eq!((run.code, run.last()), (Some(1), "1 added, 0 there already, 5 unusable"), "{run:?}");
    for told in [
        "stdin:1: \"http://a.example/\\0x\" has a control character in it",
        "stdin:2: \"http://a\\0b/\" has a control character in it",
        "stdin:4: the host of \"http://aaa",
        "stdin:5: the host of \"http://aaa",
        "stdin:6: ",
    ] {
        assert!(run.stderr.contains(told), "{told} {run:?}");
    }
    assert_eq!(frontier.count("SELECT count(*) FROM trunkline.urls").await, 1);
}

#[tokio::test]
async fn a_batch_under_way_at_ctrl_c_is_counted() {
    let frontier = Frontier::with(&["http://a.example/1".into()]).await;
    let lock = frontier.transaction("SELECT FROM trunkline.hosts FOR NO KEY UPDATE").await;
    let mut running = frontier.adding();
    let mut input = running.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"http://a.example/1\nhttp://a.example/2\n").unwrap();
    frontier.until_locked_out(1).await;
    running.signal("INT");
    lock.close().await.unwrap();
    let run = finished(running).await;
    assert_eq!((run.code, run.last()), (Some(130), "1 added, 1 there already, 0 unusable"), "{run:?}");
    assert_eq!(frontier.in_state("queued").await, 2);
}

#[tokio::test]
async fn concurrent_adds_create_the_tables_and_each_url_once() {
    let frontier = Frontier::new().await;
    let (hosts, pages) = (7, 2_000);
    let mut adding: Vec<_> = (0..4).map(|_| frontier.adding()).collect();
    for (number, running) in adding.iter_mut().enumerate() {
        // Each in a different order.
        let pages = (0..pages).map(move |page| (page * [1, 3, 7, 1999][number] + number * 500) % pages);
        running.feed(pages.map(move |page| format!("http://host{}.example/{page}", page % hosts)));
    }
    let mut added = 0;
    for running in adding {
        let run = running.finish();
        assert_eq!(run.code, Some(0), "{run:?}");
        added += run.last().split(' ').next().unwrap().parse::<usize>().unwrap();
    }
    assert_eq!(added, pages);
    assert_eq!(frontier.in_state("queued").await, 2_000);
    assert!(frontier.status().starts_with("2000 queued, 0 retrying, 0 leased, 0 done, 0 failed\n"));
}

#[tokio::test]
async fn lines_of_a_slow_input_are_added_before_it_ends() {
    let frontier = Frontier::new().await;
    let mut running = frontier.adding();
    let mut input = running.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"http://a.example/\nhttp://b").unwrap();
    frontier
        .until("the tables are there", "SELECT count(*) FROM pg_tables WHERE tablename = 'logins'", |n| n == 1)
        .await;
    frontier.until("one is there", "SELECT count(*) FROM trunkline.urls", |count| count == 1).await;
    drop(input);
    assert_eq!(running.finish().code, Some(0));
}

#[tokio::test]
async fn a_long_input_takes_no_more_memory_than_a_short_one() {
    let memory = async |lines: usize| {
        let frontier = Frontier::new().await;
        let mut running = frontier.adding();
        let mut input = running.stdin.take().unwrap();
        let feeding = std::thread::spawn(move || {
            for line in 0..lines {
                std::io::Write::write_all(
                    &mut input,
                    format!("http://a.example/{line}/{}\n", "x".repeat(500)).as_bytes(),
                )
                .unwrap();
            }
            input
        });
        let input = tokio::task::spawn_blocking(|| feeding.join().unwrap()).await.unwrap();
        frontier.until("all are there", "SELECT count(*) FROM trunkline.urls", |count| count == lines as i64).await;
        let memory = running.most_memory();
        drop(input);
        assert_eq!(running.finish().code, Some(0));
        memory
    };
    let (few, many) = (memory(1_000).await, memory(20_000).await);
    assert!(many < few + (6 << 20), "{many} bytes, and {few} for a twentieth");
}
