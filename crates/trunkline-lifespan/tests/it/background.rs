//! Background work: asked, waited for, and what its failure does.

use std::future::pending;
use std::time::Duration;

use trunkline_lifespan::{Phase, StepKind};

use crate::support::{Journal, run};

#[tokio::test]
async fn work_is_stopped_before_anything_is_released_and_the_last_begun_first() {
    let journal = Journal::default();
    let ending = run(async |life| {
        for name in ["outbox", "heartbeat"] {
            let journal = journal.clone();
            life.background(name, async move |stop| {
                stop.requested().await;
                assert!(stop.is_requested());
                // Work that ends in its own time.
                tokio::time::sleep(Duration::from_millis(5)).await;
                journal.write(format!("stopped {name}"));
            });
        }
        life.open("session", journal.part("session")).await?;
        Ok(())
    })
    .await;
    assert_eq!(journal.lines()[2..].join("|"), "stopped heartbeat|stopped outbox|release session|released session");
    let steps: Vec<_> = ending.steps().iter().map(|step| (step.kind, &*step.name)).collect();
    assert_eq!(
        steps,
        [(StepKind::Stopped, "heartbeat"), (StepKind::Stopped, "outbox"), (StepKind::Released, "session")]
    );
    assert!(ending.is_success());
}

#[tokio::test]
async fn its_failure_brings_the_application_down_in_order() {
    for panics in [false, true] {
        let journal = Journal::default();
        let ending = run(async |life| {
            life.open("session", journal.part("session").release("fail")).await?;
            life.background("outbox", async move |_| {
                assert!(!panics, "the outbox is full");
                Err("the outbox is full")
            });
            life.until_stopped().await;
            assert!(!life.readiness().is_ready());
            journal.write("returned");
            Ok(())
        })
        .await;
        assert_eq!(journal.lines()[2..].join("|"), "returned|release session");
        let [first, second] = ending.errors() else { panic!("{ending}") };
        assert_eq!((first.phase(), first.name(), first.is_panic()), (Phase::Background, "outbox", panics));
        assert!(first.to_string().starts_with("background work \"outbox\" failed after "), "{first}");
        assert!(first.to_string().ends_with("the outbox is full"), "{first}");
        assert_eq!(second.name(), "session");
        assert_eq!((ending.code(), ending.signal()), (1, None));
    }
}

#[tokio::test]
async fn its_failure_calls_off_a_start_and_comes_before_what_the_function_makes_of_it() {
    let journal = Journal::default();
    let ending = run(async |life| {
        life.open("session", journal.part("session")).await?;
        life.background("outbox", async |_| Err("the outbox is full"));
        life.open("database", journal.part("database").acquire("hang")).await?;
        unreachable!();
    })
    .await;
    assert_eq!(journal.lines()[2..].join("|"), "acquire database|release session|released session");
    assert_eq!(ending.errors().len(), 1, "{ending}");
    assert_eq!(ending.code(), 1);

    let ending = run(async |life| {
        life.background("outbox", async |_| Err("the outbox is full"));
        life.until_stopped().await;
        life.open("late", journal.part("late").acquire("fail")).await?;
        Ok(())
    })
    .await;
    let names: Vec<_> = ending.errors().iter().map(|error| error.name()).collect();
    assert_eq!(names, ["outbox", "late"]);
}

#[tokio::test]
async fn work_that_has_nothing_more_to_do_may_end() {
    let journal = Journal::default();
    let ending = run(async |life| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        life.background("warm-up", async move |stop| {
            assert_eq!(stop.or(async { 7 }).await, Some(7));
            sender.send(()).unwrap();
            Ok::<_, String>(())
        });
        receiver.await.unwrap();
        life.open("session", journal.part("session")).await?;
        assert!(!life.stopping().is_requested());
        Ok(())
    })
    .await;
    assert!(ending.is_success(), "{ending}");
}

#[tokio::test]
async fn work_that_never_runs_out_stops_between_two_pieces() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let ending = run(async |life| {
        life.background("busy", async move |stop| {
            let mut pieces = 0;
            while stop.or(async { pieces += 1 }).await.is_some() {
                let _ = sender.try_send(());
                tokio::task::yield_now().await;
            }
            // Time already: not begun.
            assert_eq!(stop.or(async { unreachable!() }).await, None::<()>);
        });
        receiver.recv().await;
        Ok(())
    })
    .await;
    assert!(ending.is_success() && ending.steps()[0].name == "busy", "{ending}");
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_stop_is_aborted_at_its_limit() {
    let journal = Journal::default();
    let ending = run(async |life| {
        life.open("session", journal.part("session")).await?;
        let dropped = OnDrop(journal.clone());
        life.background("deaf", async move |_| {
            let _dropped = dropped;
            pending::<()>().await;
        })
        .stop_within(Duration::from_secs(3));
        life.background("hard of hearing", async |_| pending::<()>().await);
        Ok(())
    })
    .await;
    assert_eq!(journal.lines()[2..].join("|"), "dropped|release session|released session");
    let errors: Vec<_> = ending.errors().iter().map(|error| error.to_string()).collect();
    assert_eq!(
        errors,
        [
            "background work \"hard of hearing\" did not stop: it took longer than 10.0s",
            "background work \"deaf\" did not stop: it took longer than 3.0s"
        ]
    );
    assert!(ending.errors().iter().all(|error| error.is_timeout() && error.phase() == Phase::Background));
}

struct OnDrop(Journal);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.write("dropped");
    }
}
