//! Building of requests and reading of responses, against httpbin and byte for byte.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use trunkline::{Body, Phase, Pool, RequestBuilder, RequestSent, Session, SessionBuilder, Timeouts};
use url::Url;

use crate::support::{Httpbin, Recorded, Rogue, Step};
use crate::{SOON, within};

/// The request as httpbin received it.
async fn echoed(request: RequestBuilder) -> Value {
    within(SOON, async { request.await?.json().await }).await.unwrap()
}

/// The request as the server received it, byte for byte.
async fn sent(rogue: &Rogue, request: RequestBuilder) -> Recorded {
    within(SOON, async { request.await?.bytes().await }).await.unwrap();
    rogue.requests().pop().unwrap()
}

fn all<'a>(request: &'a Recorded, name: &str) -> Vec<&'a str> {
    let same = request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value.as_str()).collect()
}

async fn status_of(request: RequestBuilder) -> u16 {
    within(SOON, request.send()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_method_is_sent_as_itself() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    let url = httpbin.url("/anything");
    let named = [
        (session.get(&url), "GET"),
        (session.post(&url), "POST"),
        (session.put(&url), "PUT"),
        (session.patch(&url), "PATCH"),
        (session.delete(&url), "DELETE"),
        (session.request(Method::TRACE, &url), "TRACE"),
    ];
    for (request, method) in named {
        assert_eq!(echoed(request).await["method"], method);
    }
    let head = within(SOON, session.head(&url).send()).await.unwrap();
    assert_eq!((head.status(), head.text().await.unwrap()), (StatusCode::OK, String::new()));
    let options = within(SOON, session.request(Method::OPTIONS, &url).send()).await.unwrap();
    assert!(options.headers().contains_key("allow"));
    let rogue = Rogue::start(Step::serve("")).await;
    let own = Method::from_bytes(b"PURGE").unwrap();
    assert_eq!(sent(&rogue, session.request(own, rogue.url("/x"))).await.line(), "PURGE /x");
}

#[tokio::test]
async fn json_and_form_bodies_arrive_with_their_type() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    let url = httpbin.url("/anything");
    let value = json!({ "name": "Åsa", "list": [1, 2.5, null], "nested": { "a": true } });
    let seen = echoed(session.post(&url).json(&value)).await;
    assert_eq!((&seen["json"], &seen["headers"]["Content-Type"]), (&value, &json!("application/json")));

    let seen = echoed(session.post(&url).form(&[("name", "Åsa & co"), ("plus", "a+b=c"), ("name", "two")])).await;
    assert_eq!(seen["form"], json!({ "name": ["Åsa & co", "two"], "plus": "a+b=c" }));
    assert_eq!(seen["headers"]["Content-Type"], "application/x-www-form-urlencoded");

    let typed = session.post(&url).header(CONTENT_TYPE, "application/vnd.api+json").json(&value);
    assert_eq!(echoed(typed).await["headers"]["Content-Type"], "application/vnd.api+json");

    let seen = echoed(session.put(&url).body("plain")).await;
    assert_eq!((&seen["data"], &seen["headers"]["Content-Type"]), (&json!("plain"), &Value::Null));
    let seen = echoed(session.post(&url).body(vec![0xff, 0x00])).await;
    assert_eq!(seen["data"], "data:application/octet-stream;base64,/wA=");
}

#[tokio::test]
async fn a_query_is_added_to_the_one_that_is_there() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    let request = session.get(httpbin.url("/anything?a=1#part")).query(&[("b", "2 & 3"), ("a", "é")]);
    let seen = echoed(request.query(&json!({ "c": "=" }))).await;
    assert_eq!(seen["args"], json!({ "a": ["1", "é"], "b": "2 & 3", "c": "=" }));

    let rogue = Rogue::start(Step::serve("")).await;
    let none: [(&str, &str); 0] = [];
    for (url, pairs, expected) in [
        ("/", none.as_slice(), "/"),
        ("/?", &[("a", "b")], "/?a=b"),
        ("/?raw=%7e", &[("a", "")], "/?raw=%7e&a="),
        ("/?x", &none, "/?x"),
    ] {
        assert_eq!(sent(&rogue, session.get(rogue.url(url)).query(pairs)).await.path, expected);
    }
    let error = session.get(rogue.url("/")).query(&"not pairs").await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("query"), "{error:?}");
}

