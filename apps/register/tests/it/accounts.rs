//! Accounts: passwords are hashed, addresses are distinguished, and no account is open to another
//! user.

use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use register::accounts::{AccountSettings, Accounts, Activation, Address, Password, Refused, Token};
use register::settings::Limit;
use register::store::{Recipient, Store};

use crate::support::bench::{Bench, DAY, MINUTE, open};

fn accounts(store: &Store, set: impl FnOnce(&mut AccountSettings)) -> Accounts {
    let mut settings =
        AccountSettings { hashers: 2, hash_queue: 100, mail_interval: Duration::ZERO, address_limit: Limit::Off };
    set(&mut settings);
    Accounts::new(store.clone(), &settings).unwrap()
}

fn address(typed: &str) -> Address {
    Address::parse(typed).unwrap()
}

fn password(typed: &str) -> Password {
    Password::parse(typed.to_owned()).unwrap()
}

/// Delivers the due mails to the reader, in the order of their requests.
async fn deliver(store: &Store) -> Vec<(Recipient, Token)> {
    let mut claimed = store.claim(100, MINUTE).await.unwrap();
    claimed.sort_unstable_by_key(|mail| mail.id);
    let mut delivered = Vec::new();
    for mail in claimed {
        let token = Token::draw();
        let recipient = store.address(mail, &token.digest(), DAY).await.unwrap().unwrap();
        store.sent(mail, "an id").await.unwrap();
        delivered.push((recipient, token));
    }
    delivered
}

/// Returns true if this is the password of the only account.
async fn opens(bench: &Bench, typed: &str) -> bool {
    let hashes = bench.database.column("SELECT password_hash FROM users WHERE activated_at IS NOT NULL").await;
    let hash = PasswordHash::new(&hashes[0]).unwrap();
    Argon2::default().verify_password(typed.as_bytes(), &hash).is_ok()
}

#[tokio::test]
async fn the_activated_request_decides_the_password() {
    for bench in Bench::both().await {
        let accounts = accounts(&bench.store, |_| {});
        accounts.register(address("Jane@Bücher.example"), password("planted before")).await.unwrap();
        accounts.register(address("jane@xn--bcher-kva.example"), password("Jane's own")).await.unwrap();
        accounts.register(address("JANE@BÜCHER.EXAMPLE"), password("planted after")).await.unwrap();
        let mails = deliver(&bench.store).await;
        let to = Recipient::Inactive { address: "Jane@Bücher.example".to_owned() };
        assert!(mails.len() == 3 && mails.iter().all(|(recipient, _)| *recipient == to), "{mails:?}");
        assert_eq!(accounts.activate(&mails[1].1).await.unwrap(), Activation::Done);
        assert!(opens(&bench, "Jane's own").await);
        for (_, token) in &mails {
            assert_eq!(accounts.activate(token).await.unwrap(), Activation::Gone);
        }
        assert_eq!(accounts.activate(&Token::draw()).await.unwrap(), Activation::Unknown);
        assert!(opens(&bench, "Jane's own").await);
    }
}

#[tokio::test]
async fn copies_that_race_for_one_address_make_one_account() {
    for bench in Bench::both().await {
        let second = open(&bench.database).await;
        let copies = [accounts(&bench.store, |_| {}), accounts(&second, |_| {})];
        let mut racing = tokio::task::JoinSet::new();
        for number in 0..20 {
            let accounts = copies[number % 2].clone();
            racing.spawn(async move {
                accounts.register(address("a@b.example"), password(&format!("password of {number}"))).await.unwrap();
            });
        }
        racing.join_all().await;
        assert_eq!(bench.database.count("SELECT count(*) FROM users").await, 1);
        let mails = deliver(&bench.store).await;
        assert_eq!(mails.len(), 20);
        let mut racing = tokio::task::JoinSet::new();
        for (number, (_, token)) in mails.into_iter().enumerate() {
            let accounts = copies[number % 2].clone();
            racing.spawn(async move { accounts.activate(&token).await.unwrap() });
        }
        let activated = racing.join_all().await;
        assert_eq!(activated.iter().filter(|activation| **activation == Activation::Done).count(), 1, "{activated:?}");
        assert!(!activated.contains(&Activation::Unknown), "{activated:?}");
        second.close().await;
    }
}

#[tokio::test]
async fn an_excess_request_gets_retry_after_and_stores_nothing() {
    for bench in Bench::both().await {
        let accounts = accounts(&bench.store, |settings| settings.address_limit = Limit::Per(2, MINUTE));
        for _ in 0..2 {
            accounts.register(address("a@b.example"), password("correct horse")).await.unwrap();
        }
        for refused in [
            accounts.register(address("A@B.EXAMPLE"), password("correct horse")).await,
            accounts.resend(address("a@b.example")).await,
        ] {
            assert!(
                matches!(refused, Err(Refused::TooOften { retry_after }) if retry_after <= MINUTE / 2),
                "{refused:?}"
            );
        }
        assert_eq!(deliver(&bench.store).await.len(), 2);
    }
}

#[tokio::test]
async fn with_the_queue_full_there_is_no_hash_and_no_row() {
    for bench in Bench::both().await {
        let accounts = accounts(&bench.store, |settings| (settings.hashers, settings.hash_queue) = (1, 3));
        let mut crowd = tokio::task::JoinSet::new();
        for number in 0..40 {
            let accounts = accounts.clone();
            crowd.spawn(async move {
                accounts.register(address(&format!("{number}@b.example")), password("correct horse")).await
            });
        }
        let ended = crowd.join_all().await;
        let taken = ended.iter().filter(|result| result.is_ok()).count();
        let busy = ended.iter().filter(|result| matches!(result, Err(Refused::Busy { .. }))).count();
        assert!(taken >= 4 && busy > 0 && taken + busy == 40, "{taken} taken, {busy} turned away");
        let users = bench.database.count("SELECT count(*) FROM users").await;
        assert_eq!((users, deliver(&bench.store).await.len()), (taken as i64, taken));
    }
}

#[tokio::test]
async fn a_resend_to_an_unknown_address_sends_and_reveals_nothing() {
    for bench in Bench::both().await {
        let accounts = accounts(&bench.store, |_| {});
        accounts.resend(address("a@b.example")).await.unwrap();
        assert!(deliver(&bench.store).await.is_empty());
        accounts.register(address("a@b.example"), password("correct horse")).await.unwrap();
        let first = deliver(&bench.store).await;
        accounts.resend(address("A@B.example")).await.unwrap();
        let second = deliver(&bench.store).await;
        assert_eq!((first.len(), second.len()), (1, 1));
        assert_eq!(accounts.activate(&second[0].1).await.unwrap(), Activation::Done);
        assert_eq!(accounts.activate(&first[0].1).await.unwrap(), Activation::Gone);
        accounts.resend(address("a@b.example")).await.unwrap();
        let third = deliver(&bench.store).await;
        assert!(matches!(&third[..], [(Recipient::Active { .. }, _)]), "{third:?}");
    }
}
