//! Waker of the engine: wakes the task that drives the connection, but only while that task waits.
//!
//! The engine wakes its driver at nearly every step: when it gets a request, and when a response or
//! a frame of a body is taken from it. Here one task does all that, and polls the engine again
//! before it waits. A wake-up while that task runs would cause a useless poll on another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use atomic_waker::AtomicWaker;

#[derive(Clone, Debug)]
pub(super) struct Bell {
    driver: Arc<Driver>,
    /// Wakes the current driver. The engine keeps this waker when the driver changes.
    pub(super) waker: Waker,
}

#[derive(Debug, Default)]
struct Driver {
    waker: AtomicWaker,
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> Self {
        let driver = Arc::new(Driver::default());
        Self { waker: driver.clone().into(), driver }
    }

    /// Registers the waker of the current driver, until the bell has rung.
    pub(super) fn rings_for(&self, waker: &Waker) {
        self.driver.waker.register(waker);
    }

    /// Unregisters the driver. The poll that follows finds whatever happens meanwhile.
    pub(super) fn hush(&self) {
        self.driver.waker.take();
    }

    /// True if the bell has rung since the last call.
    pub(super) fn has_rung(&self) -> bool {
        self.driver.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}