#[tokio::test]
async fn a_request_s_headers_take_the_place_of_the_session_s() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::builder().header("x-default", "session").header("X-Both", "session").build().unwrap();
    let request = session.get(rogue.url("/")).header("x-both", "one").header("x-both", "two").header("x-own", "own");
    let seen = sent(&rogue, request).await;
    assert_eq!(all(&seen, "x-both"), ["one", "two"]);
    assert_eq!((all(&seen, "x-default"), all(&seen, "x-own")), (vec!["session"], vec!["own"]));
    assert_eq!((all(&seen, "accept"), all(&seen, "host").len()), (vec!["*/*"], 1));
    assert!(all(&seen, "user-agent")[0].starts_with("trunkline/"));

    // The request before has left nothing behind.
    let seen = sent(&rogue, session.get(rogue.url("/"))).await;
    assert_eq!((all(&seen, "x-both"), all(&seen, "x-own")), (vec!["session"], vec![]));
}

#[tokio::test]
async fn headers_of_a_session_replace_the_defaults() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::builder()
        .user_agent("mine/1")
        .header(ACCEPT, "text/html")
        .header("x", "first")
        .header("x", "last")
        .build()
        .unwrap();
    let seen = sent(&rogue, session.get(rogue.url("/"))).await;
    assert_eq!(all(&seen, "user-agent"), ["mine/1"]);
    assert_eq!((all(&seen, "accept"), all(&seen, "x")), (vec!["text/html"], vec!["last"]));
    let seen = sent(&rogue, session.get(rogue.url("/")).header(USER_AGENT, HeaderValue::from_static("own"))).await;
    assert_eq!(all(&seen, "user-agent"), ["own"]);
}

#[tokio::test]
async fn several_headers_of_a_session_may_have_one_name() {
    let rogue = Rogue::start(Step::serve("")).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [("x", "one"), ("x", "two"), ("user-agent", "mine/1"), ("cookie", "s3cret=1")] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let session = Session::builder().header("x", "before").headers(headers).build().unwrap();
    let seen = sent(&rogue, session.get(rogue.url("/"))).await;
    assert_eq!((all(&seen, "x"), all(&seen, "user-agent")), (vec!["one", "two"], vec!["mine/1"]));
    assert_eq!(all(&seen, "cookie"), ["s3cret=1"]);
    let seen = sent(&rogue, session.get(rogue.url("/")).header("x", "own")).await;
    assert_eq!(all(&seen, "x"), ["own"]);
}

#[tokio::test]
async fn credentials_in_the_address_become_a_header() {
    let (rogue, session) = (Rogue::start(Step::serve("")).await, Session::new());
    let host = rogue.address();
    for (credentials, expected) in [
        // us@er:p:a+s%s
        ("us%40er:p%3Aa+s%25s", "Basic dXNAZXI6cDphK3Mlcw=="),
        // ann:
        ("ann", "Basic YW5uOg=="),
        // :secret
        (":secret", "Basic OnNlY3JldA=="),
        // Åsa:ö
        ("%C3%85sa:%C3%B6", "Basic w4VzYTrDtg=="),
    ] {
        let seen = sent(&rogue, session.get(format!("http://{credentials}@{host}/path"))).await;
        assert_eq!(all(&seen, "authorization"), [expected], "{credentials}");
        assert_eq!((seen.path.as_str(), seen.header("host")), ("/path", Some(host.to_string().as_str())));
    }
    let explicit = session.get(format!("http://ann:secret@{host}/")).bearer_auth("token");
    assert_eq!(all(&sent(&rogue, explicit).await, "authorization"), ["Bearer token"]);
    let twice = session.get(rogue.url("/")).bearer_auth("token").basic_auth("ann", "secret");
    assert_eq!(all(&sent(&rogue, twice).await, "authorization"), ["Basic YW5uOnNlY3JldA=="]);
}

