//! Application without its servers: its routers respond as over the network.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use register::accounts::{AccountSettings, Accounts};
use register::dev_mail::{DevMail, Mailbox};
use register::mail::{Ses, SesSettings};
use register::ops;
use register::outbox::{Outbox, OutboxSettings};
use register::settings::{DatabaseSettings, Limit, TrustedProxies};
use register::store::Store;
use register::web::{self, Durations, Limits, Rate, WebSettings, WebState};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use trunkline::Session;
use trunkline_lifespan::{App, Lifespan, Report, Shutdown};

use crate::support::{Database, until};

/// Setup of an application.
pub(crate) struct Inside {
    public_url: String,
    rate: Option<Rate>,
    trusted: TrustedProxies,
    address_limit: Limit,
}

/// Running application.
pub(crate) struct Up {
    pub(crate) public: Router,
    pub(crate) ops: Router,
    pub(crate) app: WebState,
    pub(crate) mailbox: Mailbox,
    pub(crate) shutdown: Shutdown,
    ending: JoinHandle<Report>,
    _database: Database,
}

impl Inside {
    pub(crate) fn new() -> Self {
        let public_url = "http://127.0.0.1:3000".to_owned();
        Self { public_url, rate: None, trusted: TrustedProxies::default(), address_limit: Limit::Off }
    }

    pub(crate) fn public_url(self, url: &str) -> Self {
        Self { public_url: url.to_owned(), ..self }
    }

    pub(crate) fn rate(self, requests: u32, per: Duration) -> Self {
        let requests = NonZeroU32::new(requests).unwrap();
        Self { rate: Some(Rate { requests, per }), ..self }
    }

    pub(crate) fn trust(self, networks: &str) -> Self {
        Self { trusted: networks.parse().unwrap(), ..self }
    }

    pub(crate) fn address_limit(self, limit: &str) -> Self {
        Self { address_limit: limit.parse().unwrap(), ..self }
    }

    pub(crate) async fn up(self) -> Up {
        let database = Database::sqlite();
        let url = database.url();
        let (tell, told) = oneshot::channel();
        let ending = tokio::spawn(async move {
            let lifespan = Lifespan::new().signals(false);
            lifespan
                .run(async move |app: &App| -> anyhow::Result<()> {
                    let parts = Box::pin(self.open(app, &url)).await?;
                    let _ = tell.send(parts);
                    app.until_stopped().await;
                    Ok(())
                })
                .await
        });
        let (public, ops, app, mailbox, shutdown) = told.await.unwrap();
        until("the application is up", async || app.readiness.is_ready().then_some(())).await;
        Up { public, ops, app, mailbox, shutdown, ending, _database: database }
    }

    async fn open(&self, app: &App, url: &str) -> anyhow::Result<(Router, Router, WebState, Mailbox, Shutdown)> {
        let place = url.parse().map_err(anyhow::Error::msg)?;
        let store = Store::open(&DatabaseSettings { place, connections: 10 }).await?;
        let session = Session::new();
        let dev_mail = DevMail::open(100).await?;
        let (mailbox, from) = (dev_mail.mailbox(), "register@example.com".to_owned());
        let ses = Ses::open(SesSettings::development(from, dev_mail.endpoint()), session.pool()).await?;
        let outbox = Outbox::new(store.clone(), ses, self.outbox());
        let accounts = Accounts::new(store.clone(), &self.accounts())?;
        let background = outbox.clone();
        app.background("outbox", async move |stop| {
            background.run(stop).await;
            dev_mail.close().await;
        });
        let limits = Limits::new(self.rate);
        app.background("limits", |stop| limits.clone().sweep(stop));
        let public_url: url::Url = self.public_url.parse()?;
        let settings = WebSettings { public_url: public_url.clone(), trusted_proxies: self.trusted.clone(), limits };
        let (mailbox, readiness, durations) = (Some(mailbox), app.readiness(), Durations::default());
        let (session_limit, listeners) = (100, app.listeners());
        let state =
            WebState { accounts, session, session_limit, store, outbox, mailbox, readiness, durations, listeners };
        let mailbox = state.mailbox.clone().expect("set above");
        let ops = ops::router(state.clone(), &public_url);
        Ok((web::router(state.clone(), settings), ops, state, mailbox, app.shutdown()))
    }

    fn accounts(&self) -> AccountSettings {
        let (mail_interval, address_limit) = (Duration::ZERO, self.address_limit);
        AccountSettings { hashers: 2, hash_queue: 100, mail_interval, address_limit }
    }

    fn outbox(&self) -> OutboxSettings {
        const MINUTE: Duration = Duration::from_secs(60);
        let public_url = self.public_url.parse().unwrap();
        OutboxSettings { senders: 2, lease: MINUTE, token_lifetime: MINUTE, public_url, finish_within: MINUTE }
    }
}

impl Up {
    pub(crate) async fn down(self) {
        self.shutdown.begin();
        let ending = self.ending.await.unwrap();
        assert!(ending.is_success(), "{:?}", ending.errors());
    }

    pub(crate) async fn get(&self, path: &str) -> RouterResponse {
        ask(&self.public, Request::get(path), "").await
    }

    pub(crate) async fn get_ops(&self, path: &str) -> RouterResponse {
        ask(&self.ops, Request::get(path), "").await
    }

    /// Sends this text as JSON.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> RouterResponse {
        ask(&self.public, Request::post(path).header(header::CONTENT_TYPE, "application/json"), body).await
    }

    /// Sends a form, as a browser does.
    pub(crate) async fn send_form(&self, path: &str, body: &str) -> RouterResponse {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
            .header("sec-fetch-site", "same-origin");
        ask(&self.public, request, body.to_owned()).await
    }

    pub(crate) async fn register(&self, email: &str) -> RouterResponse {
        let body = serde_json::json!({ "email": email, "password": crate::support::PASSWORD });
        self.post("/api/register", body.to_string()).await
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> RouterResponse {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        ask(&self.public, request, body.to_owned()).await
    }

    /// Requests a page under this host name.
    pub(crate) async fn get_as(&self, host: &str, path: &str, ops: bool) -> RouterResponse {
        let router = if ops { &self.ops } else { &self.public };
        ask(router, Request::get(path).header(header::HOST, host), "").await
    }

    /// Token of the newest mail, once this number of mails has arrived.
    pub(crate) async fn token(&self, mails: usize) -> String {
        let mail = until("the mail", async || {
            let all = self.mailbox.newest_first();
            (all.len() >= mails).then(|| all[0].clone())
        });
        let text = mail.await.text.clone().unwrap();
        let (_, token) = text.split_once("/activate?token=").unwrap();
        token.split_whitespace().next().unwrap().to_owned()
    }
}

/// Sends the request, with the address of a client as the server would add it.
async fn ask(router: &Router, request: http::request::Builder, body: impl Into<Body>) -> RouterResponse {
    let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    let mut request = request.body(body.into()).unwrap();
    request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("127.0.0.1:3000"));
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    RouterResponse { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// Response of a router.
#[derive(Debug)]
pub(crate) struct RouterResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl RouterResponse {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as problem details, which it has to be.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{problem}");
        problem
    }

    /// Invalid fields and their messages.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let problem = self.problem();
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        errors.iter().map(|error| (text(&error["field"]), text(&error["detail"]))).collect()
    }

    pub(crate) fn has(&self, part: &str) -> &Self {
        assert!(self.body.contains(part), "no {part:?} in {self:?}");
        self
    }
}
