//! Start and end of the service, in order.
//!
//! One session and one database pool are opened before the first request, are shared by all requests,
//! and are closed in reverse after the last request and the last mail. If a step fails, the resources
//! opened before it are closed.

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

/// Number of mails that the development mailbox keeps.
const KEPT_MAILS: usize = 1000;

/// Sender in the development mailbox if none is set.
const DEFAULT_SENDER: &str = "Register <no-reply@example.com>";

/// Interval at which expired rows are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Limit on one removal. Large tables take minutes; a database that vanished from the network would
/// never answer.
const SWEEP_WITHIN: Duration = Duration::from_secs(600);

/// Time after the drain in which the outbox returns the mails it did not send.
const RETURN_WITHIN: Duration = Duration::from_secs(5);

/// Runs the service until it is asked to stop, or fails.
pub async fn run(settings: Settings, telemetry: Telemetry) -> Report {
    let lifespan = Lifespan::new().connections(settings.connections.get());
    let lifespan = lifespan.pause(settings.drain_pause).drain_within(settings.drain);
    let application = async |app: &App| {
        let result = serve(app, &settings, telemetry).await;
        // Unwrapped, so that the lifespan recognises its own errors.
        result.map_err(anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace)
    };
    lifespan.run(application).await
}

async fn serve(app: &App, settings: &Settings, telemetry: Telemetry) -> anyhow::Result<()> {
    let trusted_proxies = settings.trust_proxy.clone().unwrap_or_default();
    let limits = Limits::new(rate(settings.ip_limit));

    // In development the service has an SES of its own. It opens before the session and closes after
    // it, as an outside service would.
    let dev_mail = open_dev_mail(app, settings).await?;

    // The one session for requests to other services.
    let pool = Pool::builder().limit(usize::try_from(settings.session_limit.get())?).build()?;
    let session = app.open("session", lifespan::session(Session::builder().pool(pool))).await?;

    // The one database pool.
    let store = open_store(app, settings.database()?).await?;

    // Bound before serving: the public URL needs the port.
    let listener = bind(app, "listen", settings.listen).await?;
    let ops_listener = bind(app, "ops-listen", settings.ops_listen).await?;
    let (address, ops_address) = (listener.local_addr()?, ops_listener.local_addr()?);
    let public_url = public_url(settings, address)?;

    // Background work, stopped after the last request.
    let ses = Ses::open(ses_settings(settings, dev_mail.as_ref()), session.pool()).await?;
    let outbox = Outbox::new(store.clone(), ses, outbox_settings(settings, &public_url));
    app.background("outbox", |stop| outbox.clone().run(stop)).stop_within(settings.drain + RETURN_WITHIN);
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
    // The console serves until the last request on the other listener has ended.
    app.serve_throughout(ops_listener, ops::router(state.clone(), &public_url))?;
    announce_when_ready(app, telemetry, announcement(address, ops_address, dev_mail.is_some()));
    let web = web::router(state, WebSettings { public_url, trusted_proxies, limits });
    Ok(app.serve(listener, web).await?)
}

/// Announces the addresses once requests are accepted and `/readyz` answers 200.
fn announce_when_ready(app: &App, telemetry: Telemetry, message: String) {
    let readiness = app.readiness();
    app.background("announcement", async move |stop| {
        if stop.or(readiness.ready()).await.is_some() {
            telemetry.announce(&message);
        }
    });
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

/// Removes expired rows at the start and then at each interval.
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

// ---- settings of each module

/// Base of the links in mails.
fn public_url(settings: &Settings, address: SocketAddr) -> anyhow::Result<Url> {
    match &settings.public_url {
        Some(url) => Ok(url.clone()),
        None => Ok(Url::parse(&http(address))?),
    }
}

/// URL of the address, as reached from this machine.
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
    let from = settings.mail_from.clone().unwrap_or_else(|| DEFAULT_SENDER.to_owned());
    // The other half of the lease is for the queries before and after the send.
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