#[tokio::test]
async fn relative_addresses_are_joined_to_the_base() {
    let rogue = Rogue::start(Step::serve("")).await;
    for (base, address, path) in [
        ("/api/v1/", "users", "/api/v1/users"),
        ("/api/v1", "users", "/api/users"),
        ("/api/v1/", "../users?a=b", "/api/users?a=b"),
        ("/api/v1/", "/users", "/users"),
        ("/api/v1/?base", "", "/api/v1/?base"),
        ("/api/v1/", "?a", "/api/v1/?a"),
    ] {
        let session = Session::builder().base_url(rogue.url(base)).build().unwrap();
        assert_eq!(sent(&rogue, session.get(address)).await.path, path, "{base} {address}");
    }
    let session = Session::builder().base_url("http://elsewhere.invalid/").build().unwrap();
    assert_eq!(sent(&rogue, session.get(rogue.url("/absolute"))).await.path, "/absolute");
    let request = Request::get("/users").body(Body::empty()).unwrap();
    let session = Session::builder().base_url(rogue.url("/api/")).build().unwrap();
    within(SOON, session.execute(request)).await.unwrap();
    assert_eq!(rogue.requests().pop().unwrap().path, "/users");
    for base in ["", "example.com", "ftp://example.com/", "http://"] {
        let error = Session::builder().base_url(base).build().unwrap_err();
        assert!(error.is_input(), "{base}: {error:?}");
    }
}

#[tokio::test]
async fn addresses_come_in_every_kind() {
    let (rogue, session) = (Rogue::start(Step::serve("")).await, Session::new());
    let text = rogue.url("/kind");
    let url = Url::parse(&text).unwrap();
    for request in [session.get(&*text), session.get(&text), session.get(text.clone()), session.get(&url)] {
        assert_eq!(sent(&rogue, request).await.path, "/kind");
    }
    assert_eq!(sent(&rogue, session.get(url)).await.path, "/kind");
    // The URL standard: dots resolved, non-ASCII encoded, the name in lower case, no fragment sent.
    let odd = format!("HTTP://LOCALHOST:{}/a/./b/../ü ?q=é#f", rogue.port());
    let seen = sent(&rogue, session.get(odd)).await;
    assert_eq!(seen.path, "/a/%C3%BC%20?q=%C3%A9");
    assert_eq!(seen.header("host"), Some(format!("localhost:{}", rogue.port()).as_str()));
}

#[tokio::test]
async fn an_address_that_is_none_is_an_input_error_naming_it() {
    let session = Session::new();
    for (address, shown) in [
        ("", "\"\""),
        ("example.com/path", "example.com/path"),
        ("/relative", "/relative"),
        ("ftp://example.com/file", "ftp://example.com/file"),
        ("mailto:ann@example.com", "\"example.com\""),
        ("http://", "http://"),
        ("http://exa mple.com/", "http://exa mple.com/"),
        ("http://[::1", "[::1"),
        ("http://example.com:99999/", "example.com:99999"),
        ("ftp://ann:sEcReT@example.com/f?token=sEcReT", "ftp://example.com/f"),
        ("http://ann:sEcReT@exa mple.com/?token=sEcReT#sEcReT", "exa mple.com/"),
        ("//ann:sEcReT@example.com/", "example.com/"),
    ] {
        let error = session.get(address).await.unwrap_err();
        assert!(error.is_input() && error.request_sent() == RequestSent::No, "{address}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(error.to_string().contains(shown), "{address}: {text}");
        assert!(!text.contains("sEcReT"), "{address}: {text}");
    }
    let unusable = session.get(Url::parse("ftp://example.com/").unwrap()).await.unwrap_err();
    assert!(unusable.is_input());
    assert_eq!(session.stats().created, 0);
}

#[tokio::test]
async fn a_header_that_is_none_is_an_input_error_without_its_value() {
    let session = Session::new();
    let get = || session.get("http://127.0.0.1:9/");
    let control = HeaderName::from_static("x-name");
    let cases = [
        (get().header("bad name", "v"), "header's name"),
        (get().header("", "v"), "header's name"),
        (get().header("x\r\ninjected", "v"), "header's name"),
        (get().header("x-name", "sEcReT\r\ninjected: yes"), "x-name"),
        (get().header(control, "sEcReT\0"), "x-name"),
        (get().bearer_auth("sEcReT\n"), "bearer token"),
        (get().basic_auth("ann:sEcReT", "x"), "user name"),
    ];
    for (request, shown) in cases {
        let error = request.await.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(shown), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("sEcReT"), "{error:?}");
    }
    let builders: [fn(SessionBuilder) -> SessionBuilder; 5] = [
        |b| b.header("bad name", "v"),
        |b| b.header("x", "a\nb"),
        |b| b.user_agent("a\rb"),
        // Headers that belong to one request's body.
        |b| b.header("content-length", "1"),
        |b| b.header("expect", "100-continue"),
    ];
    for bad in builders {
        assert!(bad(Session::builder()).build().unwrap_err().is_input());
    }
    // The first fault is told, and setters after it change nothing.
    let error = get().header("bad name", "v").header("x", "a\nb").json(&1).await.unwrap_err();
    assert!(error.to_string().contains("header's name"), "{error}");
    assert_eq!(session.stats().created, 0);
}

