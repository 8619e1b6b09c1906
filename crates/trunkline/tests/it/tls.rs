//! TLS: trusted roots, client identity, handshake, use and end of a connection.

use std::error::Error as _;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use trunkline::{Error, Phase, Pool, PoolBuilder, RequestSent, Session, Timeouts};

use crate::exchange::causes;
use crate::support::{Nginx, Rogue, Step, TestCa};
use crate::{SOON, within};

fn session(pool: PoolBuilder) -> Session {
    Session::builder().pool(pool.build().unwrap()).build().unwrap()
}

fn trusting(ca: &TestCa) -> Session {
    session(Pool::builder().add_root_certificate(ca.pem()))
}

async fn get(session: &Session, url: String) -> trunkline::Result<String> {
    within(SOON, async { session.get(url).await?.text().await }).await
}

/// The handshake failed, with the host and the reason in the error's own words.
fn is_refusal(error: &Error, host: &str, reason: &str) {
    assert!(error.is_connect() && !error.is_timeout(), "{error:?}");
    assert_eq!(error.phase(), Some(Phase::Tls), "{error:?}");
    // A request that was redirected here has been answered elsewhere.
    assert_ne!(error.request_sent(), RequestSent::Maybe, "{error:?}");
    let text = error.to_string();
    assert!(text.contains(host) && text.contains(reason), "{text}");
    assert_eq!(error.is_certificate(), text.contains("the certificate of "), "{error:?}");
}

