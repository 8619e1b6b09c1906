//! A site with a login whose sessions end after so many pages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Path, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct Site {
    port: u16,
    seen: Arc<Seen>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// The number of pages that a session may fetch.
    pages: usize,
    /// Logins that worked, and all that were tried.
    logins: AtomicUsize,
    tries: AtomicUsize,
    /// The session that holds, and the pages it has been shown.
    session: Mutex<(String, usize)>,
    /// The number of deliveries of each page.
    delivered: Mutex<HashMap<usize, usize>>,
    /// True if no login opens a page any more.
    locked: Mutex<bool>,
    /// Logins meet a 503.
    ill: Mutex<bool>,
}

impl Site {
    pub(crate) async fn start(pages: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen { pages, ..Seen::default() });
        let routes = Router::new()
            .route("/login", get(form).post(login))
            .route("/home", get(|| async { Html("<p>Welcome, Ann</p><a class=logout href=/out>x</a>") }))
            .route("/forbidden", get(|| async { StatusCode::UNAUTHORIZED }))
            .route("/members", get(members))
            .route("/robots.txt", get(|| async { "User-agent: *\nDisallow: /private\n" }))
            .route("/page/{number}", get(page))
            .with_state(seen.clone());
        let serving = tokio::spawn(async move { serve(listener, routes).await.unwrap() });
        Self { port, seen, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn logins(&self) -> usize {
        self.seen.logins.load(Ordering::SeqCst)
    }

    pub(crate) fn tries(&self) -> usize {
        self.seen.tries.load(Ordering::SeqCst)
    }

    pub(crate) fn delivered(&self) -> HashMap<usize, usize> {
        self.seen.delivered.lock().unwrap().clone()
    }

    pub(crate) fn lock(&self) {
        *self.seen.locked.lock().unwrap() = true;
        self.seen.session.lock().unwrap().0.clear();
    }
}

impl Site {
    /// The session ends, and while it is ill, no login succeeds.
    pub(crate) fn set_ill(&self, ill: bool) {
        *self.seen.ill.lock().unwrap() = ill;
        self.seen.session.lock().unwrap().0.clear();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn form() -> Html<&'static str> {
    Html(
        "<form method=post><input type=hidden name=csrf value=t0k><input name=user><input type=password name=pass><button name=in value=1>x</button></form>",
    )
}

async fn login(State(seen): State<Arc<Seen>>, Form(fields): Form<HashMap<String, String>>) -> Response {
    seen.tries.fetch_add(1, Ordering::SeqCst);
    if *seen.ill.lock().unwrap() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let right = [("csrf", "t0k"), ("user", "ann"), ("pass", "s3cret"), ("in", "1")];
    let right = right.iter().all(|(name, value)| fields.get(*name).is_some_and(|given| given == value));
    if !right || *seen.locked.lock().unwrap() {
        let pass = &fields["pass"];
        let page = format!(
            "<div role=alert>  </div><p class=error>Wrong\n name or password {pass}</p><form><input type=password name=pass></form>"
        );
        return Html(page).into_response();
    }
    let id = format!("s{}", seen.logins.fetch_add(1, Ordering::SeqCst));
    let cookie = format!("sid={id}; Path=/");
    *seen.session.lock().unwrap() = (id, 0);
    ([(SET_COOKIE, cookie)], Redirect::to("/home")).into_response()
}

/// The first login is over for it: it says so by a 403.
async fn members(State(seen): State<Arc<Seen>>) -> Response {
    let second = seen.logins.load(Ordering::SeqCst) > 1;
    if second { "members".into_response() } else { StatusCode::FORBIDDEN.into_response() }
}

async fn page(State(seen): State<Arc<Seen>>, Path(number): Path<usize>, headers: HeaderMap) -> Response {
    let cookie = headers.get(COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    {
        let mut session = seen.session.lock().unwrap();
        if session.0.is_empty() || cookie != format!("sid={}", session.0) || session.1 == seen.pages {
            return Redirect::to(&format!("/login?next=/page/{number}")).into_response();
        }
        session.1 += 1;
    }
    *seen.delivered.lock().unwrap().entry(number).or_default() += 1;
    format!("page {number}").into_response()
}
