//! `examples/ten_urls.rs`, as it was built with these tests.

use std::process::Command;

use crate::support::web::Web;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_prints_ten_lengths_then_its_time_and_count() {
    let web = Web::start(|path: String, _| async move { path.repeat(10) }).await;
    let urls: Vec<_> = (1..=10).map(|number| web.url(&format!("/{}", "p".repeat(number)))).collect();
    // target/debug/deps/it-… → target/debug/examples/ten_urls
    let built = std::env::current_exe().unwrap();
    let example = built.parent().unwrap().with_file_name("examples").join("ten_urls");
    assert!(
        example.exists(),
        "{example:?} is not there: `cargo test` builds it, unless it is told to build some tests alone"
    );

    let run = Command::new(example).args(&urls).output().unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    let expected: Vec<_> = urls.iter().zip(1..).map(|(url, number)| format!("{url} {}", 10 * (number + 1))).collect();
    assert_eq!(lines[..10], expected, "{run:?}", run = run.stderr);
    assert!(lines[10].ends_with(" s, 10 pages") && lines.len() == 11, "{printed}");
}
