//! The table of redirects: the next request by status, method, body and origin, as servers see it
//! (RFC 9110 section 15.4, and the Fetch standard's HTTP-redirect fetch).

use http::Method;
use trunkline::{RequestBuilder, Response, Session};

use crate::exchange::fed;
use crate::support::{Recorded, Rogue, Step};
use crate::{SOON, within};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The method that follows each of `METHODS`; a `+` marks a body that is sent again.
type ExpectedRow = [&'static str; 6];
const MOVED: ExpectedRow = ["GET+", "HEAD+", "GET", "PUT+", "PATCH+", "DELETE+"];
const SEE_OTHER: ExpectedRow = ["GET", "HEAD", "GET", "GET", "GET", "GET"];
const UNCHANGED: ExpectedRow = ["GET+", "HEAD+", "POST+", "PUT+", "PATCH+", "DELETE+"];

#[tokio::test]
async fn a_300_leaves_the_choice_to_the_caller() {
    row(300, None).await;
}

#[tokio::test]
async fn a_301_turns_post_into_get() {
    row(301, Some(MOVED)).await;
}

#[tokio::test]
async fn a_302_turns_post_into_get() {
    row(302, Some(MOVED)).await;
}

#[tokio::test]
async fn a_303_turns_all_but_head_into_get_and_takes_no_content_along() {
    row(303, Some(SEE_OTHER)).await;
}

#[tokio::test]
async fn a_304_is_no_redirect() {
    row(304, None).await;
}

#[tokio::test]
async fn a_305_is_not_followed() {
    row(305, None).await;
}

#[tokio::test]
async fn a_306_is_not_followed() {
    row(306, None).await;
}

#[tokio::test]
async fn a_307_changes_nothing() {
    row(307, Some(UNCHANGED)).await;
}

#[tokio::test]
async fn a_308_changes_nothing() {
    row(308, Some(UNCHANGED)).await;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyKind {
    None,
    /// It can be sent again.
    Bytes,
    /// It cannot.
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Same,
    Other,
}

/// The servers of a row. Each connection to `same` or `first` begins with a redirect: to `same`
/// itself, or to `other`.
struct RowServers {
    same: Rogue,
    first: Rogue,
    other: Rogue,
}

impl RowServers {
    async fn start(status: u16) -> Self {
        let other = Rogue::start(arrived()).await;
        let (same, first) =
            (Rogue::start(moved(status, "/there")).await, Rogue::start(moved(status, &other.url("/there"))).await);
        Self { same, first, other }
    }

    fn of(&self, origin: Origin) -> (&Rogue, &Rogue) {
        match origin {
            Origin::Same => (&self.same, &self.same),
            Origin::Other => (&self.first, &self.other),
        }
    }
}

fn moved(status: u16, location: &str) -> Vec<Step> {
    // A 304 has no content, whatever it says.
    let head = format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    [vec![Step::ReadHead, Step::ReadBody, Step::send(head)], arrived()].concat()
}

/// Empty answers, which suit a `HEAD` as well.
fn arrived() -> Vec<Step> {
    Step::serve("")
}

/// Tries all cells of a status and reports the failed ones together.
async fn row(status: u16, becomes: Option<ExpectedRow>) {
    let servers = RowServers::start(status).await;
    let mut faults = Vec::new();
    for (column, method) in METHODS.into_iter().enumerate() {
        for content in [BodyKind::None, BodyKind::Bytes, BodyKind::Stream] {
            for origin in [Origin::Same, Origin::Other] {
                let cell = TableCell { status, method, becomes: becomes.map(|row| row[column]), content, origin };
                if let Err(fault) = cell.hold(&servers).await {
                    faults.push(format!("{status} {method}, {content:?}, {origin:?} origin: {fault}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of 36 cells:\n{}", faults.len(), faults.join("\n"));
}

struct TableCell {
    status: u16,
    method: &'static str,
    becomes: Option<&'static str>,
    content: BodyKind,
    origin: Origin,
}

impl TableCell {
    async fn hold(&self, servers: &RowServers) -> Result<(), String> {
        let (first, target) = servers.of(self.origin);
        let before = (first.requests().len(), target.requests().len());
        let outcome = self.ask(&first.url("/here")).await;
        let asked = first.requests().split_off(before.0);
        let mut redirected = target.requests().split_off(before.1);
        if self.origin == Origin::Same {
            redirected.remove(0);
        }
        equal("first seen", &seen(&asked[0]), &self.first_request())?;

        let Some(becomes) = self.becomes else {
            let response = outcome.map_err(|error| format!("{error:?}"))?;
            equal("the answer", &response.status().as_u16().to_string(), &self.status.to_string())?;
            equal("its history", &response.history().len().to_string(), "0")?;
            return equal("requests after it", &redirected.len().to_string(), "0");
        };
        if self.content == BodyKind::Stream && becomes.ends_with('+') {
            let error = outcome.err().ok_or("it was redirected, with a body that cannot be sent again")?;
            let explained = error.is_redirect() && error.to_string().contains("a second time");
            equal("explained", &format!("{explained} {:?}", error.request_sent()), "true Yes")?;
            return equal("requests after it", &redirected.len().to_string(), "0");
        }
        let response = outcome.map_err(|error| format!("{error:?}"))?;
        let history: Vec<_> = response.history().iter().map(|hop| (hop.status.as_u16(), hop.url.path())).collect();
        equal("the history", &format!("{history:?}"), &format!("{:?}", [(self.status, "/here")]))?;
        equal("the answer's address", response.url().as_str(), &target.url("/there"))?;
        equal("requests after it", &redirected.len().to_string(), "1")?;
        equal("its host", redirected[0].header("host").unwrap_or_default(), &target.address().to_string())?;
        equal("then seen", &seen(&redirected[0]), &self.second_request(becomes))
    }

    async fn ask(&self, url: &str) -> trunkline::Result<Response> {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let request = Session::new().request(method, url).bearer_auth("token").header("x-kept", "yes");
        let described = |request: RequestBuilder| {
            let typed = request.header("content-type", "text/plain").header("content-language", "en");
            typed.header("digest", "md5=x")
        };
        let request = match self.content {
            BodyKind::None => request,
            BodyKind::Bytes => described(request).body("data"),
            BodyKind::Stream => {
                let (upload, stream) = fed();
                upload.send(Ok("data".into())).unwrap();
                described(request).body(stream)
            }
        };
        within(SOON, request.send()).await
    }

    fn first_request(&self) -> String {
        format!("{} /here, x-kept: yes, authorization: Bearer token{}", self.method, self.content_as_sent(self.method))
    }

    fn second_request(&self, becomes: &str) -> String {
        let (method, along) = becomes.strip_suffix('+').map_or((becomes, false), |method| (method, true));
        let secret = if self.origin == Origin::Same { ", authorization: Bearer token" } else { "" };
        let content = if along { self.content_as_sent(method) } else { String::new() };
        format!("{method} /there, x-kept: yes{secret}{content}")
    }

    fn content_as_sent(&self, method: &str) -> String {
        let framed = match self.content {
            // RFC 9110 section 8.6: where content is expected, its absence is told.
            BodyKind::None if ["POST", "PUT", "PATCH"].contains(&method) => return ", content-length: 0".into(),
            BodyKind::None => return String::new(),
            BodyKind::Bytes => "content-length: 4",
            BodyKind::Stream => "transfer-encoding: chunked",
        };
        format!(", content-type: text/plain, content-language: en, digest: md5=x, {framed}, data")
    }
}

/// A request as the server saw it, in the words of [`TableCell::first_request`].
fn seen(request: &Recorded) -> String {
    const TOLD: [&str; 7] = [
        "x-kept",
        "authorization",
        "content-type",
        "content-language",
        "digest",
        "content-length",
        "transfer-encoding",
    ];
    let headers = TOLD.iter().filter_map(|name| Some(format!("{name}: {}", request.header(name)?)));
    let content = Some(String::from_utf8_lossy(&request.body).into_owned()).filter(|content| !content.is_empty());
    [request.line()].into_iter().chain(headers).chain(content).collect::<Vec<_>>().join(", ")
}

fn equal(what: &str, is: &str, should: &str) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} is `{is}`, and should be `{should}`")) }
}
