//! The content of a mail stays out of the log at every level.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::alone::{assert_passes_with, inside};
use super::{TOKEN, mail_to, ses};
use crate::dev_mail::DevMail;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// At TRACE the SDK logs each request. It does not promise to omit the body, so this test checks
/// it. The log is that of this thread, which runs everything.
#[tokio::test]
async fn no_log_shows_the_token() {
    if !inside() {
        return assert_passes_with("discreet::no_log_shows_the_token", &[]).await;
    }
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let server = DevMail::open(10).await.unwrap();
    let mail = mail_to("ada@example.org");
    ses(server.endpoint().as_str()).await.send(&mail).await.unwrap();
    server.close().await;
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("transmitting request"), "the SDK's own log is missing: {log}");
    assert!(!log.contains(TOKEN), "{log}");
    assert!(!log.contains("Welcome"), "{log}");
    let received = server.mailbox().newest_first().remove(0);
    assert_eq!(received.text.as_deref(), Some(mail.text.as_str()));
    assert!(!format!("{received:?} {:?}", server.mailbox()).contains(TOKEN));
}