#[tokio::test]
async fn an_issuer_nobody_knows_is_refused_until_it_is_added() {
    let (ca, stranger) = (TestCa::new(), TestCa::new());
    let nginx = Nginx::builder().tls(&ca).start().await;
    for session in [Session::new(), trusting(&stranger)] {
        let error = get(&session, nginx.url_at("localhost", "/small")).await.unwrap_err();
        is_refusal(&error, "the certificate of localhost", "its issuer is not trusted here (`add_root_certificate`");
        assert_eq!(session.stats().open, 0);
    }
    let session = trusting(&ca);
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(get(&session, nginx.url_at(host, "/small")).await.unwrap(), "small\n");
    }
    // Several roots, in one text or in two.
    let both = format!("{}{}", stranger.pem(), ca.pem());
    let two = Pool::builder().add_root_certificate(ca.pem()).add_root_certificate(stranger.pem());
    for pool in [Pool::builder().add_root_certificate(both), two] {
        get(&self::session(pool), nginx.url("/small")).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_time_is_refused() {
    let ca = TestCa::new();
    for (identity, reason) in [
        (ca.wrong_name_cert(), "it is not valid for this name (it is for elsewhere.invalid)"),
        (ca.expired_cert(&["127.0.0.1"]), "it expired on 2001-01-01"),
        // For clients only; each platform's verifier has its own words for it.
        (ca.client_cert("127.0.0.1"), "was not accepted: "),
    ] {
        let rogue = Rogue::builder().identity(identity).start(Step::serve("secret")).await;
        let error = get(&trusting(&ca), rogue.url("/")).await.unwrap_err();
        is_refusal(&error, "127.0.0.1", reason);
        assert!(error.source().unwrap().is::<rustls::Error>(), "{error:?}");
        assert_eq!(rogue.requests().len(), 0);

        let careless = session(Pool::builder().danger_accept_invalid_certs(true));
        assert_eq!(get(&careless, rogue.url("/")).await.unwrap(), "secret");
    }
    // A name that the certificate has, at an address that it does not have.
    let rogue = Rogue::builder().identity(ca.server_cert(&["localhost"])).start(Step::serve("secret")).await;
    is_refusal(&get(&trusting(&ca), rogue.url("/")).await.unwrap_err(), "127.0.0.1", "it is for localhost");
    assert_eq!(get(&trusting(&ca), rogue.url_at("localhost", "/")).await.unwrap(), "secret");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_those_who_ask() {
    let ca = TestCa::new();
    let nginx = Nginx::builder().tls(&ca).ask_client_certificate().start().await;
    let with = |identity: &(String, String)| {
        let pem = format!("{}{}", identity.0, identity.1);
        session(Pool::builder().add_root_certificate(ca.pem()).client_identity(pem))
    };
    let status = async |session: Session| within(SOON, session.get(nginx.url("/small")).send()).await.unwrap().status();
    assert_eq!(status(trusting(&ca)).await, 400);
    assert_eq!(status(with(&ca.client_cert("tester"))).await, 200);
    assert_eq!(status(with(&TestCa::new().client_cert("stranger"))).await, 400);
    let careless = session(Pool::builder().danger_accept_invalid_certs(true));
    assert_eq!(status(careless).await, 400);
}

#[tokio::test]
async fn a_server_that_insists_on_a_certificate_says_so() {
    let ca = TestCa::new();
    let rogue = Rogue::builder().tls(&ca).ask_client_certificate(&ca).start(Step::serve("hello")).await;
    // With TLS 1.3 the server's word comes when the handshake is over for us.
    let error = get(&trusting(&ca), rogue.url("/")).await.unwrap_err();
    let told = format!("{error} {:?}", causes(&error));
    assert!(told.contains("CertificateRequired") || told.contains("client_identity"), "{told}");
    assert_eq!(rogue.requests().len(), 0);
    let identity = ca.client_cert("tester");
    let pool = Pool::builder().add_root_certificate(ca.pem()).client_identity(format!("{}{}", identity.1, identity.0));
    assert_eq!(get(&session(pool), rogue.url("/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_second_connection_resumes_the_session_of_the_first() {
    let ca = TestCa::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let nginx = Nginx::builder()
            .tls(&ca)
            .setting(&format!("ssl_protocols {version}"))
            .setting("ssl_session_cache shared:resumed:1m")
            .extra(r#"location = /tls { return 200 "$ssl_protocol $ssl_session_reused"; }"#)
            .start()
            .await;
        let session = trusting(&ca);
        for reused in [".", "r", "r"] {
            let request = session.get(nginx.url("/tls")).header("connection", "close");
            let response = within(SOON, request.send()).await.unwrap();
            assert!(!response.connection().reused);
            assert_eq!(response.text().await.unwrap(), format!("{version} {reused}"));
        }
    }
}

#[tokio::test]
async fn secure_connections_are_kept_alive() {
    let ca = TestCa::new();
    let nginx = Nginx::builder().tls(&ca).start().await;
    let session = trusting(&ca);
    for page in 0..5 {
        assert_eq!(get(&session, nginx.url(&format!("/page/{page}"))).await.unwrap(), format!("page {page}\n"));
    }
    let stats = session.stats();
    assert_eq!((stats.created, stats.reused, stats.idle), (1, 4, 1));
    let log = nginx.access_log();
    assert_eq!(log.iter().map(|access| access.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    // Another name is another key, although the address is the same.
    get(&session, nginx.url_at("localhost", "/small")).await.unwrap();
    assert_eq!(session.stats().created, 2);
}

#[tokio::test]
async fn large_bodies_pass_over_tls_in_both_directions() {
    let ca = TestCa::new();
    let rogue = Rogue::tls(&ca, Step::serve(vec![7; 3 << 20])).await;
    let sent: Vec<u8> = (0..3_u32 << 20).map(|at| (at % 251) as u8).collect();
    let session = trusting(&ca);
    for _ in 0..2 {
        let request = session.post(rogue.url("/")).body(sent.clone());
        let body = within(SOON, async { request.await?.bytes().await }).await.unwrap();
        assert!(body == vec![7; 3 << 20]);
        assert!(rogue.requests().pop().unwrap().body == sent);
    }
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn an_idle_connection_ends_with_close_notify() {
    let ca = TestCa::new();
    let config = TestCa::server_config(&ca.server_cert(&["127.0.0.1"]), None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(config).accept(stream).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
        stream.flush().await?;
        // A connection that just ends, without close_notify, is an error to rustls.
        stream.read_to_end(&mut head).await?;
        io::Result::Ok(())
    });
    let session = trusting(&ca);
    assert_eq!(get(&session, format!("https://127.0.0.1:{port}/")).await.unwrap(), "ok");
    within(SOON, session.close()).await;
    within(SOON, server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_whose_end_is_not_authentic_is_an_error() {
    let ca = TestCa::new();
    let to_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it?";
    for (end, whole) in [(Step::Fin, true), (Step::Close, false), (Step::Reset, false)] {
        let rogue = Rogue::tls(&ca, vec![Step::ReadHead, Step::send(to_the_end), end]).await;
        let outcome = get(&trusting(&ca), rogue.url("/")).await;
        match outcome {
            Ok(text) => assert!(whole && text == "all of it?"),
            Err(error) => assert!(!whole && error.is_body(), "{error:?}"),
        }
    }
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf";
    let rogue = Rogue::tls(&ca, vec![Step::ReadHead, Step::send(short), Step::Fin]).await;
    assert!(get(&trusting(&ca), rogue.url("/")).await.unwrap_err().is_body());
}

#[tokio::test]
async fn an_unsolicited_tls_answer_never_reaches_the_next_request() {
    let ca = TestCa::new();
    let rogue = Rogue::tls(&ca, |connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("first"), Step::ok("STALE"), Step::Drain],
        _ => Step::serve("next"),
    })
    .await;
    let session = trusting(&ca);
    assert_eq!(get(&session, rogue.url("/")).await.unwrap(), "first");
    crate::eventually("what came unasked ends the connection", || session.stats().open == 0).await;
    assert_eq!(get(&session, rogue.url("/")).await.unwrap(), "next");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart() {
    let plain = Rogue::start(vec![Step::send("HTTP/1.1 400 Bad Request\r\n\r\n"), Step::Drain]).await;
    let session = session(Pool::builder().danger_accept_invalid_certs(true));
    let error = get(&session, plain.url("/").replace("http://", "https://")).await.unwrap_err();
    is_refusal(&error, "127.0.0.1", "does not speak TLS on this port");

    let closing = Rogue::start(vec![Step::Fin, Step::Drain]).await;
    let error = get(&session, closing.url("/").replace("http://", "https://")).await.unwrap_err();
    is_refusal(&error, "127.0.0.1", "closed the connection during the TLS handshake");

    let ca = TestCa::new();
    let old = Nginx::builder().tls(&ca).setting("ssl_protocols TLSv1.1").setting("ssl_ciphers ALL@SECLEVEL=0");
    let error = get(&session, old.start().await.url("/")).await.unwrap_err();
    is_refusal(&error, "127.0.0.1", "");
}

#[tokio::test]
async fn a_redirect_to_https_is_verified_like_any_other() {
    let ca = TestCa::new();
    let secure = Rogue::tls(&ca, Step::serve("secure")).await;
    let location = format!("HTTP/1.1 301 Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", secure.url("/there"));
    let plain = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::send(location)])]).await;
    let error = get(&Session::new(), plain.url("/")).await.unwrap_err();
    is_refusal(&error, "127.0.0.1", "issuer");
    assert_eq!(error.url().unwrap().as_str(), secure.url("/there"));
    assert_eq!(get(&trusting(&ca), plain.url("/")).await.unwrap(), "secure");
}

#[test]
fn what_is_no_certificate_is_refused_when_the_pool_is_made() {
    let ca = TestCa::new();
    let (certificate, key) = ca.client_cert("tester");
    let (_, other_key) = ca.client_cert("other");
    for (pool, shown) in [
        (Pool::builder().add_root_certificate("nonsense"), "root certificate"),
        (Pool::builder().add_root_certificate(""), "root certificate"),
        (Pool::builder().add_root_certificate(key.clone()), "\"PRIVATE KEY\""),
        (Pool::builder().client_identity(certificate.clone()), "private key"),
        (Pool::builder().client_identity(key.clone()), "no certificate"),
        (Pool::builder().client_identity(format!("{certificate}{other_key}")), "not the first certificate's"),
    ] {
        let error = pool.build().unwrap_err();
        assert!(error.is_input() && error.to_string().contains(shown), "{error:?}");
        let secret = key.lines().nth(1).unwrap();
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    }
}

#[tokio::test]
async fn a_pool_sends_over_tls_too() {
    let ca = TestCa::new();
    let rogue = Rogue::tls(&ca, Step::serve("")).await;
    let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
    let request = http::Request::get(rogue.url("/a/../b")).body(trunkline::Body::empty()).unwrap();
    within(SOON, pool.send(request, Timeouts::new())).await.unwrap();
    assert_eq!(rogue.requests()[0].path, "/a/../b");
}
