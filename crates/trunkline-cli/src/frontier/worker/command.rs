//! `trunkline fetch --frontier` from its arguments to its exit.

use std::sync::Arc;

use anyhow::Context as _;
use trunkline_scrape::Scraper;

use super::client::QueueClient;
use super::lease_source::{LeaseSource, WorkerSettings};
use super::visit::Visitor;
use crate::args::FetchArgs;
use crate::cookies::CookieFile;
use crate::exit::{Exit, UsageError};
use crate::fetch::{self, RunSettings};
use crate::fetch_config::FetchConfig;
use crate::frontier::database::Database;
use crate::frontier::login::SharedLogin;
use crate::frontier::store::{ClaimTerms, FrontierStore};
use crate::login::{LoginPlan, PreparedLogin};
use crate::shutdown::{GracefulShutdown, Signals};

/// Fetches until nothing is left, prints the summary and writes the cookie file, also after a
/// failure.
///
/// # Errors
///
/// The arguments or the database cannot be used, the login failed, the output or the cookie file
/// could not be written, or the database failed permanently.
pub(crate) async fn work(args: FetchArgs, mut signals: Signals) -> anyhow::Result<Exit> {
    let usage = |error| UsageError::from_error(&error);
    let url = args.worker.frontier.as_ref().context("there is no frontier")?;
    let database = Database::parse(url).map_err(usage)?;
    let options = WorkerOptions::new(&args);
    let opening = async {
        // Resuming may read a large file.
        let mut config = tokio::task::spawn_blocking(|| FetchConfig::check(args)).await?.map_err(usage)?;
        let store = FrontierStore::open(&database).await.map_err(usage)?;
        log_in(config.login.take(), &database, &config.scraper).await?;
        anyhow::Ok((config, store))
    };
    let (mut config, store) = tokio::select! {
        biased;
        signal = signals.next() => return Ok(Exit::Signal(signal)),
        opened = opening => opened?,
    };
    let cookies = config.cookies.take();
    let client = QueueClient::new(database, store, options.terms);
    let exit = run(options, config, client, GracefulShutdown::new(signals)).await;
    CookieFile::save_after(cookies, exit).await
}

/// Arguments that a worker needs besides [`FetchConfig`].
struct WorkerOptions {
    terms: ClaimTerms,
    concurrency: usize,
    follow: bool,
}

impl WorkerOptions {
    fn new(args: &FetchArgs) -> Self {
        let terms = ClaimTerms {
            lease: args.worker.lease(),
            limit_per_host: args.limit_per_host,
            delay: args.delay,
            obeys_robots: args.robots,
        };
        Self { terms, concurrency: args.concurrency, follow: args.worker.follow }
    }
}

async fn log_in(plan: Option<LoginPlan>, database: &Database, scraper: &Scraper) -> anyhow::Result<()> {
    let Some(plan) = plan else { return Ok(()) };
    let PreparedLogin { name, login } = plan.prepare(scraper).await?;
    Ok(scraper.login_with(login, SharedLogin::new(database.clone(), name)).await?)
}

async fn run(
    options: WorkerOptions,
    config: FetchConfig,
    client: QueueClient,
    shutdown: GracefulShutdown,
) -> anyhow::Result<Exit> {
    let FetchConfig { scraper, fail_fast, output, bodies, .. } = config;
    let WorkerOptions { terms, concurrency, follow } = options;
    let json = tokio::task::spawn_blocking(|| output.begin()).await??.0;
    let visitor = Visitor { scraper, bodies: bodies.map(Arc::new), obeys_robots: terms.obeys_robots };
    let settings = WorkerSettings { concurrency, lease: terms.lease, follow };
    let source = LeaseSource::new(settings, Arc::new(visitor), client);
    fetch::run(source, json, RunSettings { fail_fast, per_host: false }, shutdown).await
}
