//! Registrations in the store, and their later states: the same for SQLite and for
//! Postgres.

use std::time::Duration;

use register::settings::{DatabaseSettings, Limit};
use register::store::{Activated, Recipient, Registration, Store};

use crate::support::Database;
use crate::support::bench::{Bench, DAY, MINUTE, limits, open};

const HOUR: Duration = Duration::from_secs(3600);

fn inactive(address: &str) -> Recipient {
    Recipient::Inactive { address: address.to_owned() }
}

fn active(address: &str) -> Recipient {
    Recipient::Active { address: address.to_owned() }
}

#[tokio::test]
async fn a_registration_is_activated_by_the_token_of_its_mail_once() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "first").await;
        assert_eq!(bench.password().await, None);
        assert_eq!(bench.activate(1).await, Activated::Never);
        let mail = bench.claim_one().await;
        assert_eq!(bench.send(mail, 1).await, inactive("A@B.EXAMPLE"));
        assert_eq!(bench.activate(2).await, Activated::Never);
        assert_eq!(bench.activate(1).await, Activated::Now);
        assert_eq!(bench.password().await.as_deref(), Some("first"));
        assert_eq!(bench.activate(1).await, Activated::Over);
        assert_eq!(bench.pending().await, 0);
    }
}

#[tokio::test]
async fn a_token_activates_only_its_own_password_and_ends_the_others() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "planted before").await;
        bench.register("a@b.example", "mine").await;
        bench.register("a@b.example", "planted after").await;
        assert_eq!(bench.send_all().await.len(), 3);
        assert_eq!(bench.activate(2).await, Activated::Now);
        assert_eq!(bench.password().await.as_deref(), Some("mine"));
        assert_eq!(bench.activate(1).await, Activated::Over);
        assert_eq!(bench.activate(3).await, Activated::Over);
        assert_eq!(bench.password().await.as_deref(), Some("mine"));
        assert_eq!(bench.database.count("SELECT count(*) FROM requests WHERE password_hash IS NOT NULL").await, 0);
    }
}

#[tokio::test]
async fn a_registration_never_alters_an_active_account() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "mine").await;
        bench.send_all().await;
        bench.activate(1).await;
        bench.register("a@b.example", "planted").await;
        bench.resend("a@b.example").await;
        assert_eq!(bench.send_all().await, [active("A@B.EXAMPLE")], "one waiting is enough");
        assert_eq!(bench.password().await.as_deref(), Some("mine"));
        assert_eq!((bench.rows("requests").await, bench.rows("tokens").await), (1, 1));
    }
}

#[tokio::test]
async fn a_mail_pending_at_activation_reports_the_existing_account() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "mine").await;
        bench.register("a@b.example", "mine again").await;
        let first = bench.claim_one().await;
        bench.send(first, 1).await;
        bench.activate(1).await;
        assert_eq!(bench.send_all().await, [active("A@B.EXAMPLE")]);
    }
}

#[tokio::test]
async fn the_mail_interval_delays_one_address_and_no_other() {
    for bench in Bench::both().await {
        for password in ["first", "second", "third"] {
            bench.register("a@b.example", password).await;
        }
        bench.register("c@d.example", "other").await;
        let send = async || {
            let claimed = bench.claim().await;
            for mail in &claimed {
                bench.store.sent(*mail, "an id").await.unwrap();
            }
            claimed.len()
        };
        assert_eq!(send().await, 2);
        for _ in 0..2 {
            assert_eq!(send().await, 0);
            let wait = bench.store.next_due().await.unwrap().unwrap();
            assert!(wait > MINUTE / 2 && wait <= MINUTE, "{wait:?}");
            bench.pass(wait + Duration::from_millis(1)).await;
            assert_eq!(send().await, 1);
        }
        assert_eq!(bench.store.next_due().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_resend_is_for_the_latest_request_and_pends_once() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "first").await;
        bench.register("a@b.example", "second").await;
        // The mail of the second waits for its interval.
        bench.resend("a@b.example").await;
        bench.resend("a@b.example").await;
        assert_eq!(bench.rows("outbox").await, 2);
        bench.send_all().await;
        bench.resend("a@b.example").await;
        bench.resend("a@b.example").await;
        assert_eq!(bench.rows("outbox").await, 3);
        bench.pass(MINUTE).await;
        let mail = bench.claim_one().await;
        assert_eq!(bench.send(mail, 9).await, inactive("A@B.EXAMPLE"));
        assert_eq!(bench.activate(9).await, Activated::Now);
        assert_eq!(bench.password().await.as_deref(), Some("second"));
    }
}

