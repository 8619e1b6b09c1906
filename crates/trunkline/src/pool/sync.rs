//! Lock of the pool: std's, or loom's in the model tests.

#[cfg(not(trunkline_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(trunkline_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// Locks, also after a panic in a holder: no section under these locks leaves its data incomplete.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
