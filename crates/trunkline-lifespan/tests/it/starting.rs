//! Opening of resources, and their release when a later one fails.

use std::error::Error as _;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use trunkline_lifespan::{App, Error, Phase, Result, StepKind, resource};

use crate::support::{Journal, chain, run, settings};

#[tokio::test]
async fn opened_in_order_and_released_in_reverse() {
    let journal = Journal::default();
    let report = run(async |app| {
        assert_eq!(app.open("session", journal.part("session")).await?, "session");
        app.open("database", journal.part("database")).await?;
        app.open("queue", journal.part("queue")).await?;
        journal.write("up");
        Ok(())
    })
    .await;
    assert_eq!((report.code(), report.errors().len(), report.signal()), (0, 0, None));
    let expected = "acquire session|check session|acquire database|check database|acquire queue|check queue|up|\
                    release queue|released queue|release database|released database|release session|released session";
    assert_eq!(journal.lines().join("|"), expected);
    let steps: Vec<_> = report.steps().iter().map(|step| (step.kind, &*step.name, step.failed)).collect();
    assert_eq!(steps, ["queue", "database", "session"].map(|name| (StepKind::Released, name, false)));
}

#[tokio::test]
async fn a_failed_start_releases_the_earlier_ones_and_comes_first() {
    for how in ["fail", "panic"] {
        let journal = Journal::default();
        let report = run(async |app| {
            app.open("session", journal.part("session")).await?;
            app.open("queue", journal.part("queue").release("fail")).await?;
            app.open("database", journal.part("database").acquire(how)).await?;
            unreachable!();
        })
        .await;
        assert_eq!(report.code(), 1);
        assert_eq!(
            journal.lines()[4..].join("|"),
            "acquire database|release queue|release session|released session",
            "{how}"
        );
        let [first, second] = report.errors() else { panic!("{report}") };
        assert_eq!((first.phase(), first.name(), first.is_panic()), (Phase::Acquire, "database", how == "panic"));
        let cause = if how == "fail" { "out of luck" } else { "panicked: out of its wits" };
        assert_eq!(chain(first), format!("failed to open \"database\": {cause}"));
        assert_eq!((second.phase(), second.name()), (Phase::Release, "queue"));
        assert_eq!(report.into_result().unwrap_err().name(), "database");
    }
}

#[tokio::test]
async fn a_failed_check_releases_what_was_acquired() {
    for (how, cause) in [("fail", "out of luck"), ("panic", "panicked: out of its wits")] {
        let journal = Journal::default();
        let report = run(async |app| {
            app.open("database", journal.part("database")).await?;
            let error = app.open("session", journal.part("session").check(how)).await.unwrap_err();
            journal.write("told");
            Err(error)
        })
        .await;
        assert_eq!(
            journal.lines()[2..].join("|"),
            "acquire session|check session|release session|released session|told|release database|released database"
        );
        let [error] = report.errors() else { panic!("{report}") };
        assert_eq!(chain(error), format!("failed validation for \"session\": {cause}"));
        assert_eq!((error.phase(), error.name(), report.code()), (Phase::Check, "session", 1));
    }
}

