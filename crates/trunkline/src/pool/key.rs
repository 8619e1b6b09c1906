//! Key of a connection: its target, and the runtime that drives it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tokio::runtime::{self, Handle};

use super::state::PoolKey;
use crate::connection::Target;
use crate::error::{Error, Result};

/// Requests with equal keys may share a connection. TLS settings are no part of it: the pool has
/// one set for all its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) target: Target,
    pub(crate) runtime: Runtime,
}

impl PoolKey for Key {
    type Host = (Arc<str>, u16);

    fn host(&self) -> Self::Host {
        (self.target.host.clone(), self.target.port)
    }
}

/// A tokio runtime. A socket wakes only while the runtime that it is registered with runs.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    id: runtime::Id,
}

impl Runtime {
    pub(crate) fn current() -> Result<Self> {
        let handle = Handle::try_current()
            .map_err(|error| Error::input("a request needs a tokio runtime to be sent in").because(error))?;
        let id = handle.id();
        Ok(Self { handle, id })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn id(&self) -> runtime::Id {
        self.id
    }
}

impl PartialEq for Runtime {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Runtime {}

impl Hash for Runtime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
