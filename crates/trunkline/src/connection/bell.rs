//! What the engine wakes: whoever drives the connection, and only while that one waits.
//!
//! Left to itself, the engine wakes its driver at nearly every step: handing it a request wakes it,
//! and so does taking an answer or a piece of a body from it. Here the driver is the one who does
//! all that, and who is going to poll it again before waiting. Woken while it runs, its task would
//! be polled once more for nothing, and another thread woken to do so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use atomic_waker::AtomicWaker;

#[derive(Clone, Debug)]
pub(super) struct Bell {
    driver: Arc<Driver>,
    /// It rings for the driver of the moment: the engine need not be told when that is another.
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

    /// Rings for this one from now on, until it has rung.
    pub(super) fn rings_for(&self, waker: &Waker) {
        self.driver.waker.register(waker);
    }

    /// Rings for nobody until it is told again. What happens meanwhile is found by the poll that
    /// follows.
    pub(super) fn hush(&self) {
        self.driver.waker.take();
    }

    /// Has it rung, for whomever, since this was last asked?
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
