//! Harness for the state: requests and sockets by number, and a clock that the test sets.
//!
//! It carries out the state's actions as `SharedState` does: a socket that is to be closed is
//! dropped first and reported then.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::site::{A, Site, ms};
use crate::pool::state::{Action, Checkout, Owner, Replacement, Rules, SlotId, Standing, State, TicketId};
use crate::stats::CloseReason;

/// Number of a request, in order of arrival.
pub(super) type Request = usize;

/// Status of a request as the test sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestStatus {
    Waiting,
    /// It has a permit to dial, and uses it when it is polled.
    Dialing,
    /// It was granted a connection and has not claimed it yet.
    Granted,
    /// It has its connection; `reused` if that was in the pool before.
    Leased {
        reused: bool,
    },
    Refused,
    /// Its dial failed.
    Failed,
    Gone,
}

use RequestStatus::{Dialing, Failed, Gone, Granted, Leased, Refused, Waiting};

pub(super) const REUSED: RequestStatus = Leased { reused: true };
pub(super) const FRESH: RequestStatus = Leased { reused: false };

#[derive(Clone, Copy, Debug)]
enum RequestState {
    Queued(TicketId),
    Leased(SlotId, bool),
    Ended(RequestStatus),
}

pub(super) struct Harness {
    pub(super) state: State<Site>,
    pub(super) now: Instant,
    pub(super) log: Vec<Action>,
    begun: Instant,
    requests: Vec<RequestState>,
    /// Every socket, dials included.
    sockets: BTreeSet<SlotId>,
    /// Requested closes that are not carried out yet: see [`hold_closes`](Self::hold_closes).
    held: Option<BTreeSet<SlotId>>,
    keeps_aborted: bool,
}

impl Harness {
    pub(super) fn new(rules: Rules) -> Self {
        let now = Instant::now();
        Self {
            state: State::new(rules),
            now,
            log: Vec::new(),
            begun: now,
            requests: Vec::new(),
            sockets: BTreeSet::new(),
            held: None,
            keeps_aborted: false,
        }
    }

    /// Sets the clock to `time` milliseconds after the start.
    pub(super) fn at(&mut self, time: u64) -> &mut Self {
        self.now = self.begun + ms(time);
        self
    }

    pub(super) fn arrive(&mut self, key: Site) -> Request {
        self.arrive_for(key, 1)
    }

    pub(super) fn arrive_for(&mut self, key: Site, owner: Owner) -> Request {
        self.enter(key, owner, false)
    }

    /// A later exchange of a request that began before the close.
    pub(super) fn arrive_under_way(&mut self, key: Site) -> Request {
        self.enter(key, 1, true)
    }

    fn enter(&mut self, key: Site, owner: Owner, under_way: bool) -> Request {
        let entry = match self.state.checkout(&key, owner, under_way, self.now) {
            Checkout::Reuse(slot) => RequestState::Leased(slot, true),
            Checkout::Queued(ticket) => RequestState::Queued(ticket),
            Checkout::Closed => RequestState::Ended(Refused),
        };
        self.requests.push(entry);
        self.carry_out();
        self.poll(self.requests.len() - 1);
        self.requests.len() - 1
    }

    pub(super) fn status(&self, request: Request) -> RequestStatus {
        match self.requests[request] {
            RequestState::Queued(ticket) => match self.state.standing(ticket) {
                Standing::Waiting => Waiting,
                Standing::Dialing(_) => Dialing,
                Standing::Granted(_) => Granted,
                Standing::Closed => Refused,
            },
            RequestState::Leased(_, reused) => Leased { reused },
            RequestState::Ended(how) => how,
        }
    }

    /// Slot that the request dials in, was granted or holds.
    pub(super) fn slot(&self, request: Request) -> SlotId {
        match self.requests[request] {
            RequestState::Queued(ticket) => match self.state.standing(ticket) {
                Standing::Dialing(slot) | Standing::Granted(slot) => slot,
                standing => panic!("no slot: {standing:?}"),
            },
            RequestState::Leased(slot, _) => slot,
            RequestState::Ended(how) => panic!("no slot: {how:?}"),
        }
    }

