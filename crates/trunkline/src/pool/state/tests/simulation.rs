//! Simulation of all rules: random events in random order under virtual time. After each event a
//! model and the state are compared.
//!
//! The model has its own record of requests and sockets. It carries out the state's actions with
//! delays, so that closing sockets, ending dials, and woken requests that are not polled yet
//! overlap all other events.
//!
//! `TRUNKLINE_SOAK=1` runs it for longer. A failure names its seed; `TRUNKLINE_SEED` runs that seed
//! alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use super::site::{Site, ms, rules};
use crate::pool::state::{Action, Checkout, Owner, PoolKey, Replacement, Rules, SlotId, Standing, State, TicketId};
use crate::stats::{CloseReason, Histogram};

#[test]
fn model_and_state_agree_after_every_step() {
    let soak = std::env::var_os("TRUNKLINE_SOAK").is_some();
    let (seeds, steps) = if soak { (50, 100_000) } else { (8, 20_000) };
    let chosen = std::env::var("TRUNKLINE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = chosen.map_or(0..seeds, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let run = std::panic::catch_unwind(|| run(seed, steps));
        assert!(run.is_ok(), "run it again with TRUNKLINE_SEED={seed}");
    }
}

fn run(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut left = steps;
    while left > 0 {
        let episode = left.min(50 + rng.below(1000));
        left -= episode;
        let mut model = Model::new(Rng::new(rng.next()));
        for _ in 0..episode {
            model.step();
        }
        model.finish();
    }
}

/// Marsaglia: "Xorshift RNGs" (2003).
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())]) }
    }
}

