//! Limits on sockets, and the order of waiters (P1 to P6, P13, P14).

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use trunkline::{CloseReason, Phase, Pool, Session, Timeouts};

use crate::support::{Gate, Nginx, Rogue, Step, TestCa, sockets_to, watch};
use crate::{SOON, eventually, soak, within};

fn session(pool: Pool) -> Session {
    Session::builder().pool(pool).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_the_kernel_never_sees_more_sockets_than_the_limit() {
    let requests = soak(10_000, 3_000);
    let nginx = Nginx::builder().keepalive_requests(100).start().await;
    let watcher = watch(nginx.port(), Duration::from_millis(2));
    let session = session(Pool::builder().limit(8).build().unwrap());
    let mut running = JoinSet::new();
    let mut page = 0;
    while page < requests || watcher.samples() < 20 {
        page += 1;
        let request = session.get(nginx.url(&format!("/page/{page}")));
        running.spawn(async move { request.await.unwrap().text().await.unwrap() });
        if running.len() == 64 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(text) = running.join_next().await {
        assert!(text.unwrap().starts_with("page "));
    }
    let stats = session.stats();
    assert!(watcher.max_owned() <= 8, "{:?}", watcher.peak());
    assert_eq!(nginx.access_log().len(), page);
    // nginx ends a connection after 100 requests, and says so.
    let ended = page as u64 / 100;
    assert!(stats.created <= 8 + ended, "{stats:?}");
    session.close().await;
    assert_eq!(sockets_to(nginx.port()), []);
}

#[tokio::test]
async fn p2_idle_connections_to_one_host_make_way_for_another() {
    let a = Rogue::start(Step::serve("a")).await;
    let b = Rogue::start(Step::serve("b")).await;
    let watcher = crate::support::sockets::watch_all(&[a.port(), b.port()], Duration::from_millis(1));
    let session = session(Pool::builder().limit(2).build().unwrap());
    let both = |url: String| {
        let session = session.clone();
        async move {
            let (one, two) = tokio::join!(session.get(&url).send(), session.get(&url).send());
            (one.unwrap().text().await.unwrap(), two.unwrap().text().await.unwrap())
        }
    };
    within(SOON, both(a.url("/"))).await;
    assert_eq!((session.stats().idle, a.open()), (2, 2));
    assert_eq!(within(SOON, both(b.url("/"))).await, ("b".to_owned(), "b".to_owned()));
    let stats = session.stats();
    assert_eq!(stats.closed.by(CloseReason::Evicted), 2, "{stats:?}");
    assert_eq!(stats.hosts.len(), 1, "{stats:?}");
    a.wait_until(|log| log.open == 0).await;
    assert!(watcher.max_owned() <= 2, "{:?}", watcher.peak());
}

#[tokio::test]
async fn p3_a_host_at_its_own_limit_holds_up_nobody_else() {
    let gate = Gate::new();
    let held = gate.clone();
    let answer = vec![Step::ReadHead, Step::WaitFor(held), Step::ok("slow")];
    let slow = Rogue::start(vec![Step::Loop(answer)]).await;
    let quick = Rogue::start(Step::serve("quick")).await;
    let session = session(Pool::builder().limit(2).limit_per_host(1).build().unwrap());
    let first = tokio::spawn(session.get(slow.url("/1")).send());
    gate.reached(1).await;
    let second = tokio::spawn(session.get(slow.url("/2")).send());
    eventually("the second waits", || session.stats().waiting == 1).await;
    for _ in 0..20 {
        let text = within(SOON, async { session.get(quick.url("/")).await?.text().await }).await.unwrap();
        assert_eq!(text, "quick");
    }
    assert_eq!(slow.open(), 1);
    gate.open();
    assert_eq!(within(SOON, first).await.unwrap().unwrap().text().await.unwrap(), "slow");
    within(SOON, second).await.unwrap().unwrap();
}

#[tokio::test]
async fn p3_waiters_of_a_host_are_served_in_order() {
    let gate = Gate::new();
    let held = gate.clone();
    let answer = vec![Step::ReadHead, Step::ok("x")];
    let server = Rogue::start(move |_| {
        vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok("x"), Step::Loop(answer.clone())]
    })
    .await;
    let session = session(Pool::builder().limit(1).build().unwrap());
    let mut tasks = Vec::new();
    for number in 0..20 {
        let request = session.get(server.url(&format!("/{number}")));
        tasks.push(tokio::spawn(async move { request.await.unwrap().text().await.unwrap() }));
        eventually("it queues", || session.stats().waiting == number).await;
    }
    gate.open();
    for task in tasks {
        within(SOON, task).await.unwrap();
    }
    let order: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    let expected: Vec<_> = (0..20).map(|number| format!("/{number}")).collect();
    assert_eq!(order, expected);
}

#[tokio::test]
async fn p4_a_dialing_request_takes_a_connection_returned_first() {
    let (gate, ca) = (Arc::new(tokio::sync::Notify::new()), TestCa::new());
    let port = first_handshake_only(&ca, gate.clone()).await;
    let pool = Pool::builder().limit(2).add_root_certificate(ca.pem()).build().unwrap();
    let session = session(pool);
    let url = format!("https://127.0.0.1:{port}/");
    let first = tokio::spawn(session.get(&url).send());
    eventually("the first is under way", || session.stats().in_use == 1).await;
    let second = tokio::spawn(session.get(&url).send());
    eventually("the second dials", || session.stats().dialing == 1).await;
    gate.notify_one();
    within(SOON, first).await.unwrap().unwrap().bytes().await.unwrap();
    gate.notify_one();
    let response = within(SOON, second).await.unwrap().unwrap();
    assert!(response.connection().reused);
    // The abandoned dial keeps its slot until it ends or another request needs it.
    assert_eq!(session.stats().dialing, 1);
    let other = Rogue::start(Step::serve("in the way")).await;
    let text = within(SOON, async { session.get(other.url("/")).await?.text().await }).await.unwrap();
    assert_eq!((text.as_str(), session.stats().dialing), ("in the way", 0));
    assert_eq!(response.text().await.unwrap(), "x");
}

/// A TLS server that answers on its first connection, a request for each notice, and leaves all
/// others without a handshake.
async fn first_handshake_only(ca: &TestCa, gate: Arc<tokio::sync::Notify>) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let acceptor = tokio_rustls::TlsAcceptor::from(TestCa::server_config(&ca.server_cert(&["127.0.0.1"]), None));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let _unanswered = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(connection) = listener.accept().await {
                held.push(connection);
            }
        });
        let mut request = [0; 4096];
        while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
            gate.notified().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn p5_a_failed_dial_fails_its_own_request_only() {
    let server = Rogue::start(Step::serve("well")).await;
    let session = session(Pool::builder().limit(1).build().unwrap());
    let bad = session.get("http://127.0.0.1:1/").send();
    let good = session.get(server.url("/")).send();
    let (bad, good) = within(SOON, async { tokio::join!(bad, good) }).await;
    let error = bad.unwrap_err();
    assert!(error.is_connect() && error.phase() == Some(Phase::Connect), "{error}");
    assert_eq!(good.unwrap().text().await.unwrap(), "well");
    let stats = session.stats();
    assert_eq!((stats.dials_failed, stats.open, stats.waiting), (1, 1, 0), "{stats:?}");
}