    /// Polls the request: it begins its dial, or claims its connection.
    pub(super) fn poll(&mut self, request: Request) -> RequestStatus {
        if let RequestState::Queued(ticket) = self.requests[request] {
            match self.state.standing(ticket) {
                Standing::Granted(slot) => {
                    self.state.claim(ticket);
                    self.requests[request] = RequestState::Leased(slot, true);
                }
                Standing::Closed => {
                    self.state.claim(ticket);
                    self.requests[request] = RequestState::Ended(Refused);
                }
                Standing::Dialing(slot) => {
                    if self.sockets.insert(slot) {
                        assert!(self.state.begin_dial(ticket, slot, self.now));
                    }
                }
                Standing::Waiting => {}
            }
            self.carry_out();
        }
        self.status(request)
    }

    /// Completes the request's own dial.
    pub(super) fn connects(&mut self, request: Request) {
        self.poll(request);
        let slot = self.slot(request);
        assert!(self.finish_dial(slot), "the request that dialed has the connection");
        self.requests[request] = RequestState::Leased(slot, false);
    }

    /// Completes a dial. True if the request that dialed has the connection.
    pub(super) fn finish_dial(&mut self, slot: SlotId) -> bool {
        let is_own = self.state.dialed(slot, self.now);
        self.carry_out();
        is_own
    }

    /// Fails a dial. True if the request fails with it.
    pub(super) fn fail_dial(&mut self, slot: SlotId) -> bool {
        self.sockets.remove(&slot);
        let is_own = self.state.dial_failed(slot, self.now);
        self.carry_out();
        is_own
    }

    /// Fails the request's own dial, and the request with it.
    pub(super) fn fails(&mut self, request: Request) {
        self.poll(request);
        let slot = self.slot(request);
        assert!(self.fail_dial(slot), "the request that dialed fails");
        self.requests[request] = RequestState::Ended(Failed);
    }

    /// Ends the exchange, with the connection fit for another.
    pub(super) fn finish(&mut self, request: Request) {
        self.finish_hinted(request, None);
    }

    pub(super) fn finish_hinted(&mut self, request: Request, keep_alive: Option<Duration>) {
        let slot = self.leave(request);
        if !self.state.returned(slot, keep_alive, self.now) {
            self.drop_socket(slot, CloseReason::Aborted);
        }
        self.carry_out();
    }

    /// Ends the exchange and its connection.
    pub(super) fn end(&mut self, request: Request, reason: CloseReason) {
        let slot = self.leave(request);
        self.drop_socket(slot, reason);
        self.carry_out();
    }

    fn leave(&mut self, request: Request) -> SlotId {
        let RequestState::Leased(slot, _) = self.requests[request] else { panic!("it has no connection") };
        self.requests[request] = RequestState::Ended(Gone);
        slot
    }

    /// Drops the request before it has a connection.
    pub(super) fn cancel(&mut self, request: Request) {
        let RequestState::Queued(ticket) = self.requests[request] else { panic!("it is not queued") };
        self.requests[request] = RequestState::Ended(Gone);
        self.state.cancel(ticket, self.now);
        self.carry_out();
    }

    pub(super) fn event<R>(&mut self, f: impl FnOnce(&mut State<Site>, Instant) -> R) -> R {
        let result = f(&mut self.state, self.now);
        self.carry_out();
        result
    }

    /// Makes an idle connection for each of these keys, in this order.
    pub(super) fn warm(&mut self, keys: &[Site]) {
        let requests: Vec<_> = keys.iter().map(|&key| self.arrive(key)).collect();
        for &request in &requests {
            self.connects(request);
        }
        for request in requests {
            self.finish(request);
        }
    }