#[tokio::test]
async fn bodies_are_read_as_text_bytes_json_or_piece_by_piece() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    let get = async |path: &str| within(SOON, session.get(httpbin.url(path)).send()).await.unwrap();
    assert!(get("/encoding/utf8").await.text().await.unwrap().contains("⡌⠁⠧⠑"));
    assert_eq!(get("/bytes/1000?seed=1").await.bytes().await.unwrap().len(), 1000);
    let lines = get("/stream/20").await.text().await.unwrap();
    assert_eq!(lines.lines().count(), 20);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));

    let mut response = get("/stream-bytes/100000?chunk_size=5000&seed=1").await;
    assert_eq!(response.content_length(), None);
    let mut size = 0;
    while let Some(chunk) = within(SOON, response.chunk()).await.unwrap() {
        size += chunk.len();
    }
    assert_eq!(size, 100_000);

    let error = get("/html").await.json::<Value>().await.unwrap_err();
    assert!(error.is_body() && error.to_string().contains("JSON"), "{error:?}");
    assert_eq!((error.phase(), error.url().unwrap().path()), (Some(Phase::Body), "/html"));
    let rogue = Rogue::start(Step::serve([b'a', 0xff, b'b'])).await;
    let text = within(SOON, async { session.get(rogue.url("/")).await?.text().await }).await.unwrap();
    assert_eq!(text, "a\u{fffd}b");
}

#[tokio::test]
async fn statuses_are_errors_only_for_those_who_asked() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    for status in [200, 204, 304, 400, 404, 418, 429, 500, 503] {
        let url = httpbin.url(&format!("/status/{status}?token=sEcReT"));
        let response = within(SOON, session.get(&url).send()).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let outcomes = [
            response.error_for_status(),
            within(SOON, session.get(&url).error_for_status(true).send()).await,
            within(SOON, Session::builder().error_for_status(true).build().unwrap().get(&url).send()).await,
        ];
        for outcome in outcomes {
            let Err(error) = outcome else {
                assert!(status < 400);
                continue;
            };
            assert!(400 <= status && error.is_status(), "{error:?}");
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert_eq!((error.url().unwrap().query(), error.request_sent()), (None, RequestSent::Yes));
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
    }
    let strict = Session::builder().error_for_status(true).build().unwrap();
    let lenient = strict.get(httpbin.url("/status/404")).error_for_status(false);
    assert_eq!(status_of(lenient).await, 404);
    assert_eq!(session.stats().in_use + strict.stats().in_use, 0);
}

