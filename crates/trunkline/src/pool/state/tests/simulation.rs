//! All rules at once: random events in random order under virtual time, and after each the books
//! are compared.
//!
//! The model keeps its own books of requests and sockets. It carries out what the state asks for
//! with delays, so that a socket that is being closed, a dial that ends and a request that was
//! woken and not polled yet overlap everything else.
//!
//! `TRUNKLINE_SOAK=1` runs it for longer; a failure names its seed, and `TRUNKLINE_SEED` runs that
//! one alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use super::site::{Site, ms, rules};
use crate::pool::state::{Action, Checkout, Owner, PoolKey, Replacement, Rules, SlotId, Standing, State, TicketId};
use crate::stats::{CloseReason, Histogram};

#[test]
fn the_books_agree_after_every_step() {
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
    let mut chance = Chance::new(seed);
    let mut left = steps;
    while left > 0 {
        let episode = left.min(50 + chance.below(1000));
        left -= episode;
        let mut model = Model::new(Chance::new(chance.next()));
        for _ in 0..episode {
            model.step();
        }
        model.come_to_rest();
    }
}

/// Marsaglia: "Xorshift RNGs" (2003).
struct Chance(u64);

impl Chance {
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
struct Asker {
    key: Site,
    owner: Owner,
    arrival: u64,
    arrived: Instant,
    /// Until it had a connection, or leave to dial.
    waited: Duration,
    seen: Standing,
    /// It was told that its standing changed.
    woken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Dial,
    /// A dial in the place of a connection that failed its request.
    Redial,
    Open,
}

#[derive(Debug)]
struct Socket {
    key: Site,
    content: Content,
    /// Whose request holds it, once that has claimed it.
    leased: Option<Owner>,
    attempts: usize,
    /// When the dial began.
    begun: Instant,
    /// It has served a request.
    served: bool,
    /// It is to be closed.
    closing: bool,
}

struct Model {
    chance: Chance,
    state: State<Site>,
    rules: Rules,
    now: Instant,
    arrivals: u64,
    askers: BTreeMap<TicketId, Asker>,
    sockets: BTreeMap<SlotId, Socket>,
    created: u64,
    closed: u64,
    dials_failed: u64,
    reused: u64,
    /// Of everybody who was given a connection.
    wait: Histogram,
    connect: Histogram,
    draining: bool,
    /// Of owners.
    aborts: Owner,
}

impl Model {
    fn new(mut chance: Chance) -> Self {
        let limit = (!chance.one_in(4)).then(|| 1 + chance.below(8));
        let limit_per_host = (!chance.one_in(3)).then(|| 1 + chance.below(4));
        let max_lifetime = chance.one_in(3).then(|| ms(2000));
        let rules = Rules { limit, limit_per_host, max_lifetime, idle_timeout: ms(500), seed: chance.next() };
        Self {
            chance,
            state: State::new(rules.clone()),
            rules,
            now: Instant::now(),
            arrivals: 0,
            askers: BTreeMap::new(),
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
        self.now += Duration::from_micros(self.chance.below(8000) as u64);
        match self.chance.below(100) {
            0..25 => self.arrive(),
            25..40 => self.poll_asker(),
            40..53 => self.end_dial(),
            53..72 => self.end_lease(),
            72..81 => self.carry_out_close(),
            81..86 => self.cancel(),
            86..90 => self.race_addresses(),
            90..93 => self.fail_lease(),
            93..97 => self.keep(),
            97 => self.lose_idle(),
            98 => self.interfere(),
            _ => self.now += ms(self.chance.below(700) as u64),
        }
        self.settle();
    }

    fn arrive(&mut self) {
        // The load comes and goes.
        let crowd = if (self.arrivals / 100).is_multiple_of(2) { 12 } else { 3 };
        if self.askers.len() >= crowd {
            return;
        }
        let key = Site(self.chance.below(4) as u8, self.chance.below(2) as u8);
        let owner = self.owner();
        let queued = self.askers.values().any(|asker| asker.key == key && is_queued(asker.seen));
        match self.state.checkout(&key, owner, self.draining, self.now) {
            Checkout::Reuse(slot) => {
                assert!(!queued, "P2: a newcomer took what a waiter was about to get");
                self.lend(slot, key, owner, Duration::ZERO);
            }
            Checkout::Queued(ticket) => {
                let (arrival, seen) = (self.arrivals, Standing::Waiting);
                let (arrived, waited) = (self.now, Duration::ZERO);
                let asker = Asker { key, owner, arrival, arrived, waited, seen, woken: false };
                self.arrivals += 1;
                assert!(self.askers.insert(ticket, asker).is_none(), "a ticket was given twice");
            }
            Checkout::Closed => unreachable!("requests that may come are let in"),
        }
    }

    fn lend(&mut self, slot: SlotId, key: Site, owner: Owner, waited: Duration) {
        let socket = self.sockets.get_mut(&slot).expect("what is lent is there");
        assert_eq!((socket.key, socket.content, socket.closing), (key, Content::Open, false));
        assert_eq!(socket.leased.replace(owner), None, "a connection was lent twice");
        self.reused += u64::from(socket.served);
        self.wait.record(waited);
    }

    fn poll_asker(&mut self) {
        let woken: Vec<_> = self.askers.iter().filter(|(_, asker)| asker.woken).map(|(&id, _)| id).collect();
        if let Some(ticket) = self.chance.pick(&woken) {
            self.poll(ticket);
        }
    }

    fn poll(&mut self, ticket: TicketId) {
        let asker = self.askers.get_mut(&ticket).expect("it is there");
        asker.woken = false;
        match self.state.standing(ticket) {
            Standing::Waiting => {}
            Standing::Dialing(slot) => {
                if !self.sockets.contains_key(&slot) {
                    assert!(self.state.begin_dial(ticket, slot, self.now));
                    let socket = Socket {
                        key: asker.key,
                        content: Content::Dial,
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
                let asker = self.askers.remove(&ticket).expect("it is there");
                self.lend(slot, asker.key, asker.owner, asker.waited);
            }
            Standing::Closed => {
                self.state.claim(ticket);
                self.askers.remove(&ticket);
            }
        }
    }

    fn dials(&self) -> Vec<SlotId> {
        self.slots(|socket| matches!(socket.content, Content::Dial | Content::Redial))
    }

    fn slots(&self, which: impl Fn(&Socket) -> bool) -> Vec<SlotId> {
        self.sockets.iter().filter(|(_, socket)| which(socket)).map(|(&slot, _)| slot).collect()
    }

    fn end_dial(&mut self) {
        let dials = self.dials();
        let Some(slot) = self.chance.pick(&dials) else { return };
        self.end_attempts(slot);
        let redial = self.sockets[&slot].content == Content::Redial;
        let asker = self.askers.iter().find(|(_, asker)| asker.seen == Standing::Dialing(slot));
        let asker = asker.map(|(&ticket, asker)| (ticket, asker.key, asker.owner, asker.waited));
        let closing = self.sockets[&slot].closing;
        if self.chance.one_in(4) {
            let own = self.state.dial_failed(slot, self.now);
            assert_eq!(own, !closing && (asker.is_some() || redial), "P5: its own request fails, and nobody else");
            self.dials_failed += 1;
            self.forget(slot);
        } else {
            self.sockets.get_mut(&slot).expect("it is there").content = Content::Open;
            let own = self.state.dialed(slot, self.now);
            assert_eq!(own, !closing && (asker.is_some() || redial), "P4: who dialed has it");
            if !closing {
                self.connect.record(self.now - self.sockets[&slot].begun);
            }
            if own && let Some((_, key, owner, waited)) = asker {
                self.lend(slot, key, owner, waited);
            } else if own {
                self.wait.record(Duration::ZERO);
            }
            if !own {
                // The connection is the pool's now, or ends as soon as somebody gets to it.
                self.sockets.get_mut(&slot).expect("it is there").leased = None;
            }
        }
        if let Some((ticket, ..)) = asker {
            self.askers.remove(&ticket);
        }
    }

    fn end_lease(&mut self) {
        let leases = self.slots(|socket| socket.content == Content::Open && socket.leased.is_some());
        let Some(slot) = self.chance.pick(&leases) else { return };
        let socket = self.sockets.get_mut(&slot).expect("it is there");
        socket.leased = None;
        if self.chance.one_in(6) {
            let reason =
                self.chance.pick(&[CloseReason::NotPersistent, CloseReason::Incomplete, CloseReason::Deadline]);
            self.state.closed(slot, reason.expect("there are some"), self.now);
            return self.forget(slot);
        }
        let keep_alive = self.chance.one_in(5).then(|| ms(self.chance.below(800) as u64));
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
        let leases = self.slots(|socket| socket.content == Content::Open && socket.leased.is_some());
        let Some(slot) = self.chance.pick(&leases) else { return };
        let Socket { key, leased: owner, closing, .. } = self.sockets[&slot];
        let owner = owner.expect("a lease has an owner");
        let replacement = match self.chance.one_in(2) {
            true => self.state.replace(slot, CloseReason::PeerClosed, self.now),
            false => self.state.redial(slot, CloseReason::PeerClosed, self.now),
        };
        assert_eq!(replacement == Replacement::Closed, closing);
        match replacement {
            Replacement::Reuse(other) => {
                self.forget(slot);
                self.lend(other, key, owner, Duration::ZERO);
            }
            Replacement::Dial => {
                self.closed += 1;
                self.created += 1;
                let socket = self.sockets.get_mut(&slot).expect("it is there");
                (socket.content, socket.begun, socket.served) = (Content::Redial, self.now, false);
            }
            Replacement::Closed => self.forget(slot),
        }
    }

    fn cancel(&mut self) {
        let redials = self.slots(|socket| socket.content == Content::Redial && !socket.closing);
        if self.chance.one_in(4)
            && let Some(slot) = self.chance.pick(&redials)
        {
            self.end_attempts(slot);
            self.state.closed(slot, CloseReason::Cancelled, self.now);
            return self.forget(slot);
        }
        let tickets: Vec<_> = self.askers.keys().copied().collect();
        if let Some(ticket) = self.chance.pick(&tickets) {
            self.askers.remove(&ticket);
            self.state.cancel(ticket, self.now);
        }
    }

    /// RFC 8305: a dial tries another address beside the first.
    fn race_addresses(&mut self) {
        let dials = self.dials();
        let Some(slot) = self.chance.pick(&dials) else { return };
        let socket = self.sockets.get_mut(&slot).expect("it is there");
        if socket.attempts > 0 && self.chance.one_in(2) {
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
            self.settle();
        }
    }

    fn keep(&mut self) {
        // Two runtimes, each with its keeper and its keys.
        let runtime = self.chance.below(2) as u8;
        let now = self.now;
        self.state.expire(now);
        assert!(self.state.next_expiry().is_none_or(|next| next > now));
        self.state.adopt(|key| key.host() % 2 == runtime, now);
    }

    fn lose_idle(&mut self) {
        let slots: Vec<_> = self.sockets.keys().copied().collect();
        if let Some(slot) = self.chance.pick(&slots) {
            self.state.found_dead(slot);
        }
    }

    /// One of three; an aborted one does not come back.
    fn owner(&mut self) -> Owner {
        self.chance.below(3) as Owner + 3 * self.aborts
    }

    fn interfere(&mut self) {
        let owner = self.owner();
        match self.chance.below(6) {
            0 => self.state.refresh(),
            1 => {
                let host = self.chance.below(4) as u8;
                self.state.forsake(|key| key.host() == host);
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
        if let Some(slot) = self.chance.pick(&closing) {
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

    /// Takes the state's actions, and compares the books.
    fn settle(&mut self) {
        while let Some(action) = self.state.next_action() {
            match action {
                Action::Wake(ticket) => {
                    if let Some(asker) = self.askers.get_mut(&ticket) {
                        asker.woken = true;
                    }
                }
                Action::Close(slot) | Action::Abort(slot) => {
                    let socket = self.sockets.get_mut(&slot).expect("what is closed is there");
                    assert!(!std::mem::replace(&mut socket.closing, true), "a socket was closed twice");
                }
                Action::Tend(slot) => assert_eq!(self.sockets[&slot].content, Content::Dial),
                Action::Idle(slot) => assert_eq!(self.sockets[&slot].content, Content::Open),
            }
        }
        self.check_order();
        self.check_sums();
        self.state.audit();
    }

    /// P3: within a key by arrival; leave to dial by arrival among all that can go.
    fn check_order(&mut self) {
        let mut served = Vec::new();
        for (&ticket, asker) in &mut self.askers {
            let standing = self.state.standing(ticket);
            let seen = std::mem::replace(&mut asker.seen, standing);
            if seen != standing {
                if seen == Standing::Waiting {
                    asker.waited = self.now - asker.arrived;
                }
                served.push((asker.key, asker.arrival, standing));
            }
        }
        let room = |key: &Site| self.rules.limit_per_host.is_none_or(|limit| self.state.host(key).taken() < limit);
        for (key, arrival, standing) in served {
            let older = self.askers.values().filter(|other| other.arrival < arrival);
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

    /// P7, P12: the state's books are the model's.
    fn check_sums(&self) {
        let ledger = self.state.ledger();
        let attempts: usize = self.sockets.values().map(|socket| socket.attempts).sum();
        assert_eq!(ledger.total.open(), self.sockets.len() + attempts, "P7: a slot was lost");
        let waiting = self.askers.values().filter(|asker| asker.seen == Standing::Waiting).count();
        assert_eq!(ledger.total.waiting, waiting);
        let leave = |asker: &&Asker| matches!(asker.seen, Standing::Dialing(slot) if !self.sockets.contains_key(&slot));
        assert_eq!(ledger.total.reserved, self.askers.values().filter(leave).count());
        assert_eq!((ledger.created, ledger.closed_total()), (self.created, self.closed));
        assert_eq!((ledger.dials_failed, ledger.reused), (self.dials_failed, self.reused));
        assert_eq!((&ledger.wait, &ledger.connect), (&self.wait, &self.connect), "P12: who waited, and how long");
        for (ticket, asker) in &self.askers {
            let changed = asker.seen != Standing::Waiting;
            assert!(!changed || asker.woken || self.has_seen(*ticket), "P7: a request was not told");
        }
    }

    /// A request whose leave to dial is in use has seen it.
    fn has_seen(&self, ticket: TicketId) -> bool {
        match self.askers[&ticket].seen {
            Standing::Dialing(slot) => self.sockets.contains_key(&slot),
            _ => false,
        }
    }

    /// Everything that was begun ends; then nothing may be left.
    fn come_to_rest(&mut self) {
        if self.chance.one_in(2) {
            self.state.drain();
            self.draining = true;
            self.settle();
            for _ in 0..self.chance.below(40) {
                self.step();
            }
            self.state.abort(None, self.now);
            self.settle();
            let left = self.slots(|socket| !socket.closing);
            assert!(left.is_empty(), "P11: every socket of a closed pool is told to end");
        }
        for _ in 0..100 {
            if self.askers.is_empty() && self.sockets.is_empty() {
                break;
            }
            for ticket in self.askers.keys().copied().collect::<Vec<_>>() {
                self.poll(ticket);
                self.settle();
            }
            for _ in 0..10 {
                self.end_dial();
                self.settle();
                self.end_lease();
                self.settle();
                self.carry_out_close();
                self.settle();
            }
            self.now += ms(1000);
            for runtime in [0, 1] {
                self.state.adopt(|key| key.host() % 2 == runtime, self.now);
            }
            self.state.expire(self.now);
            self.settle();
        }
        assert_eq!(self.askers.len(), 0, "P7: somebody waits for nothing");
        assert!(self.sockets.is_empty(), "P7: what nobody uses stays: {:?}", self.sockets);
        assert!(self.state.is_blank(), "at rest nothing is remembered");
    }
}

fn is_queued(standing: Standing) -> bool {
    matches!(standing, Standing::Waiting | Standing::Dialing(_))
}

/// P3's reason: under overload connections are kept, and yet nobody starves.
#[test]
fn an_overloaded_pool_dials_little_and_starves_nobody() {
    for hosts in [2, 3, 5] {
        let figures = overload(hosts, 10, 120, 30_000);
        assert!(figures.dials_per_request < 0.15, "{hosts} hosts: {figures:?}");
        assert!(figures.longest_wait < 6.0 * figures.mean_wait, "{hosts} hosts: {figures:?}");
    }
}

#[derive(Debug)]
struct Figures {
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

/// So many clients, each with one request after another at a host of its own choice, share `limit`
/// connections.
fn overload(hosts: usize, limit: usize, clients: usize, requests: usize) -> Figures {
    let mut chance = Chance::new(hosts as u64);
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
        let Reverse((time, event)) = events.pop().expect("there is always somebody");
        now = time;
        let service = ms(4 + chance.below(12) as u64);
        let mut started = Vec::new();
        match event {
            Event::Arrives(host) => match state.checkout(&Site(host, 0), 0, false, now) {
                Checkout::Reuse(slot) => started.push((slot, now)),
                Checkout::Queued(ticket) => drop(since.insert(ticket, now)),
                Checkout::Closed => unreachable!("it is open"),
            },
            Event::Dialed(slot) => {
                let asker = dialing.remove(&slot);
                if state.dialed(slot, now) {
                    let asker = asker.expect("somebody dialed");
                    started.push((slot, since.remove(&asker).expect("it waited")));
                }
            }
            Event::Finishes(slot) => {
                assert!(state.returned(slot, None, now));
                events.push(Reverse((now, Event::Arrives(chance.below(hosts) as u8))));
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
                Action::Tend(_) | Action::Idle(_) | Action::Abort(_) => {}
            }
        }
        for (slot, arrived) in started {
            waits.push((now - arrived).as_secs_f64());
            events.push(Reverse((now + service, Event::Finishes(slot))));
        }
    }
    let mean_wait = waits.iter().sum::<f64>() / waits.len() as f64;
    let longest_wait = waits.iter().copied().fold(0.0, f64::max);
    Figures { dials_per_request: state.ledger().created as f64 / waits.len() as f64, mean_wait, longest_wait }
}
