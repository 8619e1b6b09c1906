//! Hazards between two rules: one operation ends while another is under way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use trunkline::{Body, Pool, RequestSent, Session, Timeouts};

use crate::support::{Rogue, Step, TestCa};
use crate::{SOON, eventually, within};

async fn warm(session: &Session, server: &Rogue) {
    session.get(server.url("/warm")).await.unwrap().bytes().await.unwrap();
}

#[tokio::test]
async fn p10_a_close_during_silence_does_not_call_the_request_unsent() {
    let server = Rogue::start(vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::Hold]).await;
    let session = Session::new();
    warm(&session, &server).await;
    let under_way = tokio::spawn(session.get(server.url("/x")).send());
    server.wait_until(|log| log.requests.len() == 2).await;
    within(SOON, session.close_within(Duration::ZERO)).await;
    let error = within(SOON, under_way).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert_eq!(error.request_sent(), RequestSent::Maybe);
}

#[tokio::test]
async fn p10_a_replay_that_fails_does_not_unsend_the_first_attempt() {
    let server = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::ReadBody, Step::Close],
        _ => vec![Step::Close],
    })
    .await;
    let session = Session::new();
    warm(&session, &server).await;
    let error = within(SOON, session.put(server.url("/x")).body("order").send()).await.unwrap_err();
    assert_eq!(error.request_sent(), RequestSent::Maybe, "{error}");
}

#[tokio::test]
async fn a_failed_hop_does_not_unsend_the_redirected_request() {
    let away = "HTTP/1.1 303 See Other\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let server = Rogue::start(vec![Step::ReadHead, Step::ReadBody, Step::send(away), Step::Drain]).await;
    let error = within(SOON, Session::new().post(server.url("/")).body("order").send()).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert_eq!(error.request_sent(), RequestSent::Yes);
}

#[tokio::test]
async fn a_redial_is_bounded_by_connect_and_not_by_read() {
    let ca = TestCa::new();
    let server = Rogue::tls(&ca, vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::Close]).await;
    let port = first_connection_only(server.address()).await;
    let url = format!("https://127.0.0.1:{port}/");
    let limits = Timeouts::new().read(Duration::from_millis(200)).connect(Duration::from_millis(900));
    let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
    let session = Session::builder().pool(pool).timeouts(limits).build().unwrap();
    // The limits are for the second connection: the first may take its time.
    session.get(&url).timeouts(Timeouts::none()).await.unwrap().bytes().await.unwrap();
    let begun = std::time::Instant::now();
    let error = within(SOON, session.get(&url).send()).await.unwrap_err();
    assert!(error.is_timeout() && error.phase() == Some(trunkline::Phase::Tls), "{error:?}");
    assert!(begun.elapsed() >= Duration::from_millis(850));
    assert_eq!(error.request_sent(), RequestSent::Maybe);
}

/// Passes the first connection on, and accepts the others without a word.
async fn first_connection_only(to: std::net::SocketAddr) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut upstream = tokio::net::TcpStream::connect(to).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut first, &mut upstream).await });
        let mut held = Vec::new();
        while let Ok(connection) = listener.accept().await {
            held.push(connection);
        }
    });
    port
}

/// The same, but the others are passed on too, after a while.
async fn first_connection_at_once(to: std::net::SocketAddr, others_after: Duration) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut outside, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                if number > 0 {
                    tokio::time::sleep(others_after).await;
                }
                let mut inside = tokio::net::TcpStream::connect(to).await.unwrap();
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    port
}

#[tokio::test]
async fn a_slow_redial_does_not_shorten_the_wait_for_100() {
    let ca = TestCa::new();
    let server = Rogue::tls(&ca, |connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::Close],
        _ => vec![
            Step::ReadHead,
            Step::pause_ms(700),
            Step::send("HTTP/1.1 100 Continue\r\n\r\n"),
            Step::ReadBody,
            Step::ok("done"),
            Step::Drain,
        ],
    })
    .await;
    let port = first_connection_at_once(server.address(), Duration::from_millis(900)).await;
    let url = format!("https://127.0.0.1:{port}/");
    let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
    let limits = Timeouts::new().read(Duration::from_millis(200));
    let session = Session::builder().pool(pool).timeouts(limits).build().unwrap();
    session.get(&url).await.unwrap().bytes().await.unwrap();
    let put = session.put(&url).body("order").expect_continue(true);
    let response = within(SOON, put.send()).await.unwrap();
    let connection = *response.connection();
    assert!(!connection.reused && connection.waited >= Duration::from_millis(850), "{connection:?}");
    assert_eq!(within(SOON, response.text()).await.unwrap(), "done");
}

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";

#[tokio::test]
async fn read_holds_again_after_the_reader_has_rested() {
    let server = Rogue::start(vec![Step::ReadHead, Step::send(HALF), Step::Hold]).await;
    let limits = Timeouts::new().total(Duration::MAX).read(Duration::from_secs(1));
    let mut response = Session::new().get(server.url("/")).timeouts(limits).await.unwrap();
    assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), "half");
    // For longer than the maintenance task stays with nothing to do.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let error = within(SOON, response.chunk()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[tokio::test]
