//! Schedule of a fetch: the next host and page. Pure: it is handed the time, and neither reads a
//! clock nor waits nor fetches.
//!
//! The rules:
//! 1. Between the starts of two requests to one host lies its pause at least.
//! 2. A host that is held is left alone until then.
//! 3. A page to be tried again waits here until its time and takes no place meanwhile. Then it goes
//!    before pages that were never tried.
//! 4. Of the hosts that may be asked, the one with the fewest requests under way is next; among
//!    those, the one whose last turn is longest ago.
//! 5. A new host is asked for its robots.txt first, if rules are obeyed; none of its pages starts
//!    before.
//! 6. More is wanted until [`AHEAD`] wait, or [`MOST`] if of those none may start.
//! 7. A host is forgotten when nothing of it waits or is under way, and it has had its pause.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many are read ahead,
const AHEAD: usize = 1_000;
/// and so many if those read have to wait, all of them: behind them may be others that have not.
const MOST: usize = 20_000;

/// Longer pauses are no longer: a clock ends somewhere.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The waiting jobs, by host.
#[derive(Debug)]
pub(super) struct Schedule<J> {
    hosts: HashMap<Arc<str>, Host<J>>,
    /// Those that may be asked now (rule 4).
    ready: BTreeMap<(usize, u64), Arc<str>>,
    /// Those that may be asked later, or forgotten then.
    resting: BTreeMap<(Instant, u64), Arc<str>>,
    /// Counts turns, and what comes again.
    turns: u64,
    waiting: usize,
    pause: Duration,
    rules: bool,
}

#[derive(Debug)]
struct Host<J> {
    fresh: VecDeque<J>,
    again: BTreeMap<(Instant, u64), J>,
    under_way: usize,
    /// It is left alone until then.
    until: Instant,
    pause: Duration,
    rules: HostRules,
    /// The number of its last turn.
    turn: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostRules {
    Unknown,
    Asked,
    Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Ready(usize),
    Resting(Instant),
}

/// A job to start. Each is to be [finished](Schedule::finished).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start<J> {
    /// To ask a host for its rules, and tell them by [`Schedule::ruled`].
    Ask(Arc<str>),
    Visit(Arc<str>, J),
}

impl<J> Schedule<J> {
    /// With this pause for each host and, if `rules`, the question for more.
    pub(super) fn new(pause: Duration, rules: bool) -> Self {
        Self {
            hosts: HashMap::new(),
            ready: BTreeMap::new(),
            resting: BTreeMap::new(),
            turns: 0,
            waiting: 0,
            pause: pause.min(FOREVER),
            rules,
        }
    }

    /// The number of waiting jobs.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// True if more jobs are wanted.
    pub(super) fn has_room(&self) -> bool {
        self.waiting < AHEAD || (self.ready.is_empty() && self.waiting < MOST)
    }

    pub(super) fn push(&mut self, host: &Arc<str>, job: J, now: Instant) {
        self.waiting += 1;
        self.host(host, now).fresh.push_back(job);
        self.settle(host, now);
    }

    /// For a job that was started: it is to be started once more, not before `at`.
    pub(super) fn again(&mut self, host: &Arc<str>, job: J, at: Instant, now: Instant) {
        self.waiting += 1;
        self.turns += 1;
        let key = (at, self.turns);
        self.host(host, now).again.insert(key, job);
        self.settle(host, now);
    }

    /// Leaves the host alone until then.
    pub(super) fn pause_host(&mut self, host: &Arc<str>, until: Instant, now: Instant) {
        let known = self.host(host, now);
        known.until = known.until.max(until);
        self.settle(host, now);
    }

    /// The host's rules are known. Its pause is the longer one.
    pub(super) fn ruled(&mut self, host: &Arc<str>, pause: Duration, now: Instant) {
        let known = self.host(host, now);
        known.rules = HostRules::Known;
        known.pause = known.pause.max(pause.min(FOREVER));
        self.settle(host, now);
    }

