//! Tests that all mails use the connections of one pool.

use trunkline::Pool;

use super::{Ses, mail_to, settings};
use crate::dev_mail::DevMail;

const MAILS: usize = 50;

#[tokio::test]
async fn sequential_mails_share_a_connection() {
    let server = DevMail::open(MAILS).await.unwrap();
    let pool = Pool::new();
    let ses = Ses::open(settings(server.endpoint().as_str()), &pool).await.unwrap();
    for number in 0..MAILS {
        ses.send(&mail_to(&format!("{number}@example.org"))).await.unwrap();
    }
    let stats = pool.stats();
    assert!(stats.created <= 2, "{stats:?}");
    assert!(stats.reused >= MAILS as u64 - 2, "{stats:?}");
    assert_eq!(server.mailbox().count(), MAILS as u64);
    pool.close().await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_mails_keep_to_the_pool_limit() {
    let server = DevMail::open(MAILS).await.unwrap();
    let pool = Pool::builder().limit(4).build().unwrap();
    let ses = Ses::open(settings(server.endpoint().as_str()), &pool).await.unwrap();
    let sending: Vec<_> = (0..MAILS)
        .map(|number| {
            let ses = ses.clone();
            tokio::spawn(async move { ses.send(&mail_to(&format!("{number}@example.org"))).await })
        })
        .collect();
    for sent in sending {
        sent.await.unwrap().unwrap();
    }
    let stats = pool.stats();
    assert!(stats.created <= 4, "{stats:?}");
    assert_eq!(server.mailbox().count(), MAILS as u64);
    pool.close().await;
    server.close().await;
}
