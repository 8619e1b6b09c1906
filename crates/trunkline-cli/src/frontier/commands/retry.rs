//! `frontier retry`: failed URLs are queued once more.

use std::io::Write as _;

use super::{open_existing, or_signal, to_its_end};
use crate::count::Count;
use crate::ending::Ending;
use crate::frontier::args::Retry;
use crate::frontier::store::{Failed, Store};
use crate::signals::Shutdown;

/// Queues them, some at a time, until none is left or a signal comes.
pub(super) async fn run(args: Retry, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    let Retry { database, hosts, statuses } = args;
    let (_, mut store) = match or_signal(&mut shutdown, open_existing(&database)).await {
        Ok(opened) => opened?,
        Err(signal) => return Ok(Ending::Signal(signal)),
    };
    // What fails again meanwhile stays as it is.
    let failed = Failed { hosts, statuses, before: store.now().await? };
    let mut again = 0;
    let ended = loop {
        let before = again;
        let signal = to_its_end(&mut shutdown, retry(&mut store, &failed, &mut again)).await;
        match signal {
            Ok(None) if again > before => {}
            Ok(None) => break Ok(Ending::Complete { failed: 0 }),
            Ok(Some(signal)) => break Ok(Ending::Signal(signal)),
            Err(error) => break Err(error),
        }
    };
    // Whoever closed standard error wants no messages.
    let _ = writeln!(std::io::stderr(), "{} queued again", Count(again, "URL"));
    store.close().await;
    ended
}

async fn retry(store: &mut Store, failed: &Failed, again: &mut u64) -> anyhow::Result<()> {
    *again += store.retry(failed).await?;
    Ok(())
}