/// A request without a connection.
struct PendingRequest {
    key: Site,
    owner: Owner,
    arrival: u64,
    arrived: Instant,
    /// Length of its wait, until it had a connection or a permit to dial.
    waited: Duration,
    seen: Standing,
    /// True if it was woken because its standing changed.
    woken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketContent {
    Dial,
    /// A dial in the slot of a connection that failed its request.
    Redial,
    Open,
}

#[derive(Debug)]
struct Socket {
    key: Site,
    content: SocketContent,
    /// Session of the request that holds it, once that has claimed it.
    leased: Option<Owner>,
    attempts: usize,
    /// Start of the dial.
    begun: Instant,
    /// True if it has served a request.
    served: bool,
    /// True if it is to be closed.
    closing: bool,
}

struct Model {
    rng: Rng,
    state: State<Site>,
    rules: Rules,
    now: Instant,
    arrivals: u64,
    pending: BTreeMap<TicketId, PendingRequest>,
    sockets: BTreeMap<SlotId, Socket>,
    created: u64,
    closed: u64,
    dials_failed: u64,
    reused: u64,
    /// Waits of all requests that were given a connection.
    wait: Histogram,
    connect: Histogram,
    draining: bool,
    /// Number of aborted sessions.
    aborts: Owner,
}

impl Model {
    fn new(mut rng: Rng) -> Self {
        let limit = (!rng.one_in(4)).then(|| 1 + rng.below(8));
        let limit_per_host = (!rng.one_in(3)).then(|| 1 + rng.below(4));
        let max_lifetime = rng.one_in(3).then(|| ms(2000));
        let rules = Rules { limit, limit_per_host, max_lifetime, idle_timeout: ms(500), seed: rng.next() };
        Self {
            rng,
            state: State::new(rules.clone()),
            rules,
            now: Instant::now(),
            arrivals: 0,
            pending: BTreeMap::new(),
            sockets: BTreeMap::new(),
            created: 0,
            closed: 0,
            dials_failed: 0,
            reused: 0,
            wait: Histogram::default(),
            connect: Histogram::default(),
            draining: false,
            aborts: 0,
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_micros(self.rng.below(8000) as u64);
        match self.rng.below(100) {
            0..25 => self.arrive(),
            25..40 => self.poll_woken(),
            40..53 => self.end_dial(),
            53..72 => self.end_lease(),
            72..81 => self.carry_out_close(),
            81..86 => self.cancel(),
            86..90 => self.race_addresses(),
            90..93 => self.fail_lease(),
            93..97 => self.run_maintenance(),
            97 => self.lose_idle(),
            98 => self.disrupt(),
            _ => self.now += ms(self.rng.below(700) as u64),
        }
        self.apply_actions();
    }

    fn arrive(&mut self) {
        // The load alternates between high and low.
        let crowd = if (self.arrivals / 100).is_multiple_of(2) { 12 } else { 3 };
        if self.pending.len() >= crowd {
            return;
        }
        let key = Site(self.rng.below(4) as u8, self.rng.below(2) as u8);
        let owner = self.owner();
        let queued = self.pending.values().any(|request| request.key == key && is_queued(request.seen));
        match self.state.checkout(&key, owner, self.draining, self.now) {
            Checkout::Reuse(slot) => {
                assert!(!queued, "P2: a newcomer took what a waiter was about to get");
                self.lease(slot, key, owner, Duration::ZERO);
            }
            Checkout::Queued(ticket) => {
                let (arrival, seen) = (self.arrivals, Standing::Waiting);
                let (arrived, waited) = (self.now, Duration::ZERO);
                let request = PendingRequest { key, owner, arrival, arrived, waited, seen, woken: false };
                self.arrivals += 1;
                assert!(self.pending.insert(ticket, request).is_none(), "a ticket was given twice");
            }
            Checkout::Closed => unreachable!("requests that may come are let in"),
        }
    }

    fn lease(&mut self, slot: SlotId, key: Site, owner: Owner, waited: Duration) {
        let socket = self.sockets.get_mut(&slot).expect("a leased socket exists");
        assert_eq!((socket.key, socket.content, socket.closing), (key, SocketContent::Open, false));
        assert_eq!(socket.leased.replace(owner), None, "a connection was leased twice");
        self.reused += u64::from(socket.served);
        self.wait.record(waited);
    }

    fn poll_woken(&mut self) {
        let woken: Vec<_> = self.pending.iter().filter(|(_, request)| request.woken).map(|(&id, _)| id).collect();
        if let Some(ticket) = self.rng.pick(&woken) {
            self.poll(ticket);
        }
    }

    fn poll(&mut self, ticket: TicketId) {
        let request = self.pending.get_mut(&ticket).expect("it is there");
        request.woken = false;
        match self.state.standing(ticket) {
            Standing::Waiting => {}
            Standing::Dialing(slot) => {
                if !self.sockets.contains_key(&slot) {
                    assert!(self.state.begin_dial(ticket, slot, self.now));
                    let socket = Socket {
                        key: request.key,
                        content: SocketContent::Dial,
                        leased: None,
                        attempts: 0,
                        begun: self.now,
                        served: false,
                        closing: false,
                    };
                    self.sockets.insert(slot, socket);
                    self.created += 1;
                }
            }
            Standing::Granted(slot) => {
                self.state.claim(ticket);
                let request = self.pending.remove(&ticket).expect("it is there");
                self.lease(slot, request.key, request.owner, request.waited);
            }
            Standing::Closed => {
                self.state.claim(ticket);
                self.pending.remove(&ticket);
            }
        }
    }

    fn dials(&self) -> Vec<SlotId> {
        self.slots(|socket| matches!(socket.content, SocketContent::Dial | SocketContent::Redial))
    }

    fn slots(&self, which: impl Fn(&Socket) -> bool) -> Vec<SlotId> {
        self.sockets.iter().filter(|(_, socket)| which(socket)).map(|(&slot, _)| slot).collect()
    }

    fn end_dial(&mut self) {
        let dials = self.dials();
        let Some(slot) = self.rng.pick(&dials) else { return };
        self.end_attempts(slot);
        let redial = self.sockets[&slot].content == SocketContent::Redial;
        let request = self.pending.iter().find(|(_, request)| request.seen == Standing::Dialing(slot));
        let request = request.map(|(&ticket, request)| (ticket, request.key, request.owner, request.waited));
        let closing = self.sockets[&slot].closing;
        if self.rng.one_in(4) {
            let is_own = self.state.dial_failed(slot, self.now);
            assert_eq!(is_own, !closing && (request.is_some() || redial), "P5: its own request fails, and no other");
            self.dials_failed += 1;
            self.forget(slot);
        } else {
            self.sockets.get_mut(&slot).expect("it is there").content = SocketContent::Open;
            let is_own = self.state.dialed(slot, self.now);
            assert_eq!(is_own, !closing && (request.is_some() || redial), "P4: the request that dialed has it");
            if !closing {
                self.connect.record(self.now - self.sockets[&slot].begun);
            }
            if is_own && let Some((_, key, owner, waited)) = request {
                self.lease(slot, key, owner, waited);
            } else if is_own {
                self.wait.record(Duration::ZERO);
            }
            if !is_own {
                // The pool has the connection now, or its close is under way.
                self.sockets.get_mut(&slot).expect("it is there").leased = None;
            }
        }
        if let Some((ticket, ..)) = request {
            self.pending.remove(&ticket);
        }
    }

    fn end_lease(&mut self) {
        let leases = self.slots(|socket| socket.content == SocketContent::Open && socket.leased.is_some());
        let Some(slot) = self.rng.pick(&leases) else { return };
        let socket = self.sockets.get_mut(&slot).expect("it is there");
        socket.leased = None;
        if self.rng.one_in(6) {
            let reason = self.rng.pick(&[CloseReason::NotPersistent, CloseReason::Incomplete, CloseReason::Deadline]);
            self.state.closed(slot, reason.expect("there are some"), self.now);
            return self.forget(slot);
        }
        let keep_alive = self.rng.one_in(5).then(|| ms(self.rng.below(800) as u64));
        let kept = self.state.returned(slot, keep_alive, self.now);
        let socket = self.sockets.get_mut(&slot).expect("it is there");
        assert_eq!(kept, !socket.closing, "P11: what was aborted does not come back");
        socket.served = true;
        if !kept {
            self.state.closed(slot, CloseReason::Aborted, self.now);
            self.forget(slot);
        }
    }

    /// P10.
    fn fail_lease(&mut self) {
        let leases = self.slots(|socket| socket.content == SocketContent::Open && socket.leased.is_some());
        let Some(slot) = self.rng.pick(&leases) else { return };
        let Socket { key, leased: owner, closing, .. } = self.sockets[&slot];
        let owner = owner.expect("a lease has an owner");
        let replacement = match self.rng.one_in(2) {
            true => self.state.replace(slot, CloseReason::PeerClosed, self.now),
            false => self.state.redial(slot, CloseReason::PeerClosed, self.now),
        };
        assert_eq!(replacement == Replacement::Closed, closing);
        match replacement {
            Replacement::Reuse(other) => {
                self.forget(slot);
                self.lease(other, key, owner, Duration::ZERO);
            }
            Replacement::Dial => {
                self.closed += 1;
                self.created += 1;
                let socket = self.sockets.get_mut(&slot).expect("it is there");
                (socket.content, socket.begun, socket.served) = (SocketContent::Redial, self.now, false);
            }
            Replacement::Closed => self.forget(slot),
        }
    }

    fn cancel(&mut self) {
        let redials = self.slots(|socket| socket.content == SocketContent::Redial && !socket.closing);
        if self.rng.one_in(4)
            && let Some(slot) = self.rng.pick(&redials)
        {
            self.end_attempts(slot);
            self.state.closed(slot, CloseReason::Cancelled, self.now);
            return self.forget(slot);
        }
        let tickets: Vec<_> = self.pending.keys().copied().collect();
        if let Some(ticket) = self.rng.pick(&tickets) {
            self.pending.remove(&ticket);
            self.state.cancel(ticket, self.now);
        }
    }

    /// RFC 8305: a dial tries another address beside the first.
    fn race_addresses(&mut self) {
        let dials = self.dials();
        let Some(slot) = self.rng.pick(&dials) else { return };
        let socket = self.sockets.get_mut(&slot).expect("it is there");
        if socket.attempts > 0 && self.rng.one_in(2) {
            socket.attempts -= 1;
            self.closed += 1;
            self.state.end_attempt(slot, self.now);
        } else if self.state.begin_attempt(slot) {
            socket.attempts += 1;
            self.created += 1;
        }
    }

    fn end_attempts(&mut self, slot: SlotId) {
        while self.sockets[&slot].attempts > 0 {
            self.sockets.get_mut(&slot).expect("it is there").attempts -= 1;
            self.closed += 1;
            self.state.end_attempt(slot, self.now);
            self.apply_actions();
        }
    }

    fn run_maintenance(&mut self) {
        // Two runtimes, each with its maintenance task and its keys.
        let runtime = self.rng.below(2) as u8;
        let now = self.now;
        self.state.expire(now);
        assert!(self.state.next_expiry().is_none_or(|next| next > now));
        self.state.watch(|key| key.host() % 2 == runtime, now);
    }

    fn lose_idle(&mut self) {
        let slots: Vec<_> = self.sockets.keys().copied().collect();
        if let Some(slot) = self.rng.pick(&slots) {
            self.state.peer_closed(slot);
        }
    }

    /// One of three sessions. An aborted one is replaced by a new number.
    fn owner(&mut self) -> Owner {
        self.rng.below(3) as Owner + 3 * self.aborts
    }

    fn disrupt(&mut self) {
        let owner = self.owner();
        match self.rng.below(6) {
            0 => self.state.refresh(),
            1 => {
                let host = self.rng.below(4) as u8;
                self.state.close_runtime(|key| key.host() == host);
            }
            2 => drop(self.state.drain_owner(owner)),
            3 => {
                self.state.abort(Some(owner), self.now);
                self.aborts += 1;
                let late = self.state.checkout(&Site(0, 0), owner, true, self.now);
                assert_eq!(late, Checkout::Closed, "an aborted owner gets no further");
            }
            _ => {}
        }
    }

    fn carry_out_close(&mut self) {
        let closing = self.slots(|socket| socket.closing);
        if let Some(slot) = self.rng.pick(&closing) {
            self.end_attempts(slot);
            self.state.closed(slot, CloseReason::Closed, self.now);
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: SlotId) {
        let socket = self.sockets.remove(&slot).expect("a socket ends once");
        assert_eq!(socket.attempts, 0);
        self.closed += 1;
    }

    /// Takes the state's actions, and compares the model with the state.
    fn apply_actions(&mut self) {
        while let Some(action) = self.state.next_action() {
            match action {
                Action::Wake(ticket) => {
                    if let Some(request) = self.pending.get_mut(&ticket) {
                        request.woken = true;
                    }
                }
                Action::Close(slot) | Action::Abort(slot) => {
                    let socket = self.sockets.get_mut(&slot).expect("a closed socket exists");
                    assert!(!std::mem::replace(&mut socket.closing, true), "a socket was closed twice");
                }
                Action::Drive(slot) => assert_eq!(self.sockets[&slot].content, SocketContent::Dial),
                Action::Watch(slot) => assert_eq!(self.sockets[&slot].content, SocketContent::Open),
            }
        }
        self.check_order();
        self.check_sums();
        self.state.audit();
    }

    /// P3: within a key by arrival; permits to dial by arrival among all that can proceed.
    fn check_order(&mut self) {
        let mut served = Vec::new();
        for (&ticket, request) in &mut self.pending {
            let standing = self.state.standing(ticket);
            let seen = std::mem::replace(&mut request.seen, standing);
            if seen != standing {
                if seen == Standing::Waiting {
                    request.waited = self.now - request.arrived;
                }
                served.push((request.key, request.arrival, standing));
            }
        }
        let room = |key: &Site| self.rules.limit_per_host.is_none_or(|limit| self.state.host(key).taken() < limit);
        for (key, arrival, standing) in served {
            let older = self.pending.values().filter(|other| other.arrival < arrival);
            for other in older {
                let passed = match standing {
                    Standing::Granted(_) => other.key == key && is_queued(other.seen),
                    Standing::Dialing(_) => other.seen == Standing::Waiting && (other.key == key || room(&other.key)),
                    Standing::Waiting | Standing::Closed => false,
                };
                assert!(!passed, "P3: {standing:?} for {key:?} passed over {:?}", other.key);
            }
        }
    }

    /// P7, P12: the state's statistics equal the model's.
    fn check_sums(&self) {
        let metrics = self.state.metrics();
        let attempts: usize = self.sockets.values().map(|socket| socket.attempts).sum();
        assert_eq!(metrics.total.open(), self.sockets.len() + attempts, "P7: a slot was lost");
        let waiting = self.pending.values().filter(|request| request.seen == Standing::Waiting).count();
        assert_eq!(metrics.total.waiting, waiting);
        let reserved = |request: &&PendingRequest| matches!(request.seen, Standing::Dialing(slot) if !self.sockets.contains_key(&slot));
        assert_eq!(metrics.total.reserved, self.pending.values().filter(reserved).count());
        assert_eq!((metrics.created, metrics.closed_total()), (self.created, self.closed));
        assert_eq!((metrics.dials_failed, metrics.reused), (self.dials_failed, self.reused));
        assert_eq!((&metrics.wait, &metrics.connect), (&self.wait, &self.connect), "P12: number and length of waits");
        for (ticket, request) in &self.pending {
            let changed = request.seen != Standing::Waiting;
            assert!(!changed || request.woken || self.has_seen(*ticket), "P7: a request was not woken");
        }
    }

    /// True for a request that has used its permit to dial.
    fn has_seen(&self, ticket: TicketId) -> bool {
        match self.pending[&ticket].seen {
            Standing::Dialing(slot) => self.sockets.contains_key(&slot),
            _ => false,
        }
    }

    /// Ends everything that was begun, and checks that nothing is left.
    fn finish(&mut self) {
        if self.rng.one_in(2) {
            self.state.drain();
            self.draining = true;
            self.apply_actions();
            for _ in 0..self.rng.below(40) {
                self.step();
            }
            self.state.abort(None, self.now);
            self.apply_actions();
            let left = self.slots(|socket| !socket.closing);
            assert!(left.is_empty(), "P11: every socket of a closed pool is told to end");
        }
        for _ in 0..100 {
            if self.pending.is_empty() && self.sockets.is_empty() {
                break;
            }
            for ticket in self.pending.keys().copied().collect::<Vec<_>>() {
                self.poll(ticket);
                self.apply_actions();
            }
            for _ in 0..10 {
                self.end_dial();
                self.apply_actions();
                self.end_lease();
                self.apply_actions();
                self.carry_out_close();
                self.apply_actions();
            }
            self.now += ms(1000);
            for runtime in [0, 1] {
                self.state.watch(|key| key.host() % 2 == runtime, self.now);
            }
            self.state.expire(self.now);
            self.apply_actions();
        }
        assert_eq!(self.pending.len(), 0, "P7: a request waits for nothing");
        assert!(self.sockets.is_empty(), "P7: an unused socket stays: {:?}", self.sockets);
        assert!(self.state.is_blank(), "at rest nothing is remembered");
    }
}

fn is_queued(standing: Standing) -> bool {
    matches!(standing, Standing::Waiting | Standing::Dialing(_))
}

/// Purpose of P3: under overload connections are kept, and no request starves.
#[test]
fn an_overloaded_pool_dials_little_and_starves_no_request() {
    for hosts in [2, 3, 5] {
        let result = overload(hosts, 10, 120, 30_000);
        assert!(result.dials_per_request < 0.15, "{hosts} hosts: {result:?}");
        assert!(result.longest_wait < 6.0 * result.mean_wait, "{hosts} hosts: {result:?}");
    }
}

#[derive(Debug)]
struct OverloadResult {
    dials_per_request: f64,
    mean_wait: f64,
    longest_wait: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(u8),
    Dialed(SlotId),
    Finishes(SlotId),
}

/// `clients` clients share `limit` connections. Each sends one request after another, to a random
/// host.
fn overload(hosts: usize, limit: usize, clients: usize, requests: usize) -> OverloadResult {
    let mut rng = Rng::new(hosts as u64);
    let begun = Instant::now();
    let mut now = begun;
    let mut state = State::new(Rules { limit: Some(limit), ..rules() });
    let mut events: BinaryHeap<Reverse<(Instant, Event)>> = BinaryHeap::new();
    for client in 0..clients {
        events.push(Reverse((now + ms(client as u64), Event::Arrives((client % hosts) as u8))));
    }
    let mut since: BTreeMap<TicketId, Instant> = BTreeMap::new();
    let mut dialing: BTreeMap<SlotId, TicketId> = BTreeMap::new();
    let mut waits = Vec::new();
    while waits.len() < requests {
        let Reverse((time, event)) = events.pop().expect("each client has an event");
        now = time;
        let service = ms(4 + rng.below(12) as u64);
        let mut started = Vec::new();
        match event {
            Event::Arrives(host) => match state.checkout(&Site(host, 0), 0, false, now) {
                Checkout::Reuse(slot) => started.push((slot, now)),
                Checkout::Queued(ticket) => drop(since.insert(ticket, now)),
                Checkout::Closed => unreachable!("it is open"),
            },
            Event::Dialed(slot) => {
                let request = dialing.remove(&slot);
                if state.dialed(slot, now) {
                    let request = request.expect("a request dialed");
                    started.push((slot, since.remove(&request).expect("it waited")));
                }
            }
            Event::Finishes(slot) => {
                assert!(state.returned(slot, None, now));
                events.push(Reverse((now, Event::Arrives(rng.below(hosts) as u8))));
            }
        }
        while let Some(action) = state.next_action() {
            match action {
                Action::Wake(ticket) => match state.standing(ticket) {
                    Standing::Dialing(slot) => {
                        assert!(state.begin_dial(ticket, slot, now));
                        dialing.insert(slot, ticket);
                        events.push(Reverse((now + ms(20), Event::Dialed(slot))));
                    }
                    Standing::Granted(slot) => {
                        state.claim(ticket);
                        started.push((slot, since.remove(&ticket).expect("it waited")));
                    }
                    Standing::Waiting | Standing::Closed => unreachable!("it was woken for something"),
                },
                Action::Close(slot) => {
                    events.retain(|Reverse((_, event))| *event != Event::Dialed(slot));
                    state.closed(slot, CloseReason::Closed, now);
                }
                Action::Drive(_) | Action::Watch(_) | Action::Abort(_) => {}
            }
        }
        for (slot, arrived) in started {
            waits.push((now - arrived).as_secs_f64());
            events.push(Reverse((now + service, Event::Finishes(slot))));
        }
    }
    let mean_wait = waits.iter().sum::<f64>() / waits.len() as f64;
    let longest_wait = waits.iter().copied().fold(0.0, f64::max);
    OverloadResult { dials_per_request: state.metrics().created as f64 / waits.len() as f64, mean_wait, longest_wait }
}
