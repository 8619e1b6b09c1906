//! A worker from beginning to end.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::time::{Instant, timeout};
use trunkline_scrape::Scraper;

use super::desk::Desk;
use super::run::{self, Worker};
use super::visit::Visitor;
use crate::args::Fetch;
use crate::closing::Closing;
use crate::config::Config;
use crate::ending::{Ending, Unusable};
use crate::failure;
use crate::frontier::address::Address;
use crate::frontier::login::SharedLogin;
use crate::frontier::store::{Store, Terms};
use crate::login::{Plan, Prepared};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals::Shutdown;
use crate::summary::Summary;

/// What the last exchange with the database may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Works until nothing is left, prints the summary and, however it ended, writes the cookie file.
///
/// # Errors
///
/// The arguments or the database cannot be used, the login failed, the output or the cookie file
/// could not be written, or the database has failed for good.
pub(crate) async fn work(args: Fetch, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    let unusable = |error| Unusable::arguments(&error);
    let address = args.work.frontier.as_ref().context("there is no frontier")?.check().map_err(unusable)?;
    let job = Job::of(&args);
    let opened = async {
        // It may read a large file.
        let mut config = tokio::task::spawn_blocking(|| Config::check(args)).await?.map_err(unusable)?;
        let store = Store::open(&address).await.map_err(unusable)?;
        enter(config.login.take(), &address, &config.scraper).await?;
        anyhow::Ok((config, store))
    };
    let (mut config, store) = tokio::select! {
        biased;
        signal = shutdown.next() => return Ok(Ending::Signal(signal)),
        opened = opened => opened?,
    };
    let cookies = config.cookies.take();
    let desk = Desk::new(address, store, job.terms);
    let ending = run(job, config, desk, Closing::new(shutdown)).await;
    let Some(cookies) = cookies else { return ending };
    match (ending, cookies.save().await) {
        (Err(error), Err(also)) => Err(error.context(also)),
        (Ok(_), Err(error)) => Err(error),
        (ending, Ok(_)) => ending,
    }
}

/// What is not in [`Config`], because only a worker has to know it.
struct Job {
    terms: Terms,
    concurrency: usize,
    follow: bool,
}

impl Job {
    fn of(args: &Fetch) -> Self {
        let terms = Terms {
            lease: args.work.lease(),
            limit_per_host: args.limit_per_host,
            delay: args.delay,
            obeys_robots: args.robots,
        };
        Self { terms, concurrency: args.concurrency, follow: args.work.follow }
    }
}

async fn enter(plan: Option<Plan>, address: &Address, scraper: &Scraper) -> anyhow::Result<()> {
    let Some(plan) = plan else { return Ok(()) };
    let Prepared { name, login } = plan.prepare(scraper).await?;
    Ok(scraper.login_with(login, SharedLogin::new(address.clone(), name)).await?)
}

async fn run(job: Job, config: Config, desk: Desk, mut closing: Closing) -> anyhow::Result<Ending> {
    let Config { scraper, fail_fast, results, bodies, .. } = config;
    let session = scraper.session().clone();
    let Job { terms, concurrency, follow } = job;
    let json = tokio::task::spawn_blocking(|| results.begin()).await??.0;
    let (bodies, obeys_robots) = (bodies.map(Arc::new), terms.obeys_robots);
    let visitor = Arc::new(Visitor { scraper, bodies, obeys_robots });
    let plan = run::Plan { concurrency, fail_fast, lease: terms.lease, follow, progress: Progress::is_wanted() };
    let mut worker = Worker::new(plan, visitor, Output::start(json)?, desk);
    let begun = Instant::now();
    let worked = worker.run(&mut closing).await;
    worker.end().await;
    let end = async { (session.close_within(Duration::ZERO).await, worker.output.finish().await).1 };
    let written = match closing.last(end).await {
        Ok(written) => Some(written),
        Err(signal) => {
            worker.stop = signal.map(Ending::Signal).or(worker.stop);
            None
        }
    };
    let told = timeout(FAREWELL, worker.leave(matches!(written, Some(Ok(true))))).await;
    let told = told.unwrap_or_else(|_| Err(anyhow!("the database does not answer")));
    if let Err(error) = &told {
        say(format_args!("what is left is others' when the lease is over: {}", failure::words(error.as_ref())));
    }
    worked?;
    let is_signal = matches!(worker.stop, Some(Ending::Signal(_)));
    if !written.transpose()?.unwrap_or(true) && !is_signal {
        return Ok(Ending::PipeClosed);
    }
    say(format_args!("{}", Summary::new(worker.tally, begun.elapsed(), &session.stats())));
    Ok(worker.stop.unwrap_or(Ending::Complete { failed: worker.tally.failed }))
}

fn say(text: fmt::Arguments<'_>) {
    // Whoever closed standard error wants no messages.
    let _ = writeln!(std::io::stderr(), "{text}");
}
