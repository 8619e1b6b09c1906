//! Outbox: each mail is sent once if possible, the number of senders bounds concurrency, and mails
//! that SES refuses are recorded.

use std::collections::HashSet;
use std::time::Duration;

use register::accounts::Token;
use register::mail::{Credentials, SesSettings};
use register::outbox::{Outbox, OutboxSettings};
use register::store::{Activated, Store};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::task::JoinHandle;
use trunkline::{Pool, Session};
use trunkline_lifespan::{App, Lifespan, Report, Result, Shutdown};

use crate::support::bench::{Bench, DAY, MINUTE, open};
use crate::support::{Database, Mode, Ses, until};

const SENDERS: usize = 3;

/// Running outbox.
struct Sender {
    outbox: Outbox,
    session: Session,
    shutdown: Shutdown,
    ending: JoinHandle<Report>,
}

impl Sender {
    async fn start(store: &Store, ses: &Ses) -> Self {
        Self::start_with(store, ses, |settings| settings).await
    }

    async fn start_with(store: &Store, ses: &Ses, set: impl FnOnce(OutboxSettings) -> OutboxSettings) -> Self {
        let settings = set(OutboxSettings {
            senders: SENDERS,
            lease: MINUTE,
            token_lifetime: DAY,
            public_url: "https://register.example/sign-up".parse().unwrap(),
            finish_within: MINUTE,
        });
        let session = Session::builder().pool(Pool::new()).build().unwrap();
        let client = SesSettings {
            from: "register@example.com".to_owned(),
            region: Some("eu-central-1".to_owned()),
            endpoint: Some(ses.endpoint().parse().unwrap()),
            credentials: Credentials::Fixed { key_id: "test".to_owned(), secret: "test".into() },
            send_within: MINUTE,
        };
        let client = register::mail::Ses::open(client, session.pool()).await.unwrap();
        let outbox = Outbox::new(store.clone(), client, settings);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let running = outbox.clone();
        let lifespan = Lifespan::new().signals(false).stop_within(2 * MINUTE);
        let ending = tokio::spawn(lifespan.run(async move |app: &App| -> Result<()> {
            app.background("outbox", |stop| running.run(stop));
            let _ = sender.send(app.shutdown());
            app.until_stopped().await;
            Ok(())
        }));
        Self { outbox, session, shutdown: receiver.await.unwrap(), ending }
    }

    async fn stop(self) {
        self.shutdown.begin();
        let ending = self.ending.await.unwrap();
        assert!(ending.is_success(), "{ending}");
        let report = self.session.close().await;
        assert_eq!((report.drained, report.aborted), (0, 0), "{report}");
    }

    /// Stops without any notice, as `kill -9` does.
    async fn kill(self) {
        self.ending.abort();
        self.ending.await.unwrap_err();
    }
}

async fn all_sent(bench: &Bench) {
    until("all mails are sent", async || (bench.pending().await == 0).then_some(())).await;
}

async fn register(bench: &Bench, count: usize) {
    for number in 0..count {
        bench.register(&format!("{number}@b.example"), "a hash").await;
    }
}

fn ids(ses: &Ses) -> HashSet<String> {
    ses.sent().into_iter().map(|mail| mail.id).collect()
}

#[tokio::test]
async fn each_mail_is_sent_once_and_senders_bound_concurrency() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        ses.set(Mode::Slow(Duration::from_millis(20)));
        register(&bench, 20).await;
        let sender = Sender::start(&bench.store, &ses).await;
        // Half of the mails are queued while it runs.
        for number in 20..40 {
            bench.register(&format!("{number}@b.example"), "a hash").await;
        }
        all_sent(&bench).await;
        assert_eq!((ses.count(), ids(&ses).len()), (40, 40));
        assert_eq!(ses.under_way().1, SENDERS);
        assert!(ses.connections() <= SENDERS, "{}", ses.connections());
        let figures = sender.outbox.figures();
        assert_eq!((figures.sent, figures.failed_attempts, figures.dead, figures.paused), (40, 0, 0, false));
        sender.stop().await;
        assert_eq!(bench.database.count("SELECT count(*) FROM outbox WHERE message_id LIKE '0100-%'").await, 40);
    }
}

