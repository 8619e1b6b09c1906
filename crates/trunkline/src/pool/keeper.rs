//! Polls what no request polls: dials left behind, idle connections, their expiry, responses nobody
//! reads, leases held too long.
//!
//! One task for each pool and runtime. It begins when there is something to look after and ends a
//! second after the last of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::sync::Notify;

use super::cell::{Cell, Content, Dialed};
use super::key::{Key, Runtime};
use super::shell::{Keeping, Shell};
use super::state::{ADOPTION, SlotId};
use super::sync::{Mutex, lock};
use crate::connection::Connection;
use crate::stats::CloseReason;
use crate::timeouts;

type PoolShell = Shell<Key, Connection>;
type PoolCell = Cell<Key, Connection>;

/// How long a keeper stays with nothing to do.
const LINGER: Duration = Duration::from_secs(1);

/// The pool's keepers, by runtime.
#[derive(Debug, Default)]
pub(crate) struct Keepers {
    running: Mutex<Vec<(runtime::Id, Arc<Desk>)>>,
    /// P14.
    threshold: Option<Duration>,
    emptied: Notify,
}

/// What a keeper is told.
#[derive(Debug)]
struct Desk {
    inbox: Mutex<Inbox>,
    bell: Notify,
}

#[derive(Debug)]
struct Inbox {
    /// When the keeper looks around next, unless it is called.
    next_look: Instant,
    /// Cells whose content called.
    calls: Vec<SlotId>,
    /// Somebody asked for something since the keeper last looked.
    touched: bool,
}

impl Keepers {
    pub(crate) fn new(threshold: Option<Duration>) -> Self {
        Self { threshold, ..Self::default() }
    }

    pub(crate) fn threshold(&self) -> Option<Duration> {
        self.threshold
    }

    /// Resolves when a pool that drains owns no socket any more.
    pub(crate) fn emptied(&self) -> tokio::sync::futures::Notified<'_> {
        self.emptied.notified()
    }

    /// Has the runtime's keeper look around no later than `due`; `call` is what to poll then.
    pub(crate) fn look_by(
        self: &Arc<Self>,
        shell: &Arc<PoolShell>,
        runtime: &Runtime,
        due: Instant,
        call: Option<SlotId>,
    ) {
        let mut running = lock(&self.running);
        if let Some(desk) = find(&running, runtime) {
            return desk.call(due, call);
        }
        let inbox = Inbox { next_look: due, calls: call.into_iter().collect(), touched: true };
        let desk = Arc::new(Desk { inbox: Mutex::new(inbox), bell: Notify::new() });
        running.push((runtime.id(), desk.clone()));
        drop(running);
        let keeper =
            Keeper { keepers: self.clone(), shell: Arc::downgrade(shell), desk, runtime: runtime.clone(), done: false };
        // On a runtime that is gone the task is dropped at once, and its drop closes what was to be kept.
        runtime.handle().spawn(keeper.run());
    }
}

/// The shell's view of the keepers.
pub(crate) struct Watch(pub(crate) Arc<Keepers>);

/// Most pools are used by one runtime.
fn find<'a>(running: &'a [(runtime::Id, Arc<Desk>)], runtime: &Runtime) -> Option<&'a Arc<Desk>> {
    running.iter().find(|(id, _)| *id == runtime.id()).map(|(_, desk)| desk)
}

impl Keeping<Key, Connection> for Watch {
    fn is_watching(&self, key: &Key, now: Instant) -> bool {
        let running = lock(&self.0.running);
        find(&running, &key.runtime).is_some_and(|desk| lock(&desk.inbox).next_look <= now + ADOPTION)
    }

    fn tend(&self, shell: &Arc<PoolShell>, cell: &Arc<PoolCell>) {
        self.0.look_by(shell, &cell.key.runtime, timeouts::now(), Some(cell.slot));
    }

    fn idle(&self, shell: &Arc<PoolShell>, cell: &Arc<PoolCell>, now: Instant) {
        self.0.look_by(shell, &cell.key.runtime, now + ADOPTION, None);
    }

    fn emptied(&self) {
        self.0.emptied.notify_waiters();
    }
}

impl Desk {
    fn call(&self, due: Instant, call: Option<SlotId>) {
        let mut inbox = lock(&self.inbox);
        inbox.calls.extend(call);
        inbox.touched = true;
        if due < inbox.next_look || call.is_some() {
            inbox.next_look = inbox.next_look.min(due);
            drop(inbox);
            self.bell.notify_one();
        }
    }

    fn is_due(&self, next_look: &mut Instant) -> bool {
        let inbox = lock(&self.inbox);
        *next_look = inbox.next_look;
        !inbox.calls.is_empty() || inbox.next_look <= timeouts::now()
    }
}

/// Wakes the keeper for one cell.
struct Call {
    desk: Arc<Desk>,
    slot: SlotId,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.desk.inbox).calls.push(self.slot);
        self.desk.bell.notify_one();
    }
}

struct Keeper {
    keepers: Arc<Keepers>,
    /// Weak, so that a pool that everybody has dropped is gone.
    shell: Weak<PoolShell>,
    desk: Arc<Desk>,
    runtime: Runtime,
    done: bool,
}