#[tokio::test]
async fn a_resend_to_an_unknown_address_stores_only_a_digest() {
    for mut bench in Bench::both().await {
        bench.limits.address_limit = Limit::Per(5, HOUR);
        bench.resend("nobody@b.example").await;
        assert_eq!((bench.rows("users").await, bench.rows("outbox").await, bench.rows("limits").await), (0, 0, 1));
        assert!(!bench.database.dump().await.contains("nobody@b.example"));
    }
}

#[tokio::test]
async fn the_address_limit_counts_known_and_unknown_alike() {
    for mut bench in Bench::both().await {
        bench.limits.address_limit = Limit::Per(3, HOUR);
        bench.register("active@b.example", "").await;
        bench.send_all().await;
        bench.activate(1).await;
        bench.pass(HOUR).await;
        for key in ["active@b.example", "new@b.example"] {
            for _ in 0..3 {
                bench.try_register(key, "").await.unwrap();
            }
            for wait in [bench.try_register(key, "").await.unwrap_err(), bench.try_register(key, "").await.unwrap_err()]
            {
                assert!(wait > HOUR / 3 - MINUTE && wait <= HOUR / 3, "{key}: {wait:?}");
            }
        }
        for _ in 0..3 {
            bench.resend("unknown@b.example").await;
        }
        bench.store.resend("unknown@b.example", &bench.limits).await.unwrap().unwrap_err();
        let mails = bench.rows("outbox").await;
        bench.pass(HOUR / 3).await;
        bench.register("new@b.example", "").await;
        bench.try_register("new@b.example", "").await.unwrap_err();
        assert_eq!(bench.rows("outbox").await, mails + 1);
    }
}

#[tokio::test]
async fn concurrent_registrations_make_one_user_and_a_mail_each() {
    for bench in Bench::both().await {
        let second = open(&bench.database).await;
        let mut racing = tokio::task::JoinSet::new();
        for number in 0..40 {
            let store = if number % 2 == 0 { bench.store.clone() } else { second.clone() };
            racing.spawn(async move {
                let hash = number.to_string();
                let new = Registration { typed: "a@b.example", key: "a@b.example", password_hash: &hash };
                store.register(&new, &limits()).await.unwrap().unwrap();
            });
        }
        racing.join_all().await;
        assert_eq!((bench.rows("users").await, bench.rows("requests").await, bench.rows("outbox").await), (1, 40, 40));
        // Each is one minute later than the one before.
        let spread = bench.database.count("SELECT (max(due_at) - min(due_at)) / 1000 FROM outbox").await;
        assert!((39 * 60 - 1..40 * 60).contains(&spread), "{spread}");
        second.close().await;
    }
}

#[tokio::test]
async fn one_of_several_concurrent_activations_succeeds() {
    for bench in Bench::both().await {
        for number in 0..10 {
            bench.register("a@b.example", &number.to_string()).await;
        }
        assert_eq!(bench.send_all().await.len(), 10);
        let mut racing = tokio::task::JoinSet::new();
        for token in (1..=10).chain(1..=10) {
            let store = bench.store.clone();
            racing.spawn(async move { (token, store.activate(&[token; 32]).await.unwrap()) });
        }
        let ended = racing.join_all().await;
        let won: Vec<_> = ended.iter().filter(|(_, activated)| *activated == Activated::Now).collect();
        assert_eq!(won.len(), 1, "{ended:?}");
        assert!(ended.iter().all(|(_, activated)| *activated != Activated::Never), "{ended:?}");
        // In order of registration.
        assert_eq!(bench.password().await, Some((won[0].0 - 1).to_string()));
    }
}

#[tokio::test]
async fn concurrent_senders_claim_different_mails() {
    for bench in Bench::both().await {
        for number in 0..60 {
            bench.register(&format!("{number}@b.example"), "").await;
        }
        let second = open(&bench.database).await;
        let mut racing = tokio::task::JoinSet::new();
        for number in 0..30 {
            let store = if number % 2 == 0 { bench.store.clone() } else { second.clone() };
            racing.spawn(async move { store.claim(3, MINUTE).await.unwrap() });
        }
        let claimed = racing.join_all().await.concat();
        let mut ids: Vec<_> = claimed.iter().map(|mail| mail.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((claimed.len(), ids.len()), (60, 60));
        second.close().await;
    }
}

#[tokio::test]
async fn after_a_lease_both_tokens_work_until_one_is_used() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "mine").await;
        let killed = bench.claim_one().await;
        // The mail has been sent, and its sender is killed before the record of it.
        bench.store.address(killed, &[1; 32], DAY).await.unwrap().unwrap();
        assert!(bench.claim().await.is_empty());
        bench.pass(MINUTE).await;
        let again = bench.claim_one().await;
        assert_eq!((again.id, again.attempt), (killed.id, 2));
        assert_ne!(again.claim, killed.claim);
        // The first sender was only slow. It can no longer store a token or postpone the mail.
        assert_eq!(bench.store.address(killed, &[3; 32], DAY).await.unwrap(), None);
        bench.store.later(killed, HOUR, "failed").await.unwrap();
        bench.store.give_up(killed, "refused").await.unwrap();
        bench.store.hand_back(killed).await.unwrap();
        assert_eq!(bench.send(again, 2).await, inactive("A@B.EXAMPLE"));
        assert_eq!(bench.activate(1).await, Activated::Now);
        assert_eq!(bench.activate(2).await, Activated::Over);
        assert_eq!(bench.activate(3).await, Activated::Never);
    }
}

