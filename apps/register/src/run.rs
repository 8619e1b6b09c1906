//! THE WALK: from the first thing that is opened to the last that is closed.
//!
//! One session and one database pool are opened before anybody is served, are shared by all that is
//! served, and are closed, awaited and in reverse, after the last request and the last mail.
//! Whatever fails on the way, what was open by then is closed.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use trunkline::{Pool, Session};
use trunkline_lifespan::{self as lifespan, App, Lifespan, Report, Stop, resource};
use url::Url;

use crate::accounts::{AccountSettings, Accounts};
use crate::dev_mail::DevMail;
use crate::mail::{Credentials, SEND_WITHIN, Ses, SesSettings};
use crate::ops;
use crate::outbox::{Outbox, OutboxSettings};
use crate::settings::{DatabaseSettings, Limit, MailMode, Settings};
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::web::{self, Durations, Limits, Rate, WebSettings, WebState};

/// How many mails the development mailbox keeps.
const KEPT_MAILS: usize = 1000;

/// The sender in the development mailbox, if none was set.
const NOBODY: &str = "Register <no-reply@example.com>";

/// How often what is over is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Of large tables it takes a while; a database that has vanished from the network would never
/// answer.
const SWEEP_WITHIN: Duration = Duration::from_secs(600);

/// Longer than a send that is under way at the end may take: to hand it back.
const TO_HAND_BACK: Duration = Duration::from_secs(5);

/// Runs the service until it is asked to stop, or fails.
pub async fn run(settings: Settings, telemetry: Telemetry) -> Report {
    let lifespan = Lifespan::new().connections(settings.connections.get());
    let lifespan = lifespan.pause(settings.drain_pause).drain_within(settings.drain);
    let walk = async |app: &App| {
        let walked = walk(app, &settings, telemetry).await;
        // Back to what it was, so that the lifespan knows its own errors.
        walked.map_err(anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace)
    };
    lifespan.run(walk).await
}

async fn walk(app: &App, settings: &Settings, telemetry: Telemetry) -> anyhow::Result<()> {
    let trusted_proxies = settings.trust_proxy.clone().unwrap_or_default();
    let limits = Limits::new(rate(settings.ip_limit));

    // In development, SES is ours. As a part of the world outside, it is there before the session and
    // after it.
    let dev_mail = open_dev_mail(app, settings).await?;

    // The one session: every request to another service goes over it.
    let pool = Pool::builder().limit(usize::try_from(settings.session_limit.get())?).build()?;
    let session = app.open("session", lifespan::session(Session::builder().pool(pool))).await?;

    // The one database pool.
    let store = open_store(app, settings.database()?).await?;

    // Bound, so that the addresses are known and ours. Nobody is served yet.
    let listener = bind(app, "listen", settings.listen).await?;
    let ops_listener = bind(app, "ops-listen", settings.ops_listen).await?;
    let (address, ops_address) = (listener.local_addr()?, ops_listener.local_addr()?);
    let public_url = public_url(settings, address)?;

    // What works beside the requests, and is stopped after the last of them.
    let ses = Ses::open(ses_settings(settings, dev_mail.as_ref()), session.pool()).await?;
    let outbox = Outbox::new(store.clone(), ses, outbox_settings(settings, &public_url));
    app.background("outbox", |stop| outbox.clone().run(stop)).stop_within(settings.drain + TO_HAND_BACK);
    app.background("sweep", |stop| sweep(store.clone(), settings.keep, stop));
    if settings.ip_limit != Limit::Off {
        app.background("limits", |stop| limits.clone().sweep(stop));
    }

    let state = WebState {
        accounts: Accounts::new(store.clone(), &account_settings(settings))?,
        session,
        session_limit: usize::try_from(settings.session_limit.get())?,
        store,
        outbox,
        mailbox: dev_mail.as_ref().map(DevMail::mailbox),
        readiness: app.readiness(),
        durations: Durations::default(),
        listeners: app.listeners(),
    };
    // The console goes on until the last request of the others has ended.
    app.serve_throughout(ops_listener, ops::router(state.clone(), &public_url))?;
    telemetry.announce(&announcement(address, ops_address, dev_mail.is_some()));
    let web = web::router(state, WebSettings { public_url, trusted_proxies, limits });
    Ok(app.serve(listener, web).await?)
}