    /// Ends a started job.
    pub(super) fn finished(&mut self, host: &Arc<str>, now: Instant) {
        let known = self.host(host, now);
        known.under_way = known.under_way.saturating_sub(1);
        self.settle(host, now);
    }

    /// The next job that may start now. None if none may.
    pub(super) fn take(&mut self, now: Instant) -> Option<Start<J>> {
        while let Some((&(at, _), host)) = self.resting.first_key_value() {
            if now < at {
                break;
            }
            let host = host.clone();
            self.settle(&host, now);
        }
        let host = self.ready.first_key_value()?.1.clone();
        self.turns += 1;
        let turn = self.turns;
        let known = self.host(&host, now);
        known.under_way += 1;
        let start = if known.rules == HostRules::Unknown {
            known.rules = HostRules::Asked;
            Some(Start::Ask(host.clone()))
        } else {
            let job = known.next(now);
            known.until = now + known.pause;
            job.map(|job| Start::Visit(host.clone(), job))
        };
        // Its position is found by its old turn.
        self.leave(&host);
        self.host(&host, now).turn = turn;
        self.waiting -= usize::from(matches!(start, Some(Start::Visit(..))));
        self.settle(&host, now);
        start
    }

    /// The time at which the next job may start. None if one may start now, or none waits.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.resting.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Any that waits, to be given up.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<J> {
        let host = self.hosts.iter().find(|(_, host)| !host.is_empty())?.0.clone();
        let known = self.host(&host, now);
        let job = known.fresh.pop_front().or_else(|| known.again.pop_first().map(|(_, job)| job));
        self.waiting -= usize::from(job.is_some());
        self.settle(&host, now);
        job
    }

    fn host(&mut self, name: &Arc<str>, now: Instant) -> &mut Host<J> {
        let (turn, pause) = (self.turns + 1, self.pause);
        let rules = if self.rules { HostRules::Unknown } else { HostRules::Known };
        let host = self.hosts.entry(name.clone()).or_insert_with(|| Host {
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            under_way: 0,
            until: now,
            pause,
            rules,
            turn,
            place: Place::Nowhere,
        });
        // Turns are unique: two hosts never share a place.
        self.turns += u64::from(host.turn == turn);
        host
    }

    /// Puts the host where it belongs now.
    fn settle(&mut self, name: &Arc<str>, now: Instant) {
        self.leave(name);
        let Some(host) = self.hosts.get_mut(name) else { return };
        host.place = host.belongs(now);
        match host.place {
            Place::Ready(under_way) => drop(self.ready.insert((under_way, host.turn), name.clone())),
            Place::Resting(at) => drop(self.resting.insert((at, host.turn), name.clone())),
            Place::Nowhere if host.is_empty() && host.under_way == 0 => drop(self.hosts.remove(name)),
            Place::Nowhere => {}
        }
    }

    fn leave(&mut self, name: &Arc<str>) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        match std::mem::replace(&mut host.place, Place::Nowhere) {
            Place::Ready(under_way) => drop(self.ready.remove(&(under_way, host.turn))),
            Place::Resting(at) => drop(self.resting.remove(&(at, host.turn))),
            Place::Nowhere => {}
        }
    }
}

impl<J> Host<J> {
    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty()
    }

    fn belongs(&self, now: Instant) -> Place {
        let first_again = self.again.first_key_value().map(|(&(at, _), _)| at);
        let due = if self.fresh.is_empty() { first_again } else { Some(now) };
        match due {
            _ if self.rules == HostRules::Asked => Place::Nowhere,
            Some(due) if due.max(self.until) <= now => Place::Ready(self.under_way),
            Some(due) => Place::Resting(due.max(self.until)),
            None if now < self.until => Place::Resting(self.until),
            None => Place::Nowhere,
        }
    }

    fn next(&mut self, now: Instant) -> Option<J> {
        let due = self.again.first_entry().filter(|first| first.key().0 <= now);
        match due {
            Some(first) => Some(first.remove()),
            None => self.fresh.pop_front(),
        }
    }
}
