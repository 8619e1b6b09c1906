//! `frontier retry`: queues failed URLs again.

use super::{finish_within_limit, open_existing, or_signal};
use crate::args::RetryArgs;
use crate::exit::Exit;
use crate::frontier::store::FailedUrls;
use crate::output::print_note;
use crate::shutdown::Signals;
use crate::summary::Count;

/// Queues failed URLs in batches, until none is left or a signal comes.
pub(super) async fn run(args: RetryArgs, mut signals: Signals) -> anyhow::Result<Exit> {
    let RetryArgs { database, hosts, statuses } = args;
    let opening = async {
        let (_, mut store) = open_existing(&database).await?;
        // URLs that fail again meanwhile stay failed.
        let before = store.now().await?;
        anyhow::Ok((store, before))
    };
    let (mut store, before) = match or_signal(&mut signals, opening).await {
        Ok(opened) => opened?,
        Err(signal) => return Ok(Exit::Signal(signal)),
    };
    let failed = FailedUrls { hosts, statuses, before };
    let (mut again, mut batch) = (0, None);
    let ended = loop {
        let retrying = async {
            batch = store.retry(&failed).await?;
            again += batch.unwrap_or_default();
            Ok(())
        };
        match finish_within_limit(&mut signals, retrying).await {
            Ok(None) if batch.is_some() => {}
            Ok(None) => break Ok(Exit::Complete { failed: 0 }),
            Ok(Some(signal)) => break Ok(Exit::Signal(signal)),
            Err(error) => break Err(error),
        }
    };
    print_note(&format!("{} queued again", Count(again, "URL")));
    store.close().await;
    ended
}