async fn a_response_held_before_its_body_is_not_server_silence() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n";
    let server =
        Rogue::start(vec![Step::ReadHead, Step::send(head), Step::pause_ms(100), Step::send("halfmore"), Step::Drain])
            .await;
    let session = Session::builder().timeouts(Timeouts::new().read(Duration::from_millis(700))).build().unwrap();
    let response = session.get(server.url("/")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(session.stats().in_use, 1);
    assert_eq!(within(SOON, response.text()).await.unwrap(), "halfmore");
}

#[tokio::test]
async fn p11_a_closed_session_on_a_shared_pool_follows_no_redirect() {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 10\r\n\r\nhalf";
    let server = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::send(redirect), Step::Hold],
        _ => Step::serve("there"),
    })
    .await;
    let pool = Pool::new();
    let open = || Session::builder().pool(pool.clone()).build().unwrap();
    let (one, other) = (open(), open());
    let under_way = tokio::spawn(one.get(server.url("/")).send());
    server.wait_until(|log| log.requests.len() == 1).await;
    // The redirect is being finished: its body does not end.
    tokio::time::sleep(Duration::from_millis(60)).await;
    within(SOON, one.close_within(Duration::ZERO)).await;
    assert!(within(SOON, under_way).await.unwrap().unwrap_err().is_closed());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(other.get(server.url("/")).await.unwrap().text().await.unwrap(), "there");
}

#[tokio::test]
async fn p11_waiters_that_fail_are_not_counted_as_drained() {
    let server = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
    let _holder = tokio::spawn(session.get(server.url("/")).send());
    server.wait_until(|log| log.requests.len() == 1).await;
    let _waiter = tokio::spawn(session.get(server.url("/")).send());
    eventually("it waits", || session.stats().waiting == 1).await;
    let report = within(SOON, session.close_within(Duration::from_millis(50))).await;
    assert_eq!((report.drained, report.aborted), (0, 1), "{report}");
}

/// A body that is the answer to another request of the same session.
struct NestedBody(Option<Pin<Box<dyn Future<Output = trunkline::Result<String>> + Send>>>);

impl http_body::Body for NestedBody {
    type Data = bytes::Bytes;
    type Error = trunkline::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        let Some(inner) = &mut self.0 else { return Poll::Ready(None) };
        let text = std::task::ready!(inner.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(text.map(|text| http_body::Frame::data(text.into()))))
    }
}

#[test]
fn p13_a_body_that_waits_for_its_own_connection_fails() {
    let (done, ended) = std::sync::mpsc::channel();
    // In a thread of its own: a lock-up would not be a timeout's to end.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(async {
            let server = Rogue::start(Step::serve("x")).await;
            let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
            let impatient = Timeouts::new().acquire(Duration::from_millis(200));
            let inner = session.get(server.url("/inner")).timeouts(impatient);
            let body = NestedBody(Some(Box::pin(async { inner.await?.text().await })));
            session.post(server.url("/outer")).body(Body::wrap(body)).await.map(drop).unwrap_err()
        });
        done.send(format!("{error:?}")).unwrap();
    });
    let error = ended.recv_timeout(SOON).expect("it locked up");
    assert!(error.contains("no connection became free"), "{error}");
}

#[tokio::test]
async fn a_password_in_the_address_is_sent_to_the_letter() {
    use base64::Engine as _;
    let server = Rogue::start(Step::serve("x")).await;
    let url = server.url("/").replace("http://", "http://us+er:p&s=s%25%3Aw@");
    within(SOON, Session::new().get(url).send()).await.unwrap();
    let sent = server.requests()[0].header("authorization").unwrap().to_owned();
    let credentials = base64::engine::general_purpose::STANDARD.decode(sent.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(credentials).unwrap(), "us+er:p&s=s%:w");
}

#[tokio::test]
async fn a_clock_that_was_advanced_is_no_deadline_passed() {
    let server = Rogue::start(Step::serve("x")).await;
    let session = Session::new();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    tokio::time::resume();
    assert_eq!(within(SOON, session.get(server.url("/")).send()).await.unwrap().status(), 200);
}

#[test]
fn a_response_dropped_off_runtime_mid_upload_closes_its_socket() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (servers, asking) = (runtime(), runtime());
    let server = servers.block_on(Rogue::start(vec![Step::ReadHead, Step::send(HALF), Step::Hold]));
    let session = Session::new();
    // As streams are entitled to: timers, files and channels of tokio's need it as well.
    let body = futures_util::stream::poll_fn(|_| -> Poll<Option<std::io::Result<bytes::Bytes>>> {
        let _ = tokio::runtime::Handle::current();
        Poll::Pending
    });
    let response = asking.block_on(session.put(server.url("/")).body(Body::stream(body)).send()).unwrap();
    drop(response);
    assert_eq!(session.stats().open, 0);
}

#[test]
fn a_response_outliving_its_runtime_closes_its_connection() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (servers, asking) = (runtime(), runtime());
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\nhalf";
    let server = servers.block_on(Rogue::start(vec![Step::ReadHead, Step::send(refusal), Step::Hold]));
    let session = Session::new();
    let put = session.put(server.url("/")).body("x").expect_continue(true);
    let response = asking.block_on(put.send()).unwrap();
    drop(asking);
    drop(response);
    assert_eq!(session.stats().open, 0);
}
