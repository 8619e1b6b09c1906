//! Background work: stopped, awaited, and its failures.

use std::future::pending;
use std::time::Duration;

use trunkline_lifespan::{Phase, StepKind};

use crate::support::{Journal, chain, run};

#[tokio::test]
async fn work_stops_before_any_release_the_last_begun_first() {
    let journal = Journal::default();
    let report = run(async |app| {
        for name in ["outbox", "heartbeat"] {
            let journal = journal.clone();
            app.background(name, async move |stop| {
                stop.requested().await;
                assert!(stop.is_requested());
                // Work that ends by itself.
                tokio::time::sleep(Duration::from_millis(5)).await;
                journal.write(format!("stopped {name}"));
            });
        }
        app.open("session", journal.part("session")).await?;
        Ok(())
    })
    .await;
    assert_eq!(journal.lines()[2..].join("|"), "stopped heartbeat|stopped outbox|release session|released session");
    let steps: Vec<_> = report.steps().iter().map(|step| (step.kind, &*step.name)).collect();
    assert_eq!(
        steps,
        [(StepKind::Stopped, "heartbeat"), (StepKind::Stopped, "outbox"), (StepKind::Released, "session")]
    );
    assert!(report.is_success());
}

#[tokio::test]
async fn its_failure_brings_the_application_down_in_order() {
    for panics in [false, true] {
        let journal = Journal::default();
        let report = run(async |app| {
            app.open("session", journal.part("session").release("fail")).await?;
            app.background("outbox", async move |_| {
                assert!(!panics, "the outbox is full");
                Err("the outbox is full")
            });
            app.until_stopped().await;
            assert!(!app.readiness().is_ready());
            journal.write("returned");
            Ok(())
        })
        .await;
        assert_eq!(journal.lines()[2..].join("|"), "returned|release session");
        let [first, second] = report.errors() else { panic!("{report}") };
        assert_eq!((first.phase(), first.name(), first.is_panic()), (Phase::Background, "outbox", panics));
        assert!(first.to_string().starts_with("background work \"outbox\" failed after "), "{first}");
        assert!(chain(first).ends_with(": the outbox is full"), "{first}");
        assert_eq!(second.name(), "session");
        assert_eq!((report.code(), report.signal()), (1, None));
    }
}

#[tokio::test]
async fn its_failure_ends_a_start_and_comes_first_in_the_report() {
    let journal = Journal::default();
    let report = run(async |app| {
        app.open("session", journal.part("session")).await?;
        app.background("outbox", async |_| Err("the outbox is full"));
        app.open("database", journal.part("database").acquire("hang")).await?;
        unreachable!();
    })
    .await;
    assert_eq!(journal.lines()[2..].join("|"), "acquire database|release session|released session");
    assert_eq!(report.errors().len(), 1, "{report}");
    assert_eq!(report.code(), 1);

    let report = run(async |app| {
        app.background("outbox", async |_| Err("the outbox is full"));
        app.until_stopped().await;
        app.open("late", journal.part("late").acquire("fail")).await?;
        Ok(())
    })
    .await;
    let names: Vec<_> = report.errors().iter().map(|error| error.name()).collect();
    assert_eq!(names, ["outbox", "late"]);
}

#[tokio::test]
async fn work_that_has_nothing_more_to_do_may_end() {
    let journal = Journal::default();
    let report = run(async |app| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        app.background("warm-up", async move |stop| {
            assert_eq!(stop.or(async { 7 }).await, Some(7));
            sender.send(()).unwrap();
            Ok::<_, String>(())
        });
        receiver.await.unwrap();
        app.open("session", journal.part("session")).await?;
        assert!(!app.stopping().is_requested());
        Ok(())
    })
    .await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn work_that_never_runs_out_stops_between_two_pieces() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let report = run(async |app| {
        app.background("busy", async move |stop| {
            let mut pieces = 0;
            while stop.or(async { pieces += 1 }).await.is_some() {
                let _ = sender.try_send(());
                tokio::task::yield_now().await;
            }
            // The stop was requested before: the work does not begin.
            assert_eq!(stop.or(async { unreachable!() }).await, None::<()>);
        });
        receiver.recv().await;
        Ok(())
    })
    .await;
    assert!(report.is_success() && report.steps()[0].name == "busy", "{report}");
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_stop_is_aborted_at_its_limit() {
    let journal = Journal::default();
    let report = run(async |app| {
        app.open("session", journal.part("session")).await?;
        let dropped = OnDrop(journal.clone());
        app.background("deaf", async move |_| {
            let _dropped = dropped;
            pending::<()>().await;
        })
        .stop_within(Duration::from_secs(3));
        app.background("hard of hearing", async |_| pending::<()>().await);
        Ok(())
    })
    .await;
    assert_eq!(journal.lines()[2..].join("|"), "dropped|release session|released session");
    let errors: Vec<_> = report.errors().iter().map(|error| error.to_string()).collect();
    assert_eq!(
        errors,
        [
            "background work \"hard of hearing\" did not stop: it took longer than 10.0s",
            "background work \"deaf\" did not stop: it took longer than 3.0s"
        ]
    );
    assert!(report.errors().iter().all(|error| error.is_timeout() && error.phase() == Phase::Background));
}

struct OnDrop(Journal);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.write("dropped");
    }
}
