//! A site to fetch: thousands of pages of different sizes, with links and keep-alive connections.
//!
//! ```sh
//! cargo run -p trunkline --example site -- --port 8000 --pages 3000
//! ```
//!
//! | path | content |
//! |---|---|
//! | `/` | the first line says how many requests came over how many connections |
//! | `/urls` | the address of every page, one per line |
//! | `/page/1` … `/page/N` | a page of 1 to 32 KiB, after 5 milliseconds |
//! | `/login` | a form with a hidden input; the password is `s3cret` |
//! | `/members` | a page for logged-in users; others are redirected to `/login` |
//!
//! `--port 0`, the default, takes a free port. The first line of output is the address.
//! Ctrl-C stops the server.

#![expect(clippy::print_stdout, reason = "the output of the example")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::net::Ipv4Addr;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{Form, Path, Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// Time to make a page, as long as a small database query.
const PAGE_TIME: Duration = Duration::from_millis(5);

const PASSWORD: &str = "s3cret";

struct Site {
    address: String,
    pages: u32,
    /// Seed of the secrets, new at each start.
    random: RandomState,
    requests: AtomicU64,
    connections: AtomicU64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (port, pages) = arguments()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener =
        listener.with_context(|| format!("cannot listen on 127.0.0.1:{port} (--port 0 takes a free one)"))?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("{address}");
    let random = RandomState::new();
    let site = Arc::new(Site { address, pages, random, requests: AtomicU64::new(0), connections: AtomicU64::new(0) });

    let counting = site.clone();
    let listener = listener.tap_io(move |socket| {
        counting.connections.fetch_add(1, Ordering::Relaxed);
        // A page is written in one piece: Nagle could only delay its last segment.
        let _ = socket.set_nodelay(true);
    });
    let app = Router::new()
        .route("/page/{number}", get(page))
        .layer(from_fn_with_state(site.clone(), count))
        .route("/login", get(form).post(login))
        .route("/members", get(members))
        .route("/urls", get(urls))
        .route("/", get(figures))
        .with_state(site.clone());
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(interrupted).await?;
    println!("{}", site.figures());
    Ok(())
}

fn arguments() -> anyhow::Result<(u16, u32)> {
    let (mut port, mut pages) = (0, 3000);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--port" => port = number(&name, arguments.next())?,
            "--pages" => pages = number(&name, arguments.next())?,
            _ => bail!("usage: site [--port N] [--pages N]"),
        }
    }
    Ok((port, pages))
}

fn number<N: FromStr<Err = ParseIntError>>(name: &str, value: Option<String>) -> anyhow::Result<N> {
    let value = value.with_context(|| format!("{name} requires a number"))?;
    value.parse().with_context(|| format!("{name} {value:?} cannot be used"))
}

async fn count(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    site.requests.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

async fn page(State(site): State<Arc<Site>>, Path(number): Path<u32>) -> Result<Html<String>, StatusCode> {
    if !(1..=site.pages).contains(&number) {
        return Err(StatusCode::NOT_FOUND);
    }
    tokio::time::sleep(PAGE_TIME).await;
    Ok(Html(site.page(number)))
}

async fn form(State(site): State<Arc<Site>>) -> Html<String> {
    site.form("")
}

async fn login(State(site): State<Arc<Site>>, Form(sent): Form<HashMap<String, String>>) -> Response {
    let is = |name: &str, value: &str| sent.get(name).is_some_and(|sent| sent == value);
    if !is("token", &site.secret("token")) || !is("password", PASSWORD) {
        return site.form("<p class=error>Wrong name or password</p>\n").into_response();
    }
    let cookie = format!("session={}; Path=/; HttpOnly; SameSite=Lax", site.secret("session"));
    ([(SET_COOKIE, cookie)], Redirect::to("/members")).into_response()
}

async fn members(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let cookie = format!("session={}", site.secret("session"));
    let mut cookies =
        headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok()).flat_map(|text| text.split("; "));
    match cookies.any(|sent| sent == cookie) {
        true => Html("<!doctype html>\n<title>Members</title>\n<p>Only members see this.</p>\n").into_response(),
        false => Redirect::to("/login").into_response(),
    }
}

async fn urls(State(site): State<Arc<Site>>) -> String {
    (1..=site.pages).fold(String::new(), |mut urls, number| {
        let _ = writeln!(urls, "{}/page/{number}", site.address);
        urls
    })
}

async fn figures(State(site): State<Arc<Site>>) -> String {
    format!("{}\nits pages are listed at {}/urls\n", site.figures(), site.address)
}

impl Site {
    fn figures(&self) -> String {
        let (requests, connections) = (&self.requests, &self.connections);
        let (requests, connections) = (requests.load(Ordering::Relaxed), connections.load(Ordering::Relaxed));
        format!("the site answered {requests} requests for pages, over {connections} connections")
    }

    fn secret(&self, of: &str) -> String {
        format!("{:016x}", self.random.hash_one(of))
    }

    fn form(&self, message: &str) -> Html<String> {
        Html(format!(
            "<!doctype html>\n<title>Log in</title>\n{message}<form method=post>\n<input type=hidden name=token value={}>\n\
             <input name=user> <input type=password name=password> <button>Log in</button>\n</form>\n",
            self.secret("token")
        ))
    }

    /// A page with links to its two children in a binary tree, and 16 to 512 lines of text.
    fn page(&self, number: u32) -> String {
        let mut html = format!("<!doctype html>\n<title>Page {number}</title>\n<h1>Page {number}</h1>\n");
        for next in [number.saturating_mul(2), number.saturating_mul(2).saturating_add(1)] {
            if next <= self.pages {
                let _ = writeln!(html, "<p><a href=\"/page/{next}\">Page {next}</a></p>");
            }
        }
        let lines = 16 * (1 + number.wrapping_mul(2_654_435_761) % 32);
        for _ in 0..lines {
            html.push_str("<p>This paragraph repeats to give the page its size, by its number.</p>\n");
        }
        html
    }
}