#[tokio::test]
async fn p6_being_passed_over_does_not_restart_the_deadline() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Rogue::start(move |_| vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok("x")]).await;
    let session = session(Pool::builder().limit(1).build().unwrap());
    let _holder = tokio::spawn(session.get(server.url("/")).send());
    gate.reached(1).await;
    let waits = Timeouts::new().acquire(Duration::from_millis(300));
    // Others come and go meanwhile; it is the first attempt that counts.
    let ahead = tokio::spawn(session.get(server.url("/ahead")).timeouts(waits).send());
    eventually("one waits", || session.stats().waiting == 1).await;
    let begun = std::time::Instant::now();
    let patient = session.get(server.url("/")).timeouts(waits).send();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        ahead.abort();
    });
    let error = within(SOON, patient).await.unwrap_err();
    assert!(error.is_timeout() && error.phase() == Some(Phase::Acquire), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(295) && begun.elapsed() < Duration::from_millis(1500));
}

#[tokio::test]
async fn p13_a_wait_that_ran_out_says_who_holds_the_connections() {
    let server = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let session = session(Pool::builder().limit(1).limit_per_host(5).build().unwrap());
    let _holder = tokio::spawn(session.put(server.url("/secret-path?token=se-cret")).body("x").send());
    eventually("it is in use", || server.requests().len() == 1).await;
    let impatient = Timeouts::new().acquire(Duration::from_millis(60));
    let error =
        within(SOON, session.get(server.url("/next?token=se-cret")).timeouts(impatient).send()).await.unwrap_err();
    let text = error.to_string();
    for part in ["waiting for a connection", "limit 1 (1 in use", "limit per host 5", "in use for", "by PUT 127.0.0.1:"]
    {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert!(!text.contains("secret-path") && !text.contains("se-cret"), "{text}");
    assert!(error.is_timeout() && error.request_sent() == trunkline::RequestSent::No);
}

#[tokio::test]
async fn p14_leases_held_too_long_are_reported_once() {
    crate::listen();
    let warnings = Arc::new(std::sync::Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::fmt().with_writer(LineWriter(warnings.clone())).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let session = session(Pool::builder().report_held(Duration::from_millis(100)).build().unwrap());
    let _holder = tokio::spawn(session.delete(server.url("/")).send());
    let reports = || warnings.lock().unwrap().iter().filter(|line: &&String| line.contains("held for long")).count();
    eventually("it is reported", || reports() == 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(reports(), 1);
    let line = warnings.lock().unwrap().join("");
    assert!(line.contains("DELETE") && line.contains("127.0.0.1"), "{line}");
}

#[derive(Clone)]
struct LineWriter(Arc<std::sync::Mutex<Vec<String>>>);

impl std::io::Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for LineWriter {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn p12_the_figures_of_a_busy_pool_add_up() {
    let nginx = Nginx::builder().keepalive_requests(7).start().await;
    let session = session(Pool::builder().limit(5).limit_per_host(3).build().unwrap());
    let mut running = JoinSet::new();
    for page in 0..600 {
        let url = nginx.url(&format!("/page/{page}"));
        running.spawn(session.get(url).send());
        let stats = session.stats();
        assert_eq!(stats.open, stats.idle + stats.in_use + stats.dialing);
        assert_eq!(stats.open as u64, stats.created - stats.closed.total());
        assert_eq!(stats.hosts.iter().map(|host| host.open).sum::<usize>(), stats.open);
        assert_eq!(stats.hosts.iter().map(|host| host.waiting).sum::<usize>(), stats.waiting);
        assert!(stats.open <= 3);
        if running.len() > 40 {
            running.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_limit_of_0_is_refused_and_none_is_no_limit() {
    for (name, built) in
        [("limit", Pool::builder().limit(0).build()), ("limit_per_host", Pool::builder().limit_per_host(0).build())]
    {
        let error = built.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(name), "{error}");
    }
    let gate = Gate::new();
    let held = gate.clone();
    let server = Rogue::start(move |_| vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok("x")]).await;
    let session = session(Pool::builder().limit(None).build().unwrap());
    let mut running = JoinSet::new();
    for _ in 0..150 {
        running.spawn(session.get(server.url("/")).send());
    }
    within(SOON, gate.reached(150)).await;
    assert_eq!(session.stats().in_use, 150);
    gate.open();
    while let Some(done) = running.join_next().await {
        done.unwrap().unwrap();
    }
}