async fn open_dev_mail(app: &App, settings: &Settings) -> anyhow::Result<Option<DevMail>> {
    if settings.mail != MailMode::Dev {
        return Ok(None);
    }
    let dev_mail = resource(async || DevMail::open(KEPT_MAILS).await)
        .release(async |dev_mail: DevMail| cannot_fail(dev_mail.close()).await);
    Ok(Some(app.open("development mailbox", dev_mail).await?))
}

async fn open_store(app: &App, settings: DatabaseSettings) -> anyhow::Result<Store> {
    let store = resource(async move || Store::open(&settings).await)
        .check(async |store: Store| store.ready().await)
        .release(async |store: Store| cannot_fail(store.close()).await);
    Ok(app.open("database", store).await?)
}

async fn cannot_fail(close: impl Future<Output = ()>) -> Result<(), Infallible> {
    close.await;
    Ok(())
}

async fn bind(app: &App, flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = app.bind(address).await;
    bound.with_context(|| format!("'--{flag} {address}' cannot be listened on: set another address"))
}

/// Removes what is over, at the start and then now and again.
async fn sweep(store: Store, keep: Duration, stop: Stop) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.or(ticks.tick()).await.is_some() {
        let swept = async { timeout(SWEEP_WITHIN, store.sweep(keep)).await.context("the database does not answer")? };
        match stop.or(swept).await {
            Some(Ok(rows @ 1..)) => tracing::info!(rows, "swept away what is over"),
            Some(Err(error)) => tracing::warn!(error = format!("{error:#}"), "cannot sweep away what is over"),
            _ => {}
        }
    }
}

fn announcement(address: SocketAddr, ops: SocketAddr, dev: bool) -> String {
    let (site, ops) = (http(address), http(ops));
    let mailbox = if dev { format!("; mail appears at {site}/dev/mail (development mailbox)") } else { String::new() };
    format!("Open {site} to register{mailbox}; console: {ops}/console")
}

// ---- what the rooms are given of the settings

/// What links begin with, in mails.
fn public_url(settings: &Settings, address: SocketAddr) -> anyhow::Result<Url> {
    match &settings.public_url {
        Some(url) => Ok(url.clone()),
        None => Ok(Url::parse(&http(address))?),
    }
}

/// As it is reached from this machine.
fn http(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

fn rate(limit: Limit) -> Option<Rate> {
    match limit {
        Limit::Off => None,
        Limit::Per(requests, per) => Some(Rate { requests: requests.try_into().ok()?, per }),
    }
}

fn ses_settings(settings: &Settings, dev_mail: Option<&DevMail>) -> SesSettings {
    let from = settings.mail_from.clone().unwrap_or_else(|| NOBODY.to_owned());
    // Half of the lease is for what comes before and after.
    let send_within = SEND_WITHIN.min(settings.lease / 2);
    match dev_mail {
        Some(dev_mail) => SesSettings { send_within, ..SesSettings::development(from, dev_mail.endpoint()) },
        None => SesSettings {
            from,
            region: settings.aws_region.clone(),
            endpoint: settings.ses_endpoint.clone(),
            credentials: Credentials::Ambient,
            send_within,
        },
    }
}

fn outbox_settings(settings: &Settings, public_url: &Url) -> OutboxSettings {
    OutboxSettings {
        senders: settings.senders.get(),
        lease: settings.lease,
        token_lifetime: settings.token_lifetime,
        public_url: public_url.clone(),
        finish_within: settings.drain,
    }
}

fn account_settings(settings: &Settings) -> AccountSettings {
    AccountSettings {
        hashers: settings.hashers(),
        hash_queue: settings.hash_queue as usize,
        mail_interval: settings.mail_interval,
        address_limit: settings.address_limit,
    }
}
