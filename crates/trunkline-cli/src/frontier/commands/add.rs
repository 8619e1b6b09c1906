//! `frontier add`: adds URLs of the arguments and a file, in batches.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use url::Url;

use super::{finish_within_limit, open, or_signal};
use crate::args::AddArgs;
use crate::error_text;
use crate::exit::{Exit, UsageError};
use crate::frontier::database::{Database, is_postgres_url};
use crate::frontier::store::{Backoff, FrontierStore, is_passing};
use crate::input::{Input, InputEntry, InputFile};
use crate::options::check_url;
use crate::output::print_note;
use crate::shutdown::Signals;
use crate::url_argument;

/// Size at which a batch is full, in URLs and in bytes.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;

/// Time limit of waiting for the next URL of a slow input; then the batch is sent.
const INPUT_WAIT: Duration = Duration::from_millis(100);

/// Adds all URLs. A line that is not a URL is a failure.
pub(super) async fn run(args: AddArgs, mut signals: Signals) -> anyhow::Result<Exit> {
    let unusable = |error| UsageError::from_error(&error);
    if Database::parse(&args.database).is_err() && args.urls.iter().any(|url| is_postgres_url(url)) {
        return Err(UsageError::with_message("the database comes first: `trunkline frontier add DATABASE [URL]...`"));
    }
    for url in &args.urls {
        check_url(url).map_err(unusable)?;
    }
    let file = args.input.as_deref().map(InputFile::open).transpose().map_err(unusable)?;
    let (database, store) = match or_signal(&mut signals, open(&args.database)).await {
        Ok(opened) => opened?,
        Err(signal) => return Ok(Exit::Signal(signal)),
    };
    let input = Input::start(args.urls, file, false)?;
    let mut adding =
        AddRun { database, store: Some(store), input, batch: AddBatch::default(), counts: AddCounts::default() };
    let ended = adding.run(&mut signals).await;
    // Printed after a failure as well, because the URLs of earlier batches were added.
    let AddCounts { added, duplicates, bad, unknown } = adding.counts;
    let unknown = if unknown > 0 { format!(", {unknown} perhaps") } else { String::new() };
    print_note(&format!("{added} added, {duplicates} there already, {bad} unusable{unknown}"));
    if let Some(store) = adding.store {
        store.close().await;
    }
    ended
}

struct AddRun {
    database: Database,
    /// `None` after a failure.
    store: Option<FrontierStore>,
    input: Input,
    batch: AddBatch,
    counts: AddCounts,
}

#[derive(Default)]
struct AddBatch {
    origins: Vec<String>,
    urls: Vec<String>,
    bytes: usize,
}

#[derive(Clone, Copy, Default)]
struct AddCounts {
    added: u64,
    duplicates: u64,
    bad: u64,
    /// URLs that were sent without an answer.
    unknown: u64,
}

impl AddRun {
    /// Adds URLs until the input ends or a signal comes. A batch that was sent is finished first.
    async fn run(&mut self, signals: &mut Signals) -> anyhow::Result<Exit> {
        while !self.input.has_ended() {
            let is_slow = tokio::select! {
                biased;
                signal = signals.next() => return Ok(Exit::Signal(signal)),
                next = timeout(INPUT_WAIT, self.input.next()) => match next {
                    Ok(entry) => {
                        entry.into_iter().for_each(|entry| self.take(entry));
                        false
                    }
                    Err(_) => true,
                },
            };
            let is_full = self.batch.urls.len() >= BATCH || self.batch.bytes >= BATCH_BYTES;
            if (is_slow || is_full || self.input.has_ended())
                && let Some(signal) = self.send(signals).await?
            {
                return Ok(Exit::Signal(signal));
            }
        }
        Ok(Exit::Complete { failed: self.counts.bad })
    }

    fn take(&mut self, entry: InputEntry) {
        let (location, reason) = match entry {
            InputEntry::Url(url) => match checked(&url.text) {
                Ok(parsed) => {
                    self.batch.origins.push(parsed.origin().ascii_serialization());
                    self.batch.bytes += parsed.as_str().len();
                    self.batch.urls.push(parsed.into());
                    return;
                }
                Err(reason) => (url.location.map(|location| format!("{location}: ")).unwrap_or_default(), reason),
            },
            InputEntry::Bad { location, reason } => (format!("{location}: "), reason),
        };
        self.counts.bad += 1;
        print_note(&format!("{location}{reason}"));
    }

    /// Sends the batch. Returns the signal that came meanwhile.
    async fn send(&mut self, signals: &mut Signals) -> anyhow::Result<Option<u8>> {
        let signal = finish_within_limit(signals, self.send_all()).await?;
        self.counts.unknown = self.batch.urls.len() as u64;
        Ok(signal)
    }

    /// Sends the batch, again after a temporary failure of the database.
    async fn send_all(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !self.batch.urls.is_empty() {
            match self.try_to_send().await {
                Ok(added) => {
                    self.counts.added += added;
                    self.counts.duplicates += self.batch.urls.len() as u64 - added;
                    self.batch = AddBatch::default();
                }
                Err(error) if is_passing(&error) => {
                    let pause = backoff.next();
                    print_note(&format!("{}; trying again in {pause:?}", error_text::describe(error.as_ref())));
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
            None => self.store.insert(FrontierStore::connect(&self.database).await?),
        };
        store.add(&self.batch.origins, &self.batch.urls).await
    }
}

/// Parses a URL into the form of the frontier, without its fragment.
fn checked(text: &str) -> Result<Url, String> {
    let mut url = url_argument::parse(text)?;
    url.set_fragment(None);
    Ok(url)
}