#[tokio::test]
async fn a_mail_sent_after_its_lease_is_not_sent_again() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "mine").await;
        let slow = bench.claim_one().await;
        bench.pass(MINUTE).await;
        let other = bench.claim_one().await;
        bench.store.sent(slow, "an id").await.unwrap();
        assert_eq!(bench.store.address(other, &[2; 32], DAY).await.unwrap(), None);
        bench.store.hand_back(other).await.unwrap();
        bench.pass(MINUTE).await;
        assert!(bench.claim().await.is_empty());
    }
}

#[tokio::test]
async fn a_mail_is_put_off_handed_back_or_given_up() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "mine").await;
        let mail = bench.claim_one().await;
        bench.store.later(mail, HOUR, "failed").await.unwrap();
        bench.pass(HOUR - MINUTE).await;
        assert!(bench.claim().await.is_empty());
        bench.pass(MINUTE).await;
        let mail = bench.claim_one().await;
        assert_eq!(mail.attempt, 2);
        bench.store.hand_back(mail).await.unwrap();
        let mail = bench.claim_one().await;
        assert_eq!(mail.attempt, 2);
        bench.store.give_up(mail, "refused").await.unwrap();
        bench.pass(DAY).await;
        assert!(bench.claim().await.is_empty());
        assert_eq!(bench.pending().await, 0);
        assert_eq!(bench.store.next_due().await.unwrap(), None);
        assert_eq!(bench.database.column("SELECT last_error FROM outbox").await, ["refused"]);
    }
}

#[tokio::test]
async fn dead_letters_are_listed_and_resent_once_per_request() {
    for bench in Bench::both().await {
        for key in ["a@b.example", "c@b.example", "d@b.example"] {
            bench.register(key, "").await;
            bench.store.give_up(bench.claim_one().await, &format!("refused: {key}")).await.unwrap();
            // Times differ by at least a millisecond.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let told = bench.store.dead_letters(2).await.unwrap();
        let told: Vec<_> = told.iter().map(|mail| (mail.address.as_str(), mail.reason.as_str())).collect();
        assert_eq!(told, [("D@B.EXAMPLE", "refused: d@b.example"), ("C@B.EXAMPLE", "refused: c@b.example")]);
        let all = bench.store.dead_letters(10).await.unwrap();
        let backlog = bench.store.backlog().await.unwrap();
        assert_eq!((backlog.pending, backlog.given_up, backlog.given_up_at), (0, 3, Some(all[0].at)));

        // Repeated requests have no further effect.
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, id, at) = (bench.store.clone(), all[0].id, all[0].at);
            asking.spawn(async move { store.send_again(id, at).await.unwrap() });
        }
        assert_eq!(asking.join_all().await.into_iter().filter(|revived| *revived).count(), 1);
        let mail = bench.claim_one().await;
        assert_eq!((mail.id, mail.attempt), (all[0].id, 1));
        assert!(!bench.store.send_again(mail.id, all[0].at).await.unwrap(), "it is being sent");

        // A mail given up again has another time, so the request does not concern it.
        bench.store.give_up(mail, "refused: again").await.unwrap();
        assert!(!bench.store.send_again(mail.id, all[0].at).await.unwrap());
        assert_eq!(bench.store.send_all_again(all[0].at).await.unwrap(), 2);
        assert_eq!(bench.store.send_all_again(all[0].at).await.unwrap(), 0);
        assert_eq!(bench.claim().await.len(), 2);
        let left = bench.store.dead_letters(10).await.unwrap();
        assert_eq!((left.len(), left[0].reason.as_str()), (1, "refused: again"));
    }
}

