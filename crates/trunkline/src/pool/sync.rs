//! The lock of the shell: std's, or loom's where the tests check every interleaving.

#[cfg(not(trunkline_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(trunkline_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// Locks; a panic elsewhere while it was held leaves data that is still whole, since every section
/// under these locks is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