impl Keeper {
    async fn run(mut self) {
        let mut last_work = timeouts::now();
        while let Some(mut next_look) = self.look_around(&mut last_work) {
            // The bell may bring the next look forward, or say that a cell called; else it is not time yet.
            while !self.desk.is_due(&mut next_look) {
                let _ = tokio::time::timeout_at(next_look.into(), self.desk.bell.notified()).await;
            }
        }
    }

    /// Does what is due. None when the keeper has been without work for long enough, or its pool is
    /// gone.
    fn look_around(&mut self, last_work: &mut Instant) -> Option<Instant> {
        let Some(shell) = self.shell.upgrade() else {
            self.done = true;
            return None;
        };
        let now = timeouts::now();
        let calls = {
            let mut inbox = lock(&self.desk.inbox);
            // Until the next look is known, every call rings.
            inbox.next_look = now + LINGER;
            inbox.touched = false;
            std::mem::take(&mut inbox.calls)
        };
        let mine = |key: &Key| key.runtime == self.runtime;
        let adopted = shell.event(|state, now| {
            state.expire(now);
            state.adopt(mine, now)
        });
        for slot in calls.into_iter().chain(adopted.slots) {
            self.poll(&shell, slot);
        }
        let leases = self.end_overdue(&shell, now);
        let held = self.report_held(&shell, now);
        let (unused, expiry) = shell.read(|state| (state.has_unused(mine), state.next_expiry()));
        if unused || leases.is_some() || held.is_some() {
            *last_work = now;
        }
        let end = *last_work + LINGER;
        let due = [adopted.next, expiry, leases, held, Some(end)].into_iter().flatten().min().unwrap_or(end);
        let mut running = lock(&self.keepers.running);
        let mut inbox = lock(&self.desk.inbox);
        if now >= end && inbox.calls.is_empty() && !inbox.touched {
            running.retain(|(id, _)| *id != self.runtime.id());
            self.done = true;
            return None;
        }
        inbox.next_look = inbox.next_look.min(due.max(now));
        Some(inbox.next_look)
    }

    /// Polls what the slot holds, if nobody uses it.
    fn poll(&self, shell: &Arc<PoolShell>, slot: SlotId) {
        let Some(cell) = shell.cell(slot) else { return };
        let waker = Waker::from(Arc::new(Call { desk: self.desk.clone(), slot }));
        let cx = &mut Context::from_waker(&waker);
        // Asked under the cell's lock: a request that takes the connection after this polls it after this.
        let found = cell.with(|inside| match &mut inside.content {
            Content::Open(connection) if shell.read(|state| state.is_unused(slot)) => {
                if connection.poll_resting(cx).is_ready() { Found::Dead } else { Found::Nothing }
            }
            Content::Dialing(_) if shell.read(|state| state.is_unused(slot)) => Found::Dial,
            _ => Found::Nothing,
        });
        match found {
            Found::Nothing => {}
            Found::Dead => shell.found_dead(&cell),
            // A caller's address filter may panic in it, and its request is no longer there to panic with: the other
            // connections are.
            Found::Dial => match catch_unwind(AssertUnwindSafe(|| shell.poll_dial(&cell, cx))) {
                Ok(Poll::Ready(Dialed::Open)) => drop(shell.dialed(&cell)),
                Ok(Poll::Ready(Dialed::Failed(error))) => {
                    tracing::debug!(target: "trunkline::pool", %error, "a dial left behind failed");
                    shell.dial_failed(slot);
                }
                Ok(Poll::Ready(Dialed::Elsewhere | Dialed::Ended(_)) | Poll::Pending) => {}
                Err(_) => shell.close_cell(&cell, CloseReason::Cancelled),
            },
        }
    }

    /// Ends the exchanges whose time is up, polled or not; tells when the next one's is.
    fn end_overdue(&self, shell: &Arc<PoolShell>, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for cell in shell.cells() {
            if cell.key.runtime != self.runtime {
                continue;
            }
            let due = shell.end_overdue(&cell, now);
            next = [next, due].into_iter().flatten().min();
        }
        next
    }

    /// P14. Tells when to look again.
    fn report_held(&self, shell: &Arc<PoolShell>, now: Instant) -> Option<Instant> {
        let threshold = self.keepers.threshold?;
        for (slot, held) in shell.event(|state, now| state.held_too_long(threshold, now)) {
            let Some(cell) = shell.cell(slot) else { continue };
            let (host, method) = (&cell.key.target, cell.method());
            tracing::warn!(target: "trunkline::pool", ?method, %host, ?held, "a connection has been held for long");
        }
        shell.read(|state| state.ledger().total.in_use > 0).then(|| now + (threshold / 4).clamp(ADOPTION, LINGER))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // The runtime is shutting down: nobody will poll its connections any more.
        lock(&self.keepers.running).retain(|(id, _)| *id != self.runtime.id());
        if let Some(shell) = self.shell.upgrade() {
            shell.event(|state, _| state.forsake(|key| key.runtime == self.runtime));
        }
    }
}

enum Found {
    Nothing,
    Dead,
    Dial,
}
