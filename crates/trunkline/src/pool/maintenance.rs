//! Maintenance task: drives what no request polls, namely orphaned dials, idle connections and
//! their expiry, the limits of exchanges, and reports of leases held too long.
//!
//! One task for each pool and runtime. It begins with the first such work and ends a second after
//! the last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::Notify;

use super::connection_slot::{ConnectionSlot, DialOutcome, SlotContent};
use super::key::{Key, Runtime};
use super::shared::{Maintainer, SharedState};
use super::state::{SlotId, WATCH_DELAY};
use super::sync::{Mutex, lock};
use crate::connection::Connection;
use crate::stats::CloseReason;
use crate::timeouts;

type PoolShared = SharedState<Key, Connection>;
type PoolSlot = ConnectionSlot<Key, Connection>;

/// Time for which a maintenance task runs on without work.
const LINGER: Duration = Duration::from_secs(1);

/// Maintenance of a pool: its running tasks, by runtime.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    /// A program has few runtimes, so a scan finds one fast.
    running: Mutex<Vec<(runtime::Id, Arc<MaintenanceQueue>)>>,
    /// Age from which a lease is reported (P14).
    held_threshold: Option<Duration>,
    emptied: Notify,
}

/// Work of a maintenance task that is due.
#[derive(Debug)]
struct MaintenanceQueue {
    queued: Mutex<QueuedWork>,
    changed: Notify,
}

#[derive(Debug)]
struct QueuedWork {
    /// Time of the next run, unless a slot is woken earlier.
    next_run: Instant,
    /// Slots to poll: their content was woken.
    slots: Vec<SlotId>,
    /// True if work was queued since the last run began.
    touched: bool,
}

impl Maintenance {
    pub(crate) fn new(held_threshold: Option<Duration>) -> Self {
        Self { held_threshold, ..Self::default() }
    }

    pub(crate) fn held_threshold(&self) -> Option<Duration> {
        self.held_threshold
    }

    /// Resolves when a pool that drains owns no socket any more.
    pub(crate) fn emptied(&self) -> tokio::sync::futures::Notified<'_> {
        self.emptied.notified()
    }

    /// Has the runtime's task run no later than `due`, and poll `slot` then.
    pub(crate) fn run_by(
        self: &Arc<Self>,
        shared: &Arc<PoolShared>,
        runtime: &Runtime,
        due: Instant,
        slot: Option<SlotId>,
    ) {
        let mut running = lock(&self.running);
        if let Some(queue) = find(&running, runtime) {
            return queue.push(due, slot);
        }
        let queued = QueuedWork { next_run: due, slots: slot.into_iter().collect(), touched: true };
        let queue = Arc::new(MaintenanceQueue { queued: Mutex::new(queued), changed: Notify::new() });
        running.push((runtime.id(), queue.clone()));
        drop(running);
        let (maintenance, shared) = (self.clone(), Arc::downgrade(shared));
        let task = MaintenanceTask { maintenance, shared, queue, runtime: runtime.clone(), done: false };
        // A runtime that is gone drops the task at once; its drop closes the unused connections.
        runtime.handle().spawn(task.run());
    }
}

fn find<'a>(
    running: &'a [(runtime::Id, Arc<MaintenanceQueue>)],
    runtime: &Runtime,
) -> Option<&'a Arc<MaintenanceQueue>> {
    running.iter().find(|(id, _)| *id == runtime.id()).map(|(_, queue)| queue)
}

impl Maintainer<Key, Connection> for Arc<Maintenance> {
    fn is_watching(&self, key: &Key, now: Instant) -> bool {
        let running = lock(&self.running);
        find(&running, &key.runtime).is_some_and(|queue| lock(&queue.queued).next_run <= now + WATCH_DELAY)
    }

    fn drive(&self, shared: &Arc<PoolShared>, slot: &Arc<PoolSlot>) {
        self.run_by(shared, &slot.key.runtime, timeouts::now(), Some(slot.id));
    }

    fn watch(&self, shared: &Arc<PoolShared>, slot: &Arc<PoolSlot>, now: Instant) {
        self.run_by(shared, &slot.key.runtime, now + WATCH_DELAY, None);
    }

    fn emptied(&self) {
        self.emptied.notify_waiters();
    }
}

impl MaintenanceQueue {
    fn push(&self, due: Instant, slot: Option<SlotId>) {
        let mut queued = lock(&self.queued);
        queued.slots.extend(slot);
        queued.touched = true;
        if due < queued.next_run || slot.is_some() {
            queued.next_run = queued.next_run.min(due);
            drop(queued);
            self.changed.notify_one();
        }
    }

    fn is_due(&self, next_run: &mut Instant) -> bool {
        let queued = lock(&self.queued);
        *next_run = queued.next_run;
        !queued.slots.is_empty() || queued.next_run <= timeouts::now()
    }
}

/// Waker of one slot's content: has the task poll that slot.
struct SlotWaker {
    queue: Arc<MaintenanceQueue>,
    slot: SlotId,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.queue.queued).slots.push(self.slot);
        self.queue.changed.notify_one();
    }
}

struct MaintenanceTask {
    maintenance: Arc<Maintenance>,
    /// Weak, so that the task does not keep a dropped pool.
    shared: Weak<PoolShared>,
    queue: Arc<MaintenanceQueue>,
    runtime: Runtime,
    /// True after a regular end.
    done: bool,
}

impl MaintenanceTask {
    async fn run(mut self) {
        let mut last_work = timeouts::now();
        while let Some(mut next_run) = self.run_once(&mut last_work) {
            // A notification may bring the next run forward or name a slot, or neither.
            while !self.queue.is_due(&mut next_run) {
                let _ = tokio::time::timeout_at(next_run.into(), self.queue.changed.notified()).await;
            }
        }
    }