#[tokio::test]
async fn a_failed_check_comes_before_the_release_that_it_causes() {
    let journal = Journal::default();
    let report = run(async |app| {
        app.open("session", journal.part("session").check("fail").release("panic")).await?;
        Ok(())
    })
    .await;
    let phases: Vec<_> = report.errors().iter().map(Error::phase).collect();
    assert_eq!(phases, [Phase::Check, Phase::Release]);
    assert!(report.errors()[1].is_panic());
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_to_open_is_given_up() {
    let journal = Journal::default();
    let limit = Duration::from_secs(3);
    let report = run(async |app| {
        let error =
            app.open("database", journal.part("database").acquire("hang")).open_within(limit).await.unwrap_err();
        assert!(error.is_timeout() && error.phase() == Phase::Acquire && error.elapsed() >= limit, "{error}");
        assert_eq!(error.to_string(), "failed to open \"database\": it took longer than 3.0s");
        let error = app.open("session", journal.part("session").check("hang")).open_within(limit).await.unwrap_err();
        assert!(error.is_timeout() && error.phase() == Phase::Check, "{error}");
        Ok(())
    })
    .await;
    assert!(report.is_success(), "the application can do without: {report}");
    assert_eq!(
        journal.lines().join("|"),
        "acquire database|acquire session|check session|release session|released session"
    );
}

#[tokio::test]
async fn a_stop_during_the_start_drops_the_function_and_releases() {
    for (acquire, check) in [("hang", "ok"), ("ok", "hang")] {
        let journal = Journal::default();
        let report = run(async |app| {
            app.open("session", journal.part("session")).await?;
            let shutdown = app.shutdown();
            app.background("impatient", async move |_| shutdown.begin());
            app.open("database", journal.part("database").acquire(acquire).check(check)).await?;
            unreachable!();
        })
        .await;
        let lines = journal.lines().join("|");
        // An acquired resource is released, even if its check has not ended.
        let released = if acquire == "ok" { "check database|release database|released database|" } else { "" };
        assert!(lines.ends_with(&format!("acquire database|{released}release session|released session")), "{lines}");
        assert!(report.errors().is_empty(), "{report}");
        assert!(report.to_string().starts_with("stopped before it was up; down in "), "{report}");
    }
}

#[tokio::test]
async fn a_panic_of_the_function_releases_everything() {
    let journal = Journal::default();
    let report = run(async |app| {
        app.open("session", journal.part("session")).await?;
        panic!("not as planned");
    })
    .await;
    assert_eq!(journal.lines().last().unwrap(), "released session");
    let [error] = report.errors() else { panic!("{report}") };
    assert!(error.is_panic() && error.phase() == Phase::Application, "{error:?}");
    assert_eq!(error.to_string(), "the application failed: panicked: not as planned");
    assert_eq!(report.code(), 1);
}

#[tokio::test]
async fn the_function_may_fail_with_any_error() {
    let report = settings()
        .run(async |_: &App| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            let below = io::Error::new(io::ErrorKind::NotFound, "no such file");
            Err(io::Error::other(below).into())
        })
        .await;
    let [error] = report.errors() else { panic!("{report}") };
    assert_eq!(chain(error), "the application failed: no such file");
    assert!(error.get_ref().unwrap().is::<io::Error>(), "{error:?}");
    assert!(error.source().unwrap().source().is_none(), "{error:?}");
}

#[tokio::test]
async fn closures_make_a_resource() {
    let journal = Journal::default();
    let (acquired, checked, released) = (journal.clone(), journal.clone(), journal.clone());
    let report = run(async |app| {
        let number = resource(async move || {
            acquired.write("acquire");
            Ok::<_, io::Error>(Arc::new(7))
        })
        .check(async move |number: Arc<i32>| {
            checked.write(format!("check {number}"));
            Ok::<_, String>(())
        })
        .release(async move |number: Arc<i32>| {
            released.write(format!("release {number}"));
            Err::<(), _>("gone already")
        });
        assert_eq!(*app.open("number", number).await?, 7);
        app.open("nothing more", resource(async || Ok::<_, io::Error>("a handle"))).await?;
        Ok(())
    })
    .await;
    assert_eq!(journal.lines(), ["acquire", "check 7", "release 7"]);
    assert!(chain(&report.errors()[0]).ends_with(": gone already"), "{report}");
}

#[tokio::test]
async fn what_is_opened_at_the_same_time_is_released_all_the_same() {
    let journal = Journal::default();
    let report = run(async |app| {
        let (session, database) =
            tokio::join!(app.open("session", journal.part("session")), app.open("database", journal.part("database")));
        assert_eq!((session?, database?), ("session", "database"));
        Ok(())
    })
    .await;
    assert!(report.is_success());
    assert_eq!(journal.lines()[4..].join("|"), "release database|released database|release session|released session");
}

#[tokio::test]
async fn a_resource_whose_open_is_dropped_is_released_at_the_end() {
    let journal = Journal::default();
    let report = run(async |app| {
        {
            let mut open = std::pin::pin!(app.open("session", journal.part("session").check("hang")).into_future());
            tokio::select! {
                biased;
                _ = &mut open => unreachable!(),
                () = std::future::ready(()) => {}
            }
        }
        journal.write("given up");
        Ok(())
    })
    .await;
    assert!(report.is_success());
    assert_eq!(journal.lines()[2..].join("|"), "given up|release session|released session");
}

#[tokio::test]
async fn an_application_that_is_dropped_drops_what_it_has() {
    let journal = Journal::default();
    let (up, alive) = (Arc::new(tokio::sync::Notify::new()), Arc::new(()));
    let task = tokio::spawn(settings().run({
        let (journal, up, alive) = (journal.clone(), up.clone(), alive.clone());
        async move |app: &App| -> Result<()> {
            app.open("session", journal.part("session")).await?;
            app.background("worker", async move |_| {
                let _alive = alive;
                pending::<()>().await;
            });
            up.notify_one();
            pending().await
        }
    }));
    up.notified().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    while Arc::strong_count(&alive) > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(journal.lines().join("|"), "acquire session|check session");
}
