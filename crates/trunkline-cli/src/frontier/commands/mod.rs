//! `trunkline frontier`: adds URLs, shows the status, and queues failed URLs again.

mod add;
mod retry;
mod status;

use std::time::Duration;

use tokio::time::timeout;

use crate::args::{DatabaseUrl, FrontierArgs, FrontierCommand};
use crate::exit::{Exit, UsageError};
use crate::frontier::database::Database;

use crate::frontier::store::FrontierStore;
use crate::shutdown::Signals;

/// Time limit of the last query after a signal.
const LAST_QUERY: Duration = Duration::from_secs(5);

/// Runs a command of the frontier.
///
/// # Errors
///
/// The arguments or the database cannot be used, or the database failed later.
pub(crate) async fn run(args: FrontierArgs, signals: Signals) -> anyhow::Result<Exit> {
    match args.command {
        FrontierCommand::Add(args) => add::run(args, signals).await,
        FrontierCommand::Retry(args) => retry::run(args, signals).await,
        FrontierCommand::Status(args) => status::run(args, signals).await,
    }
}

/// Opens the frontier, and creates its tables if they do not exist.
async fn open(url: &DatabaseUrl) -> anyhow::Result<(Database, FrontierStore)> {
    let database = Database::parse(url).map_err(|error| UsageError::from_error(&error))?;
    let store = FrontierStore::open(&database).await.map_err(|error| UsageError::from_error(&error))?;
    Ok((database, store))
}

/// Opens an existing frontier.
async fn open_existing(url: &DatabaseUrl) -> anyhow::Result<(Database, FrontierStore)> {
    let database = Database::parse(url).map_err(|error| UsageError::from_error(&error))?;
    let store = FrontierStore::open_existing(&database).await.map_err(|error| UsageError::from_error(&error))?;
    Ok((database, store))
}

/// Result of the work, or the number of the signal that comes first.
async fn or_signal<T>(signals: &mut Signals, work: impl Future<Output = T>) -> Result<T, u8> {
    tokio::select! {
        biased;
        signal = signals.next() => Err(signal),
        done = work => Ok(done),
    }
}

/// Finishes the work, so that its effect on the database is counted. After a signal, whose number
/// is returned, the work has a time limit.
async fn finish_within_limit(
    signals: &mut Signals,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Option<u8>> {
    let mut work = std::pin::pin!(work);
    let signal = match or_signal(signals, &mut work).await {
        Ok(done) => return done.map(|()| None),
        Err(signal) => signal,
    };
    if let Ok(Ok(done)) = or_signal(signals, timeout(LAST_QUERY, work)).await {
        done?;
    }
    Ok(Some(signal))
}