#[tokio::test]
async fn the_token_is_in_the_mail_and_nowhere_else_and_activates() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        let sender = Sender::start(&bench.store, &ses).await;
        bench.register("a@b.example", "a hash").await;
        all_sent(&bench).await;
        let mail = &ses.sent()[0];
        assert_eq!(mail.to, "A@b.example", "as it was typed, but for the domain");
        assert!(mail.link().starts_with("https://register.example/sign-up/activate?token="), "{}", mail.link());
        assert!(!bench.database.dump().await.contains(mail.token()));
        let digest = Token::parse(mail.token()).unwrap().digest();
        assert_eq!(bench.store.activate(&digest).await.unwrap(), Activated::Now);
        bench.register("a@b.example", "another hash").await;
        bench.pass(MINUTE).await;
        all_sent(&bench).await;
        let mail = &ses.sent()[1];
        assert!(mail.subject.contains("already") && !mail.text.contains("token="), "{mail:?}");
        sender.stop().await;
    }
}

#[tokio::test]
async fn copies_share_the_work_and_send_each_mail_once() {
    for bench in Bench::both().await {
        let (ses, second) = (Ses::start(), open(&bench.database).await);
        ses.set(Mode::Slow(Duration::from_millis(5)));
        let senders = [Sender::start(&bench.store, &ses).await, Sender::start(&second, &ses).await];
        register(&bench, 60).await;
        all_sent(&bench).await;
        assert_eq!((ses.count(), ids(&ses).len()), (60, 60));
        assert!(ses.under_way().1 <= 2 * SENDERS);
        for sender in senders {
            sender.stop().await;
        }
        second.close().await;
    }
}

#[tokio::test]
async fn mail_of_a_killed_sender_keeps_its_id_after_the_lease() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        // SES takes the mail, but its response is lost.
        ses.set(Mode::Slow(10 * MINUTE));
        bench.register("a@b.example", "a hash").await;
        let killed = Sender::start(&bench.store, &ses).await;
        until("the mail is taken", async || (ses.count() == 1).then_some(())).await;
        killed.kill().await;
        ses.set(Mode::Take);
        let sender = Sender::start(&bench.store, &ses).await;
        assert_eq!(bench.pending().await, 1);
        assert_eq!(ses.count(), 1);
        bench.pass(MINUTE).await;
        all_sent(&bench).await;
        let sent = ses.sent();
        assert_eq!((sent.len(), &sent[0].id), (2, &sent[1].id));
        assert_ne!(sent[0].token(), sent[1].token());
        let activate = async |at: usize| {
            let digest = Token::parse(sent[at].token()).unwrap().digest();
            bench.store.activate(&digest).await.unwrap()
        };
        assert_eq!(activate(0).await, Activated::Now);
        assert_eq!(activate(1).await, Activated::Over);
        sender.stop().await;
    }
}

#[tokio::test]
async fn a_stop_finishes_current_sends_and_starts_no_more() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        ses.set(Mode::Slow(Duration::from_millis(300)));
        // More mails than SES can take before the stop, also on a busy machine.
        register(&bench, 60).await;
        let sender = Sender::start(&bench.store, &ses).await;
        until("some are under way", async || (ses.under_way().0 == SENDERS).then_some(())).await;
        sender.stop().await;
        let sent = ses.count();
        assert!(sent < 60, "{sent}");
        assert_eq!(bench.database.count("SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL").await, sent as i64);
        assert_eq!(bench.database.count("SELECT count(*) FROM outbox WHERE claim IS NOT NULL").await, 0);
        ses.set(Mode::Take);
        let sender = Sender::start(&bench.store, &ses).await;
        all_sent(&bench).await;
        assert_eq!((ses.count(), ids(&ses).len()), (60, 60));
        sender.stop().await;
    }
}

#[tokio::test]
async fn unfinished_mails_are_handed_back_at_the_deadline() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        ses.set(Mode::Hanging);
        register(&bench, 2 * SENDERS).await;
        let hasty = |settings| OutboxSettings { finish_within: Duration::from_millis(50), lease: DAY, ..settings };
        let sender = Sender::start_with(&bench.store, &ses, hasty).await;
        until("some are under way", async || (ses.under_way().0 == SENDERS).then_some(())).await;
        sender.stop().await;
        ses.set(Mode::Take);
        // The lease would last a day.
        let sender = Sender::start(&bench.store, &ses).await;
        all_sent(&bench).await;
        assert_eq!((ses.count(), ids(&ses).len()), (2 * SENDERS, 2 * SENDERS));
        sender.stop().await;
    }
}

