//! `frontier retry`: failed URLs are queued once more.

use std::io::Write as _;

use super::{open_existing, or_signal, to_its_end};
use crate::count::Count;
use crate::ending::Ending;
use crate::frontier::args::Retry;
use crate::frontier::store::Failed;
use crate::signals::Shutdown;

/// Queues them, some at a time, until none is left or a signal comes.
pub(super) async fn run(args: Retry, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    let Retry { database, hosts, statuses } = args;
    let opening = async {
        let (_, mut store) = open_existing(&database).await?;
        // What fails again meanwhile stays as it is.
        let before = store.now().await?;
        anyhow::Ok((store, before))
    };
    let (mut store, before) = match or_signal(&mut shutdown, opening).await {
        Ok(opened) => opened?,
        Err(signal) => return Ok(Ending::Signal(signal)),
    };
    let failed = Failed { hosts, statuses, before };
    let (mut again, mut batch) = (0, None);
    let ended = loop {
        let retrying = async {
            batch = store.retry(&failed).await?;
            again += batch.unwrap_or_default();
            Ok(())
        };
        match to_its_end(&mut shutdown, retrying).await {
            Ok(None) if batch.is_some() => {}
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
