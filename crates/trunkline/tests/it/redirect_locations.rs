//! Resolution of `Location` values (RFC 9110 section 10.2.2, the URL standard).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use trunkline::{Pool, RequestSent, Resolve, Resolving, Session};

use crate::support::{Recorded, Rogue, Step};
use crate::{SOON, within};

/// Outcome of a redirect from `/a/b?start`.
#[derive(Clone, Copy)]
enum RedirectOutcome {
    /// To that path of the same server, on the same connection.
    To(&'static str),
    /// To `/there` of the other server.
    Elsewhere,
    /// To `/there` of the other server, by that name.
    By(&'static str),
    /// Nowhere, for that reason.
    Nowhere(&'static str),
}
use RedirectOutcome::{By, Elsewhere, Nowhere, To};

/// `{here}` and `{there}` are the two servers, as `host:port`; `{port}` is the other's port.
const RELATIVE: &[(&[u8], RedirectOutcome)] = &[
    (b"next", To("/a/next")),
    (b"./next", To("/a/next")),
    (b"../next", To("/next")),
    (b"../../../next", To("/next")),
    (b"/next?a=b&c", To("/next?a=b&c")),
    (b"?q=1", To("/a/b?q=1")),
    (b"?", To("/a/b?")),
    (b"", To("/a/b?start")),
    (b"#part", To("/a/b?start")),
    (b"/next#part", To("/next")),
    (b"//{there}/there", Elsewhere),
    (b"//{here}", To("/")),
    (b"http:next", To("/a/next")),
    (b"http:/next", To("/next")),
];

const ODD: &[(&[u8], RedirectOutcome)] = &[
    (b"/two words", To("/two%20words")),
    (b" \t/blanks \t", To("/blanks")),
    (b"/in\tside", To("/inside")),
    (b"/\"<>`{}|", To("/%22%3C%3E%60%7B%7D|")),
    (b"/a%2Fb/%7e/%00/%zz", To("/a%2Fb/%7e/%00/%zz")),
    ("/caf\u{e9}?\u{fc}#\u{f6}".as_bytes(), To("/caf%C3%A9?%C3%BC")),
    (b"/caf\xe9", To("/caf%E9")),
    (b"/\xff\xfe?\xe9", To("/%FF%FE?%E9")),
    (b"\\back\\slash", To("/back/slash")),
    (b"\\\\{there}\\there", Elsewhere),
    (b"/\\{there}/there", Elsewhere),
    (b"http:\\\\{there}/there", Elsewhere),
    (b"http:////{there}/there", Elsewhere),
    (b"HTTP://{there}/there", Elsewhere),
    (b"ht\ttp://{there}/there", Elsewhere),
    (b"http://{there}/a/../there", Elsewhere),
    (b"http://ann:secret@{there}/there", Elsewhere),
    (b"http://{here}\\@elsewhere.test/", To("/@elsewhere.test/")),
    (b"http://LOCALHOST:{port}/there", By("localhost")),
    (b"http://local%68ost:{port}/there", By("localhost")),
    ("http://b\u{fc}cher.test:{port}/there".as_bytes(), By("xn--bcher-kva.test")),
    (b"http://B%C3%9CCHER.test:{port}/there", By("xn--bcher-kva.test")),
    ("http://b\u{fc}cher\u{3002}test:{port}/there".as_bytes(), By("xn--bcher-kva.test")),
    (b"http://0x7f000001:{port}/there", By("127.0.0.1")),
];

const NO_ADDRESS: &[(&[u8], RedirectOutcome)] = &[
    (b"ftp://example.com/file", Nowhere("ftp:")),
    (b"file:///etc/passwd", Nowhere("file:")),
    (b"javascript:alert(1)", Nowhere("javascript:")),
    (b"data:text/plain,hello", Nowhere("data:")),
    (b"mailto:ann@example.com", Nowhere("mailto:")),
    (b"blob:http://{here}/", Nowhere("blob:")),
    (b"ws://{there}/there", Nowhere("ws:")),
    (b"localhost:80/there", Nowhere("localhost:")),
    (b"http://", Nowhere("not an address")),
    (b"//", Nowhere("not an address")),
    (b"http:///", Nowhere("not an address")),
    (b"http://[::1", Nowhere("not an address")),
    (b"http://exa mple.com/", Nowhere("not an address")),
    (b"http://exa%00mple.com/", Nowhere("not an address")),
    (b"http://b\xfccher.test/", Nowhere("not an address")),
    (b"http://xn--/", Nowhere("not an address")),
    (b"http://256.0.0.1/", Nowhere("not an address")),
    (b"http://example.com:99999/", Nowhere("not an address")),
    (b"http://example.com:port/", Nowhere("not an address")),
];

#[tokio::test]
async fn a_location_is_relative_to_where_it_was_given() {
    each(RELATIVE).await;
}

#[tokio::test]
async fn an_odd_location_leads_where_browsers_go() {
    each(ODD).await;
}

#[tokio::test]
async fn a_location_that_is_no_address_is_an_error_that_says_why() {
    each(NO_ADDRESS).await;
}

/// All are tried; those that lead elsewhere than they should are named together.
async fn each(rows: &[(&[u8], RedirectOutcome)]) {
    let mut faults = Vec::new();
    for (location, leads) in rows {
        if let Err(fault) = follow(&[location], *leads).await {
            faults.push(format!("{:?}: {fault}", String::from_utf8_lossy(location)));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rows.len(), faults.join("\n"));
}

#[tokio::test]
async fn a_location_may_be_as_long_as_an_address() {
    let path: &'static str = format!("/{}", "x".repeat(60_000)).leak();
    follow(&[path.as_bytes()], To(path)).await.unwrap();
    let endless = format!("/{}", "x".repeat(70_000));
    follow(&[endless.as_bytes()], Nowhere("cannot be asked for")).await.unwrap();
}

#[tokio::test]
async fn of_two_different_locations_neither_is_followed() {
    follow(&[b"/next", b"/next"], To("/next")).await.unwrap();
    follow(&[b"/next", b"http://{there}/there"], Nowhere("several Locations")).await.unwrap();
    follow(&[b"/next", b"/next", b""], Nowhere("several Locations")).await.unwrap();
}

async fn follow(locations: &[&[u8]], leads: RedirectOutcome) -> Result<(), String> {
    let there = Rogue::start(Step::serve("there")).await;
    let here = redirecting(locations, &there).await;
    let pool = Pool::builder().resolver(LoopbackResolver).build().unwrap();
    let session = Session::builder().pool(pool).build().unwrap();
    let outcome = within(SOON, session.get(here.url("/a/b?start")).send()).await;

    let (own, other) = (here.requests().split_off(1), there.requests());
    let lines = |requests: &[Recorded]| requests.iter().map(Recorded::line).collect::<Vec<_>>();
    let saw = format!("{:?} {:?}", lines(&own), lines(&other));
    let should = match leads {
        To(path) => format!("{:?} []", [format!("GET {path}")]),
        Elsewhere | By(_) => r#"[] ["GET /there"]"#.to_owned(),
        Nowhere(_) => "[] []".to_owned(),
    };
    if saw != should {
        return Err(format!("the servers saw {saw:.200}, and should have seen {should:.200}; {outcome:?}"));
    }
    let right = match (leads, &outcome) {
        (Nowhere(why), Err(error)) => {
            let told = error.is_redirect() && error.request_sent() == RequestSent::Yes;
            told && error.to_string().contains(why) && error.url().unwrap().as_str() == here.url("/a/b")
        }
        (To(_), Ok(response)) => response.connection().reused && here.accepted() == 1,
        (Elsewhere, Ok(_)) => other[0].header("authorization").is_none(),
        (By(name), Ok(_)) => other[0].header("host") == Some(&format!("{name}:{}", there.port())),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("{outcome:?} {other:?}")) }
}

/// Redirects the first request, and answers all others.
async fn redirecting(locations: &[&[u8]], there: &Rogue) -> Rogue {
    let own = Arc::new(OnceLock::<String>::new());
    let (known, port, there) = (own.clone(), there.port().to_string(), there.address().to_string());
    let locations: Vec<_> = locations.iter().map(|location| location.to_vec()).collect();
    let rogue = Rogue::start(move |connection| {
        if connection > 0 {
            return Step::serve("here");
        }
        let here = known.get().unwrap();
        let mut head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n".to_vec();
        for location in &locations {
            let location = put(&put(&put(location, "{here}", here), "{there}", &there), "{port}", &port);
            head.extend([b"Location: ", location.as_slice(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        [vec![Step::ReadHead, Step::send(head)], Step::serve("here")].concat()
    })
    .await;
    own.set(rogue.address().to_string()).unwrap();
    rogue
}

/// The bytes with `value` in place of `name`; they need not be text.
fn put(bytes: &[u8], name: &str, value: &str) -> Vec<u8> {
    match bytes.windows(name.len()).position(|window| window == name.as_bytes()) {
        Some(at) => [&bytes[..at], value.as_bytes(), &bytes[at + name.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Resolves every name to 127.0.0.1.
struct LoopbackResolver;

impl Resolve for LoopbackResolver {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}
