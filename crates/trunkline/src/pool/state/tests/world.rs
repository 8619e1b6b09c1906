//! A world in miniature for the state: keys, requests and sockets with a clock that is told the
//! time.
//!
//! It keeps the shell's duties: what the state wants closed is dropped first and reported then.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::site::{A, Site, ms};
use crate::pool::state::{Action, Checkout, Owner, Replacement, Rules, SlotId, Standing, State, TicketId};
use crate::stats::CloseReason;

/// A request's number, in order of arrival.
pub(super) type Request = usize;

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Waiting,
    /// It has leave to dial, and makes use of it when it is polled.
    Dialing,
    /// Given a connection that it has not seen yet.
    Granted,
    /// It has its connection; true if that had come back to the pool before.
    Leased {
        reused: bool,
    },
    Refused,
    /// Its dial failed.
    Failed,
    Gone,
}

use Is::{Dialing, Failed, Gone, Granted, Leased, Refused, Waiting};

pub(super) const REUSED: Is = Leased { reused: true };
pub(super) const FRESH: Is = Leased { reused: false };

#[derive(Clone, Copy, Debug)]
enum Place {
    Queued(TicketId),
    Leased(SlotId, bool),
    Ended(Is),
}

pub(super) struct World {
    pub(super) state: State<Site>,
    pub(super) now: Instant,
    pub(super) log: Vec<Action>,
    begun: Instant,
    places: Vec<Place>,
    /// Every socket, dials included.
    sockets: BTreeSet<SlotId>,
    /// Closes that were asked for, and not carried out: see [`hold_closes`](Self::hold_closes).
    held: Option<BTreeSet<SlotId>>,
    keeps_aborts: bool,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        let now = Instant::now();
        Self {
            state: State::new(rules),
            now,
            log: Vec::new(),
            begun: now,
            places: Vec::new(),
            sockets: BTreeSet::new(),
            held: None,
            keeps_aborts: false,
        }
    }

    /// Time goes on until so many milliseconds after the beginning.
    pub(super) fn at(&mut self, time: u64) -> &mut Self {
        self.now = self.begun + ms(time);
        self
    }

    pub(super) fn arrive(&mut self, key: Site) -> Request {
        self.arrive_of(key, 1)
    }

    pub(super) fn arrive_of(&mut self, key: Site, owner: Owner) -> Request {
        self.enter(key, owner, false)
    }

    /// A later exchange of a request that began before the close.
    pub(super) fn arrive_under_way(&mut self, key: Site) -> Request {
        self.enter(key, 1, true)
    }

    fn enter(&mut self, key: Site, owner: Owner, under_way: bool) -> Request {
        let place = match self.state.checkout(&key, owner, under_way, self.now) {
            Checkout::Reuse(slot) => Place::Leased(slot, true),
            Checkout::Queued(ticket) => Place::Queued(ticket),
            Checkout::Closed => Place::Ended(Refused),
        };
        self.places.push(place);
        self.carry_out();
        self.poll(self.places.len() - 1);
        self.places.len() - 1
    }

    pub(super) fn is(&self, request: Request) -> Is {
        match self.places[request] {
            Place::Queued(ticket) => match self.state.standing(ticket) {
                Standing::Waiting => Waiting,
                Standing::Dialing(_) => Dialing,
                Standing::Granted(_) => Granted,
                Standing::Closed => Refused,
            },
            Place::Leased(_, reused) => Leased { reused },
            Place::Ended(how) => how,
        }
    }

    /// The slot the request dials in, was given or holds.
    pub(super) fn slot(&self, request: Request) -> SlotId {
        match self.places[request] {
            Place::Queued(ticket) => match self.state.standing(ticket) {
                Standing::Dialing(slot) | Standing::Granted(slot) => slot,
                standing => panic!("no slot: {standing:?}"),
            },
            Place::Leased(slot, _) => slot,
            Place::Ended(how) => panic!("no slot: {how:?}"),
        }
    }

    /// The request is polled: it begins its dial, or claims what it was given.
    pub(super) fn poll(&mut self, request: Request) -> Is {
        if let Place::Queued(ticket) = self.places[request] {
            match self.state.standing(ticket) {
                Standing::Granted(slot) => {
                    self.state.claim(ticket);
                    self.places[request] = Place::Leased(slot, true);
                }
                Standing::Closed => {
                    self.state.claim(ticket);
                    self.places[request] = Place::Ended(Refused);
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
        self.is(request)
    }

    /// The request's own dial succeeds.
    pub(super) fn connects(&mut self, request: Request) {
        self.poll(request);
        let slot = self.slot(request);
        assert!(self.finish_dial(slot), "the request that dialed has the connection");
        self.places[request] = Place::Leased(slot, false);
    }

    /// A dial succeeds. Has the request that dialed the connection now?
    pub(super) fn finish_dial(&mut self, slot: SlotId) -> bool {
        let own = self.state.dialed(slot, self.now);
        self.carry_out();
        own
    }

    /// A dial fails. Does the request fail with it?
    pub(super) fn fail_dial(&mut self, slot: SlotId) -> bool {
        self.sockets.remove(&slot);
        let own = self.state.dial_failed(slot, self.now);
        self.carry_out();
        own
    }

    /// The request's own dial fails, and the request with it.
    pub(super) fn fails(&mut self, request: Request) {
        self.poll(request);
        let slot = self.slot(request);
        assert!(self.fail_dial(slot), "the request that dialed fails");
        self.places[request] = Place::Ended(Failed);
    }

    /// The exchange is complete and the connection fit for another.
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

    /// The exchange ends and its connection with it.
    pub(super) fn end(&mut self, request: Request, reason: CloseReason) {
        let slot = self.leave(request);
        self.drop_socket(slot, reason);
        self.carry_out();
    }

    fn leave(&mut self, request: Request) -> SlotId {
        let Place::Leased(slot, _) = self.places[request] else { panic!("it has no connection") };
        self.places[request] = Place::Ended(Gone);
        slot
    }

    /// The request is dropped before it has a connection.
    pub(super) fn cancel(&mut self, request: Request) {
        let Place::Queued(ticket) = self.places[request] else { panic!("it is not queued") };
        self.places[request] = Place::Ended(Gone);
        self.state.cancel(ticket, self.now);
        self.carry_out();
    }

    pub(super) fn event<R>(&mut self, f: impl FnOnce(&mut State<Site>, Instant) -> R) -> R {
        let result = f(&mut self.state, self.now);
        self.carry_out();
        result
    }

    /// A connection for each of these, dialed, used and given back, in this order.
    pub(super) fn warm(&mut self, keys: &[Site]) {
        let requests: Vec<_> = keys.iter().map(|&key| self.arrive(key)).collect();
        for &request in &requests {
            self.connects(request);
        }
        for request in requests {
            self.finish(request);
        }
    }

    /// A request that has a connection of its own.
    pub(super) fn lease(&mut self, key: Site) -> Request {
        let request = self.lease_of(key, 1);
        assert!(matches!(self.is(request), Leased { .. }), "{:?}", self.is(request));
        request
    }

    pub(super) fn lease_of(&mut self, key: Site, owner: Owner) -> Request {
        let request = self.arrive_of(key, owner);
        if self.is(request) == Dialing {
            self.connects(request);
        }
        request
    }

    /// The request's connection is found dead before it is used (P10).
    pub(super) fn replaces(&mut self, request: Request) -> Replacement {
        let slot = self.slot(request);
        let replacement = self.state.replace(slot, CloseReason::PeerClosed, self.now);
        match replacement {
            Replacement::Reuse(other) => {
                self.sockets.remove(&slot);
                self.places[request] = Place::Leased(other, true);
            }
            Replacement::Closed => drop(self.sockets.remove(&slot)),
            Replacement::Dial => {}
        }
        self.carry_out();
        replacement
    }

    /// From now on whoever holds an aborted connection does not let go by itself.
    pub(super) fn keep_aborts(&mut self) {
        self.keeps_aborts = true;
    }

    /// The socket's end was reported by the test itself.
    pub(super) fn forget(&mut self, slot: SlotId) {
        self.sockets.remove(&slot);
    }

    /// From now on closes take until [`carry_out_closes`](Self::carry_out_closes).
    pub(super) fn hold_closes(&mut self) {
        self.held.get_or_insert_default();
    }

    pub(super) fn carry_out_closes(&mut self) {
        for slot in self.held.take().unwrap_or_default() {
            self.drop_socket(slot, CloseReason::Closed);
        }
        self.carry_out();
    }

    /// What the state asked for since the last call.
    pub(super) fn take_log(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn closed(&self, reason: CloseReason) -> u64 {
        self.state.ledger().closed[reason as usize]
    }

    pub(super) fn open(&self) -> usize {
        self.state.ledger().total.open()
    }

    /// Everybody leaves, every socket ends; then nothing may be left but figures.
    pub(super) fn rest(mut self) {
        self.carry_out_closes();
        for request in 0..self.places.len() {
            match self.places[request] {
                Place::Queued(_) => self.cancel(request),
                Place::Leased(slot, _) if self.sockets.contains(&slot) => self.end(request, CloseReason::Incomplete),
                Place::Leased(..) | Place::Ended(_) => {}
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
                // The lease that holds it is told, and lets go.
                Action::Abort(_) if self.keeps_aborts => {}
                Action::Abort(slot) => self.drop_socket(slot, CloseReason::Aborted),
                Action::Wake(_) | Action::Tend(_) | Action::Idle(_) => {}
            }
        }
        self.state.audit();
        assert_eq!(self.sockets.len() + self.state.attempts(), self.open(), "P1: a slot for each socket");
    }
}

/// A dial to A that its request has left behind, and the request that was served instead.
pub(super) fn left_behind(world: &mut World) -> (Request, SlotId) {
    let holder = world.lease(A);
    let dialing = world.arrive(A);
    let dial = world.slot(dialing);
    world.finish(holder);
    world.poll(dialing);
    (dialing, dial)
}
