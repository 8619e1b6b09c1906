//! Fake of Amazon SES v2 `SendEmail`: it keeps each mail, counts connections, and fails on request.
//! It runs on its own thread and outlives the services that are killed beside it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Behavior of the fake SES.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Accepts the mail.
    #[default]
    Take,
    /// Accepts the mail, and responds after this time.
    Slow(Duration),
    /// 500, an internal failure.
    Broken,
    /// 429 `TooManyRequestsException`.
    Throttling,
    /// 400 `MessageRejected`: this mail is refused for good.
    Refusing,
    /// 400 `AccountSuspendedException`: all mails are refused.
    Suspended,
    /// Neither responds nor accepts the mail.
    Hanging,
}

/// Accepted mail.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Outbox id, from the tag and the header.
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Sent {
    /// Activation link in the text body.
    pub(crate) fn link(&self) -> &str {
        self.text
            .split_whitespace()
            .find(|word| word.contains("/activate?token="))
            .unwrap_or_else(|| panic!("no link in {self:?}"))
    }

    pub(crate) fn token(&self) -> &str {
        self.link().split_once("?token=").unwrap().1
    }
}

#[derive(Default)]
struct SesState {
    mode: Mutex<Mode>,
    sent: Mutex<Vec<Sent>>,
    asked: AtomicUsize,
    connections: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

pub(crate) struct Ses {
    state: Arc<SesState>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ses {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<SesState>::default();
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, Arc::clone(&state));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        });
        Self { state, address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
    }

    /// Accepted mails, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state.sent.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.sent.lock().unwrap().len()
    }

    /// Number of requests received, with any response.
    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Number of connections accepted.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Number of requests under way now, and the maximum so far.
    pub(crate) fn under_way(&self) -> (usize, usize) {
        (self.state.under_way.load(Ordering::Relaxed), self.state.most_under_way.load(Ordering::Relaxed))
    }
}

impl Drop for Ses {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<SesState>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let counter = Arc::clone(&state);
    let listener = listener.tap_io(move |stream| {
        counter.connections.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().route("/v2/email/outbound-emails", post(send_email)).with_state(state);
    axum::serve(listener, router).await.unwrap();
}

async fn send_email(State(state): State<Arc<SesState>>, Json(mail): Json<Value>) -> Response {
    let _under_way = UnderWay::new(&state);
    let mode = *state.mode.lock().unwrap();
    match mode {
        Mode::Take => {}
        Mode::Slow(_) => {}
        Mode::Broken => {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceErrorException", "a bad day");
        }
        Mode::Throttling => {
            return refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "slow down");
        }
        Mode::Refusing => return refusal(StatusCode::BAD_REQUEST, "MessageRejected", "it has a virus"),
        Mode::Suspended => return refusal(StatusCode::BAD_REQUEST, "AccountSuspendedException", "ask support"),
        Mode::Hanging => std::future::pending().await,
    }
    let number = {
        let mut sent = state.sent.lock().unwrap();
        sent.push(read(&mail));
        sent.len()
    };
    if let Mode::Slow(while_) = mode {
        tokio::time::sleep(while_).await;
    }
    Json(json!({ "MessageId": format!("0100-{number}") })).into_response()
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    (status, [("x-amzn-errortype", kind)], Json(json!({ "message": message }))).into_response()
}

/// Reads a mail. An incomplete one is a fault of the service; the panic here makes its test time
/// out.
fn read(mail: &Value) -> Sent {
    let text = |pointer: &str| mail.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let named = |pointer: &str, name: &str| {
        let list = mail.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let entry = list.iter().find(|entry| entry["Name"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name)));
        entry.and_then(|entry| entry["Value"].as_str()).unwrap_or_default().to_owned()
    };
    let id = named("/EmailTags", "outbox-id");
    assert_eq!(id, named("/Content/Simple/Headers", "X-Outbox-Id"), "tag and header: {mail}");
    assert!(!id.is_empty(), "no id: {mail}");
    Sent {
        id,
        to: text("/Destination/ToAddresses/0"),
        subject: text("/Content/Simple/Subject/Data"),
        text: text("/Content/Simple/Body/Text/Data"),
        html: text("/Content/Simple/Body/Html/Data"),
    }
}

/// Counts a request while it is under way, also if the client disconnects.
struct UnderWay(Arc<SesState>);

impl UnderWay {
    fn new(state: &Arc<SesState>) -> Self {
        state.asked.fetch_add(1, Ordering::Relaxed);
        let now = state.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        state.most_under_way.fetch_max(now, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
