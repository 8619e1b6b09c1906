//! Release of every resource, each failure with its name and its time.

use std::time::Duration;

use trunkline_lifespan::{Error, Phase};

use crate::support::{Journal, run, settings};

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_panics_or_is_late_prevents_no_other() {
    let journal = Journal::default();
    let report = run(async |app| {
        app.open("first", journal.part("first")).await?;
        app.open("failing", journal.part("failing").release("fail")).await?;
        app.open("second", journal.part("second")).await?;
        app.open("panicking", journal.part("panicking").release("panic")).await?;
        app.open("patient", journal.part("patient").release("hang")).release_within(Duration::from_secs(3)).await?;
        app.open("hanging", journal.part("hanging").release("hang")).await?;
        app.open("last", journal.part("last")).await?;
        Ok(())
    })
    .await;
    let expected = "release last|released last|release hanging|release patient|release panicking|release second|released second|\
                    release failing|release first|released first";
    assert_eq!(journal.lines()[14..].join("|"), expected);

    let errors: Vec<_> =
        report.errors().iter().map(|error| (error.name(), error.is_timeout(), error.is_panic())).collect();
    let expected =
        [("hanging", true, false), ("patient", true, false), ("panicking", false, true), ("failing", false, false)];
    assert_eq!(errors, expected);
    assert!(report.errors().iter().all(|error| error.phase() == Phase::Release));
    // Ten seconds by default.
    let late = Duration::from_secs(10)..Duration::from_secs(11);
    assert!(late.contains(&report.errors()[0].elapsed()), "{report}");
    assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&report.errors()[1].elapsed()), "{report}");
    assert_eq!(report.code(), 1);

    let told = report.to_string();
    for line in [
        "failed; down in 13",
        "last: released in ",
        "hanging: not released in 10.",
        "error: failed to release \"patient\" after 3.",
        ": it took longer than 3.0s",
        "error: failed to release \"panicking\" after 0.0ns: panicked: out of its wits",
        ": out of luck",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_may_be_as_long_as_it_likes() {
    let journal = Journal::default();
    let report = settings()
        .release_within(Duration::MAX)
        .run(async |app| {
            app.open("session", journal.part("session")).await?;
            Ok::<_, Error>(())
        })
        .await;
    assert!(report.is_success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_blocks_its_thread_is_left_behind() {
    let journal = Journal::default();
    let report = settings()
        .release_within(Duration::from_millis(50))
        .run(async |app| {
            app.open("session", journal.part("session")).await?;
            app.open("blocking", journal.part("blocking").release("block")).await?;
            Ok::<_, Error>(())
        })
        .await;
    assert_eq!(journal.lines()[4..].join("|"), "release blocking|release session|released session");
    assert!(report.errors()[0].is_timeout() && report.errors().len() == 1, "{report}");
}
