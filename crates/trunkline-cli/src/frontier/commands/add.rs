//! `frontier add`: URLs from arguments and a file, in batches.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use url::Url;

use super::open;
use crate::ending::{Ending, Unusable};
use crate::frontier::address::Address;
use crate::frontier::args::Add;
use crate::frontier::store::{Backoff, Store, is_passing};
use crate::input::{Entry, Input, InputFile};
use crate::output::push_harmless;
use crate::session::check_url;
use crate::signals::Shutdown;
use crate::target;

/// The most URLs of a batch.
const BATCH: usize = 1_000;

/// A slow input is not waited for: what it has given is added.
const PATIENCE: Duration = Duration::from_millis(100);

/// Adds them all; a line that is no URL is a failure.
pub(super) async fn run(args: Add, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    let unusable = |error| Unusable::arguments(&error);
    for url in &args.urls {
        check_url(url).map_err(unusable)?;
    }
    let file = args.input.as_deref().map(InputFile::open).transpose().map_err(unusable)?;
    let (address, store) = open(&args.database).await?;
    let input = Input::start(args.urls, file, false)?;
    let mut adding = Adding { address, store: Some(store), input, batch: Batch::default(), tally: Tally::default() };
    let ended = tokio::select! {
        biased;
        signal = shutdown.next() => Ok(Ending::Signal(signal)),
        done = adding.run() => done.map(|()| Ending::Complete { failed: adding.tally.bad }),
    };
    // Also after a failure: what was added is on the frontier.
    let Tally { added, duplicates, bad } = adding.tally;
    say(&format!("{added} added, {duplicates} there already, {bad} unusable"));
    if let Some(store) = adding.store {
        store.close().await;
    }
    ended
}

struct Adding {
    address: Address,
    /// None after it has failed.
    store: Option<Store>,
    input: Input,
    batch: Batch,
    tally: Tally,
}

#[derive(Default)]
struct Batch {
    origins: Vec<String>,
    urls: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    added: u64,
    duplicates: u64,
    bad: u64,
}

impl Adding {
    async fn run(&mut self) -> anyhow::Result<()> {
        while !self.input.has_ended() {
            match timeout(PATIENCE, self.input.next()).await {
                Ok(Some(entry)) => self.take(entry),
                Ok(None) => {}
                Err(_) => self.send().await?,
            }
            if self.batch.urls.len() >= BATCH {
                self.send().await?;
            }
        }
        self.send().await
    }

    fn take(&mut self, entry: Entry) {
        let (place, reason) = match entry {
            Entry::Url(url) => match checked(&url.text) {
                Ok(parsed) => {
                    self.batch.origins.push(parsed.origin().ascii_serialization());
                    self.batch.urls.push(parsed.into());
                    return;
                }
                Err(reason) => (url.place.map(|place| format!("{place}: ")).unwrap_or_default(), reason),
            },
            Entry::Bad { place, reason } => (format!("{place}: "), reason),
        };
        self.tally.bad += 1;
        say(&format!("{place}{reason}"));
    }

    /// Adds what there is. A database that is away for a moment is waited for.
    async fn send(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !self.batch.urls.is_empty() {
            match self.try_to_send().await {
                Ok(added) => {
                    self.tally.added += added;
                    self.tally.duplicates += self.batch.urls.len() as u64 - added;
                    self.batch = Batch::default();
                }
                Err(error) if is_passing(&error) => {
                    let pause = backoff.next();
                    say(&format!("{error:#}; trying again in {pause:?}"));
                    self.store = None;
                    sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn try_to_send(&mut self) -> anyhow::Result<u64> {
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(Store::connect(&self.address).await?),
        };
        store.add(&self.batch.origins, &self.batch.urls).await
    }
}

/// As it is kept: as the session reads it, and without its fragment, which is for browsers.
fn checked(text: &str) -> Result<Url, String> {
    let mut url = target::parse(text)?;
    url.set_fragment(None);
    Ok(url)
}

fn say(line: &str) {
    let mut text = Vec::new();
    push_harmless(&mut text, line);
    text.push(b'\n');
    // Whoever closed standard error wants no messages.
    let _ = std::io::stderr().write_all(&text);
}