#[tokio::test]
async fn a_refused_mail_is_given_up_and_delays_no_other() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        ses.set(Mode::Refusing);
        let sender = Sender::start(&bench.store, &ses).await;
        bench.register("refused@b.example", "a hash").await;
        until("it is given up", async || (sender.outbox.figures().dead == 1).then_some(())).await;
        ses.set(Mode::Take);
        bench.register("taken@b.example", "a hash").await;
        all_sent(&bench).await;
        assert_eq!(ses.sent()[0].to, "TAKEN@b.example");
        assert_eq!((ses.asked(), ses.count()), (2, 1));
        sender.stop().await;
    }
}

#[tokio::test]
async fn a_dead_letter_is_resent_once_however_often_requested() {
    for bench in Bench::both().await {
        let (ses, second) = (Ses::start(), open(&bench.database).await);
        ses.set(Mode::Refusing);
        let senders = [Sender::start(&bench.store, &ses).await, Sender::start(&second, &ses).await];
        bench.register("refused@b.example", "a hash").await;
        let backlog = until("it is given up", async || {
            let backlog = bench.store.backlog().await.unwrap();
            (backlog.given_up == 1).then_some(backlog)
        })
        .await;
        let mail = bench.store.dead_letters(1).await.unwrap().remove(0);
        assert!(mail.reason.starts_with("SES answered 400 MessageRejected"), "{}", mail.reason);
        ses.set(Mode::Slow(Duration::from_millis(50)));
        let at = backlog.given_up_at.unwrap();
        for _ in 0..5 {
            for sender in &senders {
                sender.outbox.send_again(mail.id, mail.at).await.unwrap();
                sender.outbox.send_all_again(at).await.unwrap();
            }
        }
        all_sent(&bench).await;
        assert_eq!((ses.asked(), ses.count()), (2, 1));
        let revived: u64 = senders.iter().map(|sender| sender.outbox.figures().revived).sum();
        assert_eq!(revived, 1);
        for sender in senders {
            sender.stop().await;
        }
        second.close().await;
    }
}

#[tokio::test]
async fn mails_wait_while_the_account_is_suspended_and_then_go_out() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        ses.set(Mode::Suspended);
        register(&bench, 30).await;
        let sender = Sender::start(&bench.store, &ses).await;
        until("it is found out", async || sender.outbox.figures().paused.then_some(())).await;
        until("it is tried again", async || (ses.asked() > SENDERS).then_some(())).await;
        assert!(ses.asked() <= SENDERS + 3, "{}", ses.asked());
        ses.set(Mode::Take);
        all_sent(&bench).await;
        assert_eq!((ses.count(), ids(&ses).len()), (30, 30));
        let figures = sender.outbox.figures();
        assert!(!figures.paused && figures.dead == 0, "{figures:?}");
        sender.stop().await;
    }
}

#[tokio::test]
async fn a_failed_mail_is_retried_until_it_is_sent() {
    for bench in Bench::both().await {
        for mode in [Mode::Broken, Mode::Throttling] {
            let ses = Ses::start();
            ses.set(mode);
            let sender = Sender::start(&bench.store, &ses).await;
            bench.register("a@b.example", "a hash").await;
            bench.pass(MINUTE).await;
            until("some have failed", async || (sender.outbox.figures().failed_attempts >= 2).then_some(())).await;
            ses.set(Mode::Take);
            all_sent(&bench).await;
            assert_eq!(ses.count(), 1);
            sender.stop().await;
        }
    }
}

/// Makes the database unusable for a moment: on SQLite another program holds the lock, on Postgres
/// all connections are cut.
async fn disturb(bench: &Bench) {
    if let Database::Sqlite(_) = bench.database {
        let mut other = SqliteConnection::connect(&bench.database.url()).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        bench.store.ready().await.unwrap();
        other.execute("ROLLBACK").await.unwrap();
    } else {
        let others = "SELECT CAST(pg_terminate_backend(pid) AS TEXT) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(!bench.database.column(others).await.is_empty());
    }
}

#[tokio::test]
async fn after_a_database_outage_other_copies_wake_ups_arrive_again() {
    for bench in Bench::both().await {
        let ses = Ses::start();
        let second = open(&bench.database).await;
        let sender = Sender::start(&second, &ses).await;
        for round in 0..5 {
            register(&bench, 3).await;
            disturb(&bench).await;
            until("all connections are made again", async || bench.store.ready().await.ok()).await;
            bench.register(&format!("later-{round}@b.example"), "a hash").await;
            bench.pass(MINUTE).await;
            all_sent(&bench).await;
        }
        assert_eq!(ids(&ses).len(), 20);
        sender.stop().await;
        second.close().await;
    }
}
