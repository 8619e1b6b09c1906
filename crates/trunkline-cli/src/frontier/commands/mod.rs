//! `trunkline frontier`: feeds it and looks at it.

mod add;
mod status;

use crate::ending::{Ending, Unusable};
use crate::frontier::address::{Address, Given};
use crate::frontier::args::{Command, Frontier};
use crate::frontier::store::Store;
use crate::signals::Shutdown;

/// Does what is asked.
///
/// # Errors
///
/// The arguments or the database cannot be used, or the database failed later.
pub(crate) async fn run(args: Frontier, shutdown: Shutdown) -> anyhow::Result<Ending> {
    match args.command {
        Command::Add(args) => add::run(args, shutdown).await,
        Command::Status(args) => status::run(args, shutdown).await,
    }
}

/// The frontier, as the arguments name it.
async fn open(database: &Given) -> anyhow::Result<(Address, Store)> {
    let address = database.check().map_err(|error| Unusable::arguments(&error))?;
    let store = Store::open(&address).await.map_err(|error| Unusable::arguments(&error))?;
    Ok((address, store))
}
