//! Releasing: all of them, whatever one of them does, each error with its name and its time.

use std::time::Duration;

use trunkline_lifespan::{Error, Phase};

use crate::support::{Journal, run, settings};

#[tokio::test(start_paused = true)]
async fn one_that_fails_panics_or_is_late_does_not_keep_the_others_from_being_released() {
    let journal = Journal::default();
    let ending = run(async |life| {
        life.open("first", journal.part("first")).await?;
        life.open("failing", journal.part("failing").release("fail")).await?;
        life.open("second", journal.part("second")).await?;
        life.open("panicking", journal.part("panicking").release("panic")).await?;
        life.open("patient", journal.part("patient").release("hang")).release_within(Duration::from_secs(3)).await?;
        life.open("hanging", journal.part("hanging").release("hang")).await?;
        life.open("last", journal.part("last")).await?;
        Ok(())
    })
    .await;
    let expected = "release last|released last|release hanging|release patient|release panicking|release second|released second|\
                    release failing|release first|released first";
    assert_eq!(journal.lines()[14..].join("|"), expected);

    let errors: Vec<_> =
        ending.errors().iter().map(|error| (error.name(), error.is_timeout(), error.is_panic())).collect();
    let expected =
        [("hanging", true, false), ("patient", true, false), ("panicking", false, true), ("failing", false, false)];
    assert_eq!(errors, expected);
    assert!(ending.errors().iter().all(|error| error.phase() == Phase::Release));
    // Ten seconds by default.
    let late = Duration::from_secs(10)..Duration::from_secs(11);
    assert!(late.contains(&ending.errors()[0].elapsed()), "{ending}");
    assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&ending.errors()[1].elapsed()), "{ending}");
    assert_eq!(ending.code(), 1);

    let told = ending.to_string();
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
    let ending = settings()
        .release_within(Duration::MAX)
        .run(async |life| {
            life.open("session", journal.part("session")).await?;
            Ok::<_, Error>(())
        })
        .await;
    assert!(ending.is_success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_blocks_its_thread_is_left_behind() {
    let journal = Journal::default();
    let ending = settings()
        .release_within(Duration::from_millis(50))
        .run(async |life| {
            life.open("session", journal.part("session")).await?;
            life.open("blocking", journal.part("blocking").release("block")).await?;
            Ok::<_, Error>(())
        })
        .await;
    assert_eq!(journal.lines()[4..].join("|"), "release blocking|release session|released session");
    assert!(ending.errors()[0].is_timeout() && ending.errors().len() == 1, "{ending}");
}
