//! Crashes: `kill -9` at any moment loses nothing that was answered with 204, and leaves nothing
//! half done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::{Database, Load, Mode, Outcome, Random, Sent, Ses, Settings, soak, until};

const SENDERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_no_registration_on_sqlite() {
    killed_at_random(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_no_registration_on_postgres() {
    killed_at_random(Database::postgres().await).await;
}

async fn killed_at_random(database: Database) {
    let kills = soak(100, 5);
    let random = Random::new("kills");
    let ses = Ses::start();
    // Slow responses, so that a kill interrupts sends.
    ses.set(Mode::Slow(Duration::from_millis(30)));
    let settings = Settings::new(&database).ses(&ses).with("--senders", SENDERS).with("--lease", "2s");

    let mut service = settings.start().await;
    let load = Load::start("k", 8, usize::MAX, &[service.url("")]);
    for kill in 0..kills {
        // Most kills hit a busy service; each fourth may hit one that has just started.
        if kill % 4 != 3 {
            let before = load.accepted();
            until("there is load", async || (load.accepted() > before).then_some(())).await;
        }
        tokio::time::sleep(Duration::from_millis(random.below(500))).await;
        service.kill();
        service = settings.start().await;
        load.set_sites(&[service.url("")]);
    }
    let outcomes = load.stop().await;
    let users = until("every user has a mail", async || {
        let users = database.users().await;
        let mailed: BTreeSet<String> = ses.sent().into_iter().map(|mail| mail.to).collect();
        users.is_subset(&mailed).then_some(users)
    })
    .await;
    until("no mail is pending", async || (database.pending().await == 0).then_some(())).await;

    nothing_is_lost(&outcomes, &users);
    let twice = nobody_has_what_is_not_theirs(&ses.sent(), &users);
    let (accepted, mails) = (outcomes.iter().filter(|outcome| outcome.status == Some(204)).count(), ses.count());
    println!("{kills} kills: {accepted} accepted, {} users, {mails} mails, {} of them twice", users.len(), twice.len());
    assert!(twice.len() <= kills * SENDERS, "{} mails were sent twice", twice.len());
    // Each token of the mail works, the first one too.
    for mail in twice.iter().take(10) {
        assert_eq!(service.activate(mail.token()).await.unwrap().status, 204, "{mail:?}");
    }
}

fn nothing_is_lost(outcomes: &[Outcome], users: &BTreeSet<String>) {
    let accepted = outcomes.iter().filter(|outcome| outcome.status == Some(204));
    let lost: Vec<_> = accepted.clone().filter(|outcome| !users.contains(&outcome.email)).collect();
    assert!(lost.is_empty(), "answered with 204, and lost: {lost:?}");
    assert!(accepted.count() > 0, "there was no load");
    let other: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome.status, Some(204) | None)).collect();
    assert!(other.is_empty(), "{other:?}");
}

/// First copies of the mails that were sent twice.
fn nobody_has_what_is_not_theirs(sent: &[Sent], users: &BTreeSet<String>) -> Vec<Sent> {
    let mut ids = BTreeMap::<&str, BTreeSet<&str>>::new();
    let mut copies = BTreeMap::<&str, Vec<&Sent>>::new();
    for mail in sent {
        assert!(users.contains(&mail.to), "a mail without a user: {mail:?}");
        ids.entry(&mail.to).or_default().insert(&mail.id);
        copies.entry(&mail.id).or_default().push(mail);
    }
    // Each address registered once, so two ids would be two mails.
    let several: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(several.is_empty(), "{several:?}");
    copies.values().filter(|copies| copies.len() > 1).map(|copies| copies[0].clone()).collect()
}
