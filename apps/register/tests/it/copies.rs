//! Several copies of the service on one database.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Database, Load, Ses, Settings, soak, until};

const SENDERS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn three_copies_send_each_mail_once_except_killed_leases() {
    let (ses, database) = (Ses::start(), Database::postgres().await);
    let settings = Settings::new(&database).ses(&ses).with("--senders", SENDERS).with("--lease", "2s");
    let (a, b, mut killed) = (settings.start().await, settings.start().await, settings.start().await);
    let count = soak(2000, 150);
    let load = Load::start("c", 12, count, &[a.url(""), b.url(""), killed.url("")]);
    until("half of them are registered", async || (load.done() >= count / 2).then_some(())).await;
    let shares = [&a, &b, &killed].map(|copy| copy.metrics());
    for share in shares {
        let share = share.await;
        assert!(share.mails_sent() > 0, "a copy does nothing:\n{share}");
    }
    killed.kill();
    load.set_sites(&[a.url(""), b.url("")]);
    let outcomes = load.finish().await;

    let users = until("every user has a mail", async || {
        let users = database.users().await;
        let mailed: BTreeSet<String> = ses.sent().into_iter().map(|mail| mail.to).collect();
        users.is_subset(&mailed).then_some(users)
    })
    .await;
    until("no mail is pending", async || (database.pending().await == 0).then_some(())).await;
    let accepted = outcomes.iter().filter(|outcome| outcome.status == Some(204));
    assert!(accepted.clone().all(|outcome| users.contains(&outcome.email)), "{outcomes:?}");
    // All mails except those under way on the killed copy.
    assert!(accepted.count() >= count - 24, "{outcomes:?}");

    let mut copies = BTreeMap::<String, usize>::new();
    for mail in ses.sent() {
        assert!(users.contains(&mail.to), "a mail without a user: {mail:?}");
        *copies.entry(mail.id).or_default() += 1;
    }
    assert_eq!(copies.len(), users.len(), "a mail for each");
    let twice: Vec<_> = copies.iter().filter(|(_, copies)| **copies > 1).collect();
    println!("{} users, {} mails, {} of them twice", users.len(), ses.count(), twice.len());
    assert!(twice.len() <= SENDERS && twice.iter().all(|(_, copies)| **copies == 2), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_can_start_at_once_on_a_new_database() {
    for _ in 0..soak(20, 3) {
        for database in Database::both().await {
            let settings = Settings::new(&database);
            let starting: Vec<_> = (0..5).map(|_| settings.spawn()).collect();
            let mut up = Vec::new();
            for copy in starting {
                up.push(copy.ready().await);
            }
        }
    }
}