    /// Makes a request with a connection of its own.
    pub(super) fn lease(&mut self, key: Site) -> Request {
        let request = self.lease_for(key, 1);
        assert!(matches!(self.status(request), Leased { .. }), "{:?}", self.status(request));
        request
    }

    pub(super) fn lease_for(&mut self, key: Site, owner: Owner) -> Request {
        let request = self.arrive_for(key, owner);
        if self.status(request) == Dialing {
            self.connects(request);
        }
        request
    }

    /// Replaces the request's connection, found dead before it is used (P10).
    pub(super) fn replaces(&mut self, request: Request) -> Replacement {
        let slot = self.slot(request);
        let replacement = self.state.replace(slot, CloseReason::PeerClosed, self.now);
        match replacement {
            Replacement::Reuse(other) => {
                self.sockets.remove(&slot);
                self.requests[request] = RequestState::Leased(other, true);
            }
            Replacement::Closed => drop(self.sockets.remove(&slot)),
            Replacement::Dial => {}
        }
        self.carry_out();
        replacement
    }

    /// Keeps the sockets of aborted leases from now on, until the test drops them.
    pub(super) fn keep_aborted(&mut self) {
        self.keeps_aborted = true;
    }

    /// Removes a socket whose end the test itself reports.
    pub(super) fn forget(&mut self, slot: SlotId) {
        self.sockets.remove(&slot);
    }

    /// Defers all closes from now on until [`carry_out_closes`](Self::carry_out_closes).
    pub(super) fn hold_closes(&mut self) {
        self.held.get_or_insert_default();
    }

    pub(super) fn carry_out_closes(&mut self) {
        for slot in self.held.take().unwrap_or_default() {
            self.drop_socket(slot, CloseReason::Closed);
        }
        self.carry_out();
    }

    /// Actions of the state since the last call.
    pub(super) fn take_log(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn closed(&self, reason: CloseReason) -> u64 {
        self.state.metrics().closed[reason as usize]
    }

    pub(super) fn open(&self) -> usize {
        self.state.metrics().total.open()
    }

    /// Ends every request and socket, and checks that only statistics are left.
    pub(super) fn shut_down(mut self) {
        self.carry_out_closes();
        for request in 0..self.requests.len() {
            match self.requests[request] {
                RequestState::Queued(_) => self.cancel(request),
                RequestState::Leased(slot, _) if self.sockets.contains(&slot) => {
                    self.end(request, CloseReason::Incomplete);
                }
                RequestState::Leased(..) | RequestState::Ended(_) => {}
            }
        }
        self.event(|state, _| state.drain());
        assert!(self.sockets.is_empty(), "sockets are left: {:?}", self.sockets);
        assert!(self.state.is_blank());
    }

    fn drop_socket(&mut self, slot: SlotId, reason: CloseReason) {
        if self.sockets.remove(&slot) {
            self.state.closed(slot, reason, self.now);
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.state.next_action() {
            self.log.push(action);
            match action {
                Action::Close(slot) => match &mut self.held {
                    Some(held) => drop(held.insert(slot)),
                    None => self.drop_socket(slot, CloseReason::Closed),
                },
                // A lease drops its socket when it is aborted.
                Action::Abort(_) if self.keeps_aborted => {}
                Action::Abort(slot) => self.drop_socket(slot, CloseReason::Aborted),
                Action::Wake(_) | Action::Drive(_) | Action::Watch(_) => {}
            }
        }
        self.state.audit();
        assert_eq!(self.sockets.len() + self.state.attempts(), self.open(), "P1: a slot for each socket");
    }
}

/// An orphaned dial to A, and its request, which took another connection.
pub(super) fn orphaned_dial(harness: &mut Harness) -> (Request, SlotId) {
    let holder = harness.lease(A);
    let dialing = harness.arrive(A);
    let dial = harness.slot(dialing);
    harness.finish(holder);
    harness.poll(dialing);
    (dialing, dial)
}
