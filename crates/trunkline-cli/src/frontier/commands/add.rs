//! `frontier add`: URLs from arguments and a file, in batches.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use url::Url;

use super::{open, or_signal, to_its_end};
use crate::ending::{Ending, Unusable};
use crate::failure;
use crate::frontier::address::{Address, Given};
use crate::frontier::args::Add;
use crate::frontier::store::{Backoff, Store, is_passing};
use crate::input::{Entry, Input, InputFile};
use crate::output::push_harmless;
use crate::session::check_url;
use crate::signals::Shutdown;
use crate::target;

/// The most URLs of a batch, and the most bytes, give or take a URL.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;

/// A slow input is not waited for: what it has given is added.
const PATIENCE: Duration = Duration::from_millis(100);

/// Adds them all; a line that is no URL is a failure.
pub(super) async fn run(args: Add, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    let unusable = |error| Unusable::arguments(&error);
    if args.database.check().is_err() && args.urls.iter().any(|url| Given::is_one(url)) {
        return Err(Unusable::error("the database comes first: `trunkline frontier add DATABASE [URL]...`"));
    }
    for url in &args.urls {
        check_url(url).map_err(unusable)?;
    }
    let file = args.input.as_deref().map(InputFile::open).transpose().map_err(unusable)?;
    let (address, store) = match or_signal(&mut shutdown, open(&args.database)).await {
        Ok(opened) => opened?,
        Err(signal) => return Ok(Ending::Signal(signal)),
    };
    let input = Input::start(args.urls, file, false)?;
    let mut adding = Adding { address, store: Some(store), input, batch: Batch::default(), tally: Tally::default() };
    let ended = adding.run(&mut shutdown).await;
    // Also after a failure: what was added is on the frontier.
    let Tally { added, duplicates, bad, unknown } = adding.tally;
    let unknown = if unknown > 0 { format!(", {unknown} perhaps") } else { String::new() };
    say(&format!("{added} added, {duplicates} there already, {bad} unusable{unknown}"));
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
    bytes: usize,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    added: u64,
    duplicates: u64,
    bad: u64,
    /// Sent, and no answer came.
    unknown: u64,
}

impl Adding {
    /// A signal is its end, though not before what has been sent is known to be there.
    async fn run(&mut self, shutdown: &mut Shutdown) -> anyhow::Result<Ending> {
        while !self.input.has_ended() {
            let is_slow = tokio::select! {
                biased;
                signal = shutdown.next() => return Ok(Ending::Signal(signal)),
                next = timeout(PATIENCE, self.input.next()) => match next {
                    Ok(entry) => {
                        entry.into_iter().for_each(|entry| self.take(entry));
                        false
                    }
                    Err(_) => true,
                },
            };
            let is_full = self.batch.urls.len() >= BATCH || self.batch.bytes >= BATCH_BYTES;
            if (is_slow || is_full || self.input.has_ended())
                && let Some(signal) = self.send(shutdown).await?
            {
                return Ok(Ending::Signal(signal));
            }
        }
        Ok(Ending::Complete { failed: self.tally.bad })
    }

    fn take(&mut self, entry: Entry) {
        let (place, reason) = match entry {
            Entry::Url(url) => match checked(&url.text) {
                Ok(parsed) => {
                    self.batch.origins.push(parsed.origin().ascii_serialization());
                    self.batch.bytes += parsed.as_str().len();
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

    /// Adds what there is. What comes out is the signal that has asked for the end meanwhile, if
    /// one has.
    async fn send(&mut self, shutdown: &mut Shutdown) -> anyhow::Result<Option<u8>> {
        let signal = to_its_end(shutdown, self.send_all()).await?;
        self.tally.unknown = self.batch.urls.len() as u64;
        Ok(signal)
    }

    /// A database that is away for a moment is waited for.
    async fn send_all(&mut self) -> anyhow::Result<()> {
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
                    say(&format!("{}; trying again in {pause:?}", failure::words(error.as_ref())));
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
