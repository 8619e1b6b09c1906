//! `trunkline frontier`: feeds it and looks at it.

mod add;
mod retry;
mod status;

use std::time::Duration;

use tokio::time::timeout;

use crate::ending::{Ending, Unusable};
use crate::frontier::address::{Address, Given};
use crate::frontier::args::{Command, Frontier};
use crate::frontier::store::Store;
use crate::signals::Shutdown;

/// What the database has for its last answer once a signal has asked for the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Does what is asked.
///
/// # Errors
///
/// The arguments or the database cannot be used, or the database failed later.
pub(crate) async fn run(args: Frontier, shutdown: Shutdown) -> anyhow::Result<Ending> {
    match args.command {
        Command::Add(args) => add::run(args, shutdown).await,
        Command::Retry(args) => retry::run(args, shutdown).await,
        Command::Status(args) => status::run(args, shutdown).await,
    }
}

/// The frontier, as the arguments name it.
async fn open(database: &Given) -> anyhow::Result<(Address, Store)> {
    let address = database.check().map_err(|error| Unusable::arguments(&error))?;
    let store = Store::open(&address).await.map_err(|error| Unusable::arguments(&error))?;
    Ok((address, store))
}

/// The same, but none is made.
async fn open_existing(database: &Given) -> anyhow::Result<(Address, Store)> {
    let address = database.check().map_err(|error| Unusable::arguments(&error))?;
    let store = Store::open_existing(&address).await.map_err(|error| Unusable::arguments(&error))?;
    Ok((address, store))
}

/// What comes of it, or the signal that comes first.
async fn or_signal<T>(shutdown: &mut Shutdown, work: impl Future<Output = T>) -> Result<T, u8> {
    tokio::select! {
        biased;
        signal = shutdown.next() => Err(signal),
        done = work => Ok(done),
    }
}

/// Does that to its end: what the database has been asked for is to be counted. After a signal,
/// which comes out, it has a moment left for it.
async fn to_its_end(
    shutdown: &mut Shutdown,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Option<u8>> {
    let mut work = std::pin::pin!(work);
    let signal = match or_signal(shutdown, &mut work).await {
        Ok(done) => return done.map(|()| None),
        Err(signal) => signal,
    };
    if let Ok(Ok(done)) = or_signal(shutdown, timeout(FAREWELL, work)).await {
        done?;
    }
    Ok(Some(signal))
}