#[tokio::test]
async fn an_expired_token_is_over_and_another_mail_brings_a_new_one() {
    for bench in Bench::both().await {
        bench.register("a@b.example", "mine").await;
        bench.send_all().await;
        bench.pass(DAY).await;
        assert_eq!(bench.activate(1).await, Activated::Over);
        assert_eq!(bench.password().await, None);
        bench.resend("a@b.example").await;
        let mail = bench.claim_one().await;
        bench.send(mail, 2).await;
        assert_eq!(bench.activate(2).await, Activated::Now);
    }
}

#[tokio::test]
async fn the_sweep_removes_only_expired_rows() {
    for mut bench in Bench::both().await {
        bench.limits.address_limit = Limit::Per(5, HOUR);
        for key in ["active@b.example", "never@b.example"] {
            bench.register(key, "").await;
        }
        let recipients = bench.send_all().await;
        let active = recipients.iter().position(|recipient| *recipient == inactive("ACTIVE@B.EXAMPLE")).unwrap();
        bench.activate(u8::try_from(active + 1).unwrap()).await;
        bench.pass(30 * DAY).await;
        bench.register("waiting@b.example", "").await;
        assert_eq!(bench.store.sweep(31 * DAY).await.unwrap(), 2, "the allowances, which are whole again");
        bench.pass(2 * DAY).await;
        bench.register("new@b.example", "").await;
        bench.store.sweep(31 * DAY).await.unwrap();
        bench.store.sweep(31 * DAY).await.unwrap();
        let mut left = bench.database.column("SELECT address_key FROM users").await;
        left.sort_unstable();
        assert_eq!(left, ["active@b.example", "new@b.example", "waiting@b.example"]);
        assert_eq!((bench.rows("requests").await, bench.rows("tokens").await), (2, 0));
        assert_eq!((bench.rows("outbox").await, bench.rows("limits").await), (2, 1));
        bench.register("never@b.example", "").await;
    }
}

#[tokio::test]
async fn the_sweep_removes_any_number_of_expired_rows() {
    const MANY: u64 = 25_000;
    for bench in Bench::both().await {
        let bytes = match bench.database {
            Database::Sqlite(_) => "CAST(i AS BLOB)",
            Database::Postgres(_) => "decode(lpad(to_hex(i), 8, '0'), 'hex')",
        };
        let insert = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             INSERT INTO limits (key_digest, full_at) SELECT {bytes}, 0 FROM n RETURNING ''"
        );
        bench.database.column(&insert).await;
        assert_eq!(bench.store.sweep(DAY).await.unwrap(), MANY);
        assert_eq!(bench.rows("limits").await, 0);
    }
}

#[tokio::test]
async fn an_existing_database_opens_and_an_unusable_one_is_named() {
    for bench in Bench::both().await {
        bench.store.ready().await.unwrap();
        bench.register("a@b.example", "").await;
        let (second, third) = tokio::join!(open(&bench.database), open(&bench.database));
        assert_eq!(second.backlog().await.unwrap().pending, 1);
        third.backlog().await.unwrap();
        let figures = third.figures();
        assert!(
            figures.size >= 1 && figures.idle <= figures.size && figures.size <= figures.limit && figures.limit <= 20,
            "{figures:?}"
        );
        for store in [bench.store, second, third] {
            store.close().await;
            store.ready().await.unwrap_err();
            assert_eq!(store.figures().size, 0);
        }
    }
    for (url, hint) in [
        ("sqlite:/nowhere/at/all.db", "/nowhere/at/all.db"),
        ("postgres://me:geheim@127.0.0.1:1/users", "on 127.0.0.1:1, as \"me\""),
    ] {
        let settings = DatabaseSettings { place: url.parse().unwrap(), connections: 2 };
        let error = format!("{:#}", Store::open(&settings).await.unwrap_err());
        assert!(error.contains(hint) && !error.contains("geheim"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let database = Database::sqlite();
    let store = open(&database).await;
    let path = database.url().strip_prefix("sqlite:").unwrap().to_owned();
    for file in [path.clone(), format!("{path}-wal"), format!("{path}-shm")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_mail_of_one_copy_wakes_the_senders_of_all_copies() {
    for bench in Bench::both().await {
        let second = open(&bench.database).await;
        let (mut here, mut there) = (bench.store.wake_ups().await, second.wake_ups().await);
        bench.register("a@b.example", "").await;
        tokio::time::timeout(MINUTE, here.next()).await.unwrap();
        if bench.database.url().starts_with("postgres") {
            tokio::time::timeout(MINUTE, there.next()).await.unwrap();
        }
        drop((here, there));
        second.close().await;
    }
}