    /// Does the work that is due. Returns the time of the next run, or None when the task has had
    /// no work for [`LINGER`] or its pool is gone.
    fn run_once(&mut self, last_work: &mut Instant) -> Option<Instant> {
        let Some(shared) = self.shared.upgrade() else {
            self.done = true;
            return None;
        };
        let now = timeouts::now();
        let woken = {
            let mut queued = lock(&self.queue.queued);
            // The next run is unknown before the end of this one: a push of earlier work notifies.
            queued.next_run = now + LINGER;
            queued.touched = false;
            std::mem::take(&mut queued.slots)
        };
        let is_own = |key: &Key| key.runtime == self.runtime;
        let watched = shared.event(|state, now| {
            state.expire(now);
            state.watch(is_own, now)
        });
        for slot in woken.into_iter().chain(watched.slots) {
            self.poll(&shared, slot);
        }
        let limits = self.end_overdue(&shared, now);
        let held = self.report_held(&shared, now);
        let (unused, expiry) = shared.read(|state| (state.has_unused(is_own), state.next_expiry()));
        if unused || limits.is_some() || held.is_some() {
            *last_work = now;
        }
        self.next_run(now, *last_work + LINGER, [watched.next, expiry, limits, held])
    }

    /// Time of the next run, or None if the task ends now.
    fn next_run(&mut self, now: Instant, end: Instant, due: [Option<Instant>; 4]) -> Option<Instant> {
        let due = due.into_iter().flatten().fold(end, Instant::min);
        let mut running = lock(&self.maintenance.running);
        let mut queued = lock(&self.queue.queued);
        if now >= end && queued.slots.is_empty() && !queued.touched {
            running.retain(|(id, _)| *id != self.runtime.id());
            self.done = true;
            return None;
        }
        queued.next_run = queued.next_run.min(due.max(now));
        Some(queued.next_run)
    }

    /// Polls the slot's content, unless a request uses it.
    fn poll(&self, shared: &Arc<PoolShared>, id: SlotId) {
        let Some(slot) = shared.slot(id) else { return };
        let waker = Waker::from(Arc::new(SlotWaker { queue: self.queue.clone(), slot: id }));
        let cx = &mut Context::from_waker(&waker);
        // `is_unused` is asked under the slot's lock: a request that takes the connection next also
        // polls it next, and so replaces this waker.
        let is_unused = || shared.read(|state| state.is_unused(id));
        let work = slot.with(|inner| match &mut inner.content {
            SlotContent::Open(connection) if is_unused() => {
                if connection.poll_resting(cx).is_ready() {
                    SlotWork::PeerClosed
                } else {
                    SlotWork::None
                }
            }
            SlotContent::Dialing(_) if is_unused() => SlotWork::Dial,
            _ => SlotWork::None,
        });
        match work {
            SlotWork::None => {}
            SlotWork::PeerClosed => shared.peer_closed(&slot),
            SlotWork::Dial => Self::poll_dial(shared, &slot, cx),
        }
    }

    fn poll_dial(shared: &Arc<PoolShared>, slot: &PoolSlot, cx: &mut Context<'_>) {
        // A caller's address filter may panic in the dial. Its request is gone, and the panic must
        // not end the task that other connections need.
        match catch_unwind(AssertUnwindSafe(|| shared.poll_dial(slot, cx))) {
            Ok(Poll::Ready(DialOutcome::Open)) => drop(shared.dialed(slot)),
            Ok(Poll::Ready(DialOutcome::Failed(error))) => {
                tracing::debug!(target: "trunkline::pool", error = error.in_one_line(), "a dial without a request failed");
                shared.dial_failed(slot.id);
            }
            Ok(Poll::Ready(DialOutcome::NoDial | DialOutcome::Ended(_)) | Poll::Pending) => {}
            Err(_) => shared.close_slot(slot, CloseReason::Cancelled),
        }
    }

    /// Ends the exchanges that have passed a limit, polled or not. Returns the time of the next
    /// check.
    fn end_overdue(&self, shared: &Arc<PoolShared>, now: Instant) -> Option<Instant> {
        let slots = shared.slots().into_iter().filter(|slot| slot.key.runtime == self.runtime);
        slots.filter_map(|slot| shared.end_overdue(&slot, now)).min()
    }

    /// P14: reports leases held too long. Returns the time of the next check.
    fn report_held(&self, shared: &Arc<PoolShared>, now: Instant) -> Option<Instant> {
        let threshold = self.maintenance.held_threshold?;
        for (id, held) in shared.event(|state, now| state.held_too_long(threshold, now)) {
            let Some(slot) = shared.slot(id) else { continue };
            let (host, method) = (&slot.key.target, slot.method());
            tracing::warn!(target: "trunkline::pool", ?method, %host, ?held, "a connection has been held for long");
        }
        shared.read(|state| state.metrics().total.in_use > 0).then(|| now + (threshold / 4).clamp(WATCH_DELAY, LINGER))
    }
}

impl Drop for MaintenanceTask {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // The runtime shuts down: no task polls its connections any more.
        lock(&self.maintenance.running).retain(|(id, _)| *id != self.runtime.id());
        if let Some(shared) = self.shared.upgrade() {
            shared.event(|state, _| state.close_runtime(|key| key.runtime == self.runtime));
        }
    }
}

/// Work that a check of a slot leaves to be done outside the slot's lock.
enum SlotWork {
    None,
    PeerClosed,
    Dial,
}