#[tokio::test]
async fn whole_bodies_are_bounded_by_max_body_size() {
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n";
    for answer in [announced, chunked] {
        let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::send(answer)])]).await;
        for (limit, fits) in [(0, false), (19, false), (20, true), (21, true)] {
            let session = Session::builder().max_body_size(limit).build().unwrap();
            let outcome = within(SOON, async { session.get(rogue.url("/")).await?.bytes().await }).await;
            match outcome {
                Ok(body) => assert!(fits && body.len() == 20, "{limit}"),
                Err(error) => {
                    assert!(!fits && error.is_body(), "{limit}: {error:?}");
                    assert!(error.to_string().contains(&format!("max_body_size, which is {limit} bytes")), "{error}");
                }
            }
            assert!(within(SOON, async { session.get(rogue.url("/")).await?.text().await }).await.is_ok() == fits);
            // Piece by piece the reader decides.
            let mut response = within(SOON, session.get(rogue.url("/")).send()).await.unwrap();
            let mut size = 0;
            while let Some(chunk) = within(SOON, response.chunk()).await.unwrap() {
                size += chunk.len();
            }
            assert_eq!(size, 20);
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_given_up_at_max_body_size() {
    let chunk = format!("{:x}\r\n{}\r\n", 1000, "x".repeat(1000));
    let rogue = Rogue::start(vec![
        Step::ReadHead,
        Step::send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Step::Loop(vec![Step::send(chunk)]),
    ])
    .await;
    let session = Session::builder().max_body_size(100_000).build().unwrap();
    let response = within(SOON, session.get(rogue.url("/")).send()).await.unwrap();
    assert!(within(SOON, response.bytes()).await.unwrap_err().is_body());
    assert_eq!(session.stats().open, 0);
}

#[tokio::test]
async fn a_request_made_elsewhere_is_sent_with_the_session_s_headers() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::builder().header("x-default", "session").header("x-both", "session").build().unwrap();
    let request = Request::put(rogue.url("/path?query"))
        .header("x-both", "one")
        .header("x-both", "two")
        .body(Body::from("body"))
        .unwrap();
    within(SOON, session.execute(request)).await.unwrap();
    let seen = rogue.requests().pop().unwrap();
    assert_eq!((seen.line(), seen.body.as_slice()), ("PUT /path?query".to_owned(), b"body".as_slice()));
    assert_eq!((all(&seen, "x-both"), all(&seen, "x-default")), (vec!["one", "two"], vec!["session"]));

    // A request that is built and executed is the request that is sent.
    let url = rogue.url("/built").replace("http://", "http://ann:secret@");
    let built = session.post(url).query(&[("a", "b")]).json(&[1]).build().unwrap();
    within(SOON, session.execute(built)).await.unwrap();
    let seen = rogue.requests().pop().unwrap();
    assert_eq!((seen.line(), seen.body.as_slice()), ("POST /built?a=b".to_owned(), b"[1]".as_slice()));
    assert_eq!(seen.header("authorization"), Some("Basic YW5uOnNlY3JldA=="));
    assert_eq!(seen.header("content-type"), Some("application/json"));

    let relative = Request::get("/no-base").body(Body::empty()).unwrap();
    assert!(session.execute(relative).await.unwrap_err().is_input());
}

#[tokio::test]
async fn a_response_tells_how_its_connection_came_about() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let session = Session::builder().pool(Pool::new()).timeouts(Timeouts::new()).build().unwrap();
    for reused in [false, true] {
        let response = within(SOON, session.get(rogue.url("/")).send()).await.unwrap();
        let connection = *response.connection();
        assert_eq!((connection.reused, connection.peer), (reused, rogue.address()));
        assert_eq!((response.version(), response.content_length()), (http::Version::HTTP_11, Some(2)));
        response.bytes().await.unwrap();
    }
    let stats = session.stats();
    assert_eq!((stats.created, stats.reused, stats.idle), (1, 1, 1));
}

#[tokio::test]
async fn more_headers_than_there_can_be_are_an_error() {
    let session = Session::new();
    let request =
        (0..16_385).fold(session.get("http://127.0.0.1:9/"), |request, n| request.header(format!("x-{n}"), "y"));
    let error = request.await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("headers"), "{error}");
}
