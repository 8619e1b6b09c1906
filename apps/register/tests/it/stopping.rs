//! SIGTERM: accepted requests are answered, new ones refused, and nothing is left behind.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Database, Load, Mode, PASSWORD, Raw, Service, Ses, Settings, until};

/// Registrations of one client, one after another on its own connection.
#[derive(Debug, Default)]
struct Client {
    answered: Vec<String>,
    /// The request was sent, and the connection closed without a response.
    unanswered: Vec<String>,
}

impl Client {
    async fn run(address: String, number: usize, done: Arc<AtomicUsize>) -> Self {
        let mut client = Self::default();
        // Each address is used once: a registration that was not read the first time may succeed on
        // the next connection.
        let mut emails = (0..).map(|nth| format!("s{number}.{nth}@example.com"));
        // The connection is refused: the service has stopped.
        while let Ok(mut raw) = Raw::connect(&address).await {
            for email in emails.by_ref() {
                let (head, body) = Raw::registration(&email, PASSWORD);
                let sent = raw.send(head + &body).await;
                match raw.answer().await {
                    Some((status, answer)) => {
                        assert!(sent.is_ok() && status == 204, "{answer}");
                        client.answered.push(email);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    None => {
                        client.unanswered.push(email);
                        break;
                    }
                }
            }
        }
        client
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_read_under_load_is_answered_on_sqlite() {
    under_load_each_request_that_was_read_is_answered(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_read_under_load_is_answered_on_postgres() {
    under_load_each_request_that_was_read_is_answered(Database::postgres().await).await;
}

async fn under_load_each_request_that_was_read_is_answered(database: Database) {
    let ses = Ses::start();
    ses.set(Mode::Slow(Duration::from_millis(100)));
    let service = Settings::new(&database).ses(&ses).start().await;
    let (pid, done) = (service.pid(), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..16)
        .map(|number| tokio::spawn(Client::run(service.address().to_owned(), number, Arc::clone(&done))))
        .collect();
    until("there is load", async || (done.load(Ordering::Relaxed) >= 40).then_some(())).await;
    service.signal("TERM");
    let mut all = Vec::new();
    for client in clients {
        all.push(client.await.unwrap());
    }
    let finished = service.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    nothing_is_open(pid, &ses);
    tells_what_the_session_closed(&finished.log);

    let users = database.users().await;
    for client in all {
        assert!(client.answered.iter().all(|email| users.contains(email)), "answered, and not there: {client:?}");
        // A stored registration without a response would have been read and then cut off.
        assert!(!client.unanswered.iter().any(|email| users.contains(email)), "read, and not answered: {client:?}");
    }
    assert_eq!(database.leased().await, 0, "the senders have handed back what they had");
}

/// Assertions about an exited process.
fn nothing_is_open(pid: u32, ses: &Ses) {
    let sockets = ss(&["-Hatnp"]);
    assert!(!sockets.contains(&format!("pid={pid},")), "{sockets}");
    let to_ses = ss(&["-Htn", "state", "established", "dport", "=", &format!(":{}", ses.port())]);
    assert_eq!(to_ses, "");
}

fn ss(arguments: &[&str]) -> String {
    let output = Command::new("ss").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn tells_what_the_session_closed(log: &str) {
    let lines: Vec<_> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(6)..];
    assert!(last.iter().any(|line| line.contains("session closed: ")), "{last:#?}");
}

/// Sends half a request, and then tells the service to stop.
async fn in_mid_drain(service: &Service) -> (Raw, String) {
    let mut held = Raw::connect(service.address()).await.unwrap();
    let (head, body) = Raw::registration("held@example.com", PASSWORD);
    let (first, rest) = body.split_at(5);
    held.send(head + first).await.unwrap();
    // A later request is answered, so the head of this earlier one has been read: connections are
    // served concurrently.
    service.get("/livez").await.unwrap();
    service.signal("TERM");
    until("nobody gets in", async || Raw::connect(service.address()).await.err()).await;
    (held, rest.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_is_gone_while_the_last_request_is_answered() {
    let (ses, database) = (Ses::start(), Database::sqlite());
    let service = Settings::new(&database).ses(&ses).start().await;
    let (mut held, rest) = in_mid_drain(&service).await;
    let port = service.address().rsplit(':').next().unwrap().to_owned();
    assert_eq!(ss(&["-Hltn", "sport", "=", &format!(":{port}")]), "");
    assert_ne!(ss(&["-Htn", "state", "established", "sport", "=", &format!(":{port}")]), "");
    held.send(rest).await.unwrap();
    assert_eq!(held.answer().await.unwrap().0, 204);
    let finished = service.finish().await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    // The mail was sent before the exit or waits for the next start. In either case no claim is
    // left.
    assert_eq!(database.leased().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_service_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let (ses, database) = (Ses::start(), Database::sqlite());
        let service = Settings::new(&database).ses(&ses).start().await;
        let (_held, _) = in_mid_drain(&service).await;
        // The service exits with `128 + n` itself; death by the signal would give no code.
        assert_eq!(service.insist(signal).await.code, Some(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_cannot_be_sent_in_time_are_handed_back() {
    for database in Database::both().await {
        let ses = Ses::start();
        ses.set(Mode::Hanging);
        let settings = Settings::new(&database).ses(&ses).with("--senders", 4).with("--drain", "1s");
        let service = settings.start().await;
        let outcomes = Load::start("h", 4, 8, &[service.url("")]).finish().await;
        assert!(outcomes.iter().all(|outcome| outcome.status == Some(204)), "{outcomes:?}");
        until("all senders are at it", async || (ses.under_way().0 == 4).then_some(())).await;
        service.signal("TERM");
        let finished = service.finish().await;
        assert_eq!(finished.code, Some(0), "{}", finished.log);
        assert_eq!(database.leased().await, 0, "{}", finished.log);
        assert_eq!(database.pending().await, 8);

        // The next copy sends them without waiting for a lease.
        ses.set(Mode::Take);
        let service = settings.start().await;
        until("all are sent", async || (ses.count() == 8).then_some(())).await;
        drop(service);
    }
}
