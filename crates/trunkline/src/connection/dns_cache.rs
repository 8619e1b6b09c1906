//! The addresses of hosts: asked for once per burst, remembered for ten seconds, handed out in
//! turn.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;
use tokio::time::Instant;

use super::resolve::Resolve;

const TIME_TO_LIVE: Duration = Duration::from_secs(10);
const MOST_NAMES: usize = 1_000;

/// A failed lookup: one error for everybody who waited for it.
pub(crate) type LookupError = Arc<io::Error>;

/// A resolver and what it answered lately.
#[derive(Clone)]
pub(crate) struct DnsCache(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolve>,
    /// Held for a few map operations at a time, never across an await.
    state: Mutex<State>,
    /// Nothing is ever sent: when it is gone, nobody can ask any more.
    anybody: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    book: Entries,
    /// Each since then.
    flights: HashMap<FlightKey, (Instant, Landing)>,
}

/// Lookups are shared within one runtime only: one that runs on a parked runtime would never end
/// for the others.
type FlightKey = (Id, Arc<str>);
type Outcome = Result<Arc<Answer>, LookupError>;
/// Where those who did not start a lookup wait for it.
type Landing = watch::Receiver<Option<Outcome>>;

impl DnsCache {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner { resolver, state: Mutex::default(), anybody: watch::Sender::new(()) }))
    }

    /// The addresses of `host`, never none; successive calls begin with different ones. Must be
    /// called within a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves a lookup it started running: its answer is for all who wait, and is
    /// remembered. One that never answers ends with the last of these.
    pub(crate) async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(literal) = literal(host) {
            return Ok(vec![literal]);
        }
        if host.is_empty() {
            return Err(Arc::new(io::Error::new(io::ErrorKind::InvalidInput, "the host is empty")));
        }
        let mut landing = match self.known_or_flight(host) {
            Ok(answer) => return Ok(answer.in_turn()),
            Err(landing) => landing,
        };
        // The sender goes without a word only if the lookup panicked or its runtime is ending.
        let abandoned = || Arc::new(io::Error::other("the lookup was abandoned"));
        let landed = landing.wait_for(Option::is_some).await.map_err(|_| abandoned())?.clone();
        Ok(landed.ok_or_else(abandoned)??.in_turn())
    }

    /// What is remembered, or else the lookup under way, which is started if there is none.
    fn known_or_flight(&self, host: &str) -> Result<Arc<Answer>, Landing> {
        let runtime = Handle::current();
        let key: FlightKey = (runtime.id(), Arc::from(host));
        let now = Instant::now();
        let mut state = self.0.lock();
        if let Some(answer) = state.book.get(host, now) {
            return Ok(answer);
        }
        // One that has been under way for long may never land: nobody else gets on.
        if let Some((_, landing)) = state.flights.get(&key).filter(|(begun, _)| now < *begun + TIME_TO_LIVE) {
            return Err(landing.clone());
        }
        let (outcome, landing) = watch::channel(None);
        state.flights.insert(key.clone(), (now, landing.clone()));
        // A runtime that is ending drops what is spawned on it at once, and the flight then needs the lock
        // to take itself out.
        drop(state);
        let flight = Lookup { names: Arc::downgrade(&self.0), key, outcome };
        runtime.spawn(flight.run());
        Err(landing)
    }
}

impl fmt::Debug for DnsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsCache").finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and a cache is in no state that a panic could spoil.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup under way, in a task of its own so that no request's cancellation ends it for the
/// others.
struct Lookup {
    names: Weak<Inner>,
    key: FlightKey,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Lookup {
    async fn run(self) {
        let host = &*self.key.1;
        let Some(found) = self.resolve(host).await else { return };
        let Some(names) = self.names.upgrade() else { return };
        let outcome = match found {
            Ok(addresses) if addresses.is_empty() => {
                Err(Arc::new(io::Error::new(io::ErrorKind::NotFound, "the resolver knows no address for it")))
            }
            Ok(addresses) => Ok(names.lock().book.put(&self.key.1, addresses, Instant::now())),
            Err(error) => Err(Arc::new(error)),
        };
        // Remembered before the flight is taken out, and taken out before it is published: whoever comes
        // now finds one or the other, and whoever was failed by it starts a new one.
        self.leave();
        self.outcome.send_replace(Some(outcome));
    }

    /// What the resolver says; `None` if by then nobody can ask any more.
    async fn resolve(&self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        let (mut resolving, mut anybody) = {
            let names = self.names.upgrade()?;
            (names.resolver.resolve(host), names.anybody.subscribe())
        };
        let mut nobody = pin!(anybody.changed());
        std::future::poll_fn(|cx| match nobody.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => resolving.as_mut().poll(cx).map(Some),
        })
        .await
    }

    fn leave(&self) {
        let Some(names) = self.names.upgrade() else { return };
        let mut state = names.lock();
        // Only its own entry: by the time it is dropped another flight may have begun.
        let own =
            state.flights.get(&self.key).is_some_and(|(_, landing)| landing.same_channel(&self.outcome.subscribe()));
        if own {
            state.flights.remove(&self.key);
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.leave();
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// A host's addresses.
struct Answer {
    addresses: Vec<IpAddr>,
    turn: AtomicUsize,
}

impl Answer {
    /// The addresses, beginning with the next one of each family. The families keep their order: it
    /// is the system's preference (RFC 6724), and one of them may not work here at all.
    fn in_turn(&self) -> Vec<IpAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (mut v4, mut v6): (Vec<IpAddr>, Vec<IpAddr>) = self.addresses.iter().partition(|address| address.is_ipv4());
        for family in [&mut v4, &mut v6] {
            if !family.is_empty() {
                let by = turn % family.len();
                family.rotate_left(by);
            }
        }
        let v4_first = self.addresses.first().is_some_and(IpAddr::is_ipv4);
        let (mut first, second) = if v4_first { (v4, v6) } else { (v6, v4) };
        first.extend(second);
        first
    }
}

/// What was answered lately: decisions only, handed the time.
#[derive(Default)]
struct Entries {
    pages: HashMap<Arc<str>, CacheEntry>,
    /// Counts uses, to find the least recent.
    uses: u64,
}

struct CacheEntry {
    answer: Arc<Answer>,
    expires: Instant,
    used: u64,
}

impl Entries {
    fn get(&mut self, host: &str, now: Instant) -> Option<Arc<Answer>> {
        let page = self.pages.get_mut(host).filter(|page| now < page.expires)?;
        self.uses += 1;
        page.used = self.uses;
        Some(page.answer.clone())
    }

    fn put(&mut self, host: &Arc<str>, mut addresses: Vec<IpAddr>, now: Instant) -> Arc<Answer> {
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        // An expired answer still knows whose turn it was: a session with one connection a minute rotates
        // too.
        let turn = self.pages.get(host).map_or(0, |page| page.answer.turn.load(Ordering::Relaxed));
        if self.pages.len() >= MOST_NAMES && !self.pages.contains_key(host) {
            self.forget_one();
        }
        self.uses += 1;
        let answer = Arc::new(Answer { addresses, turn: AtomicUsize::new(turn) });
        let page = CacheEntry { answer: answer.clone(), expires: now + TIME_TO_LIVE, used: self.uses };
        self.pages.insert(host.clone(), page);
        answer
    }

    /// A walk over a thousand names, once per lookup at most: nothing beside the lookup.
    fn forget_one(&mut self) {
        let oldest = self.pages.iter().min_by_key(|(_, page)| page.used).map(|(host, _)| host.clone());
        if let Some(host) = oldest {
            self.pages.remove(&host);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::sync::Semaphore;

    use super::super::resolve::Resolving;
    use super::*;

    /// Answers when it is let, and counts how often it was asked.
    #[derive(Clone)]
    struct Scripted {
        asked: Arc<AtomicUsize>,
        let_go: Arc<Semaphore>,
        answer: fn(usize) -> io::Result<Vec<IpAddr>>,
    }

    impl Scripted {
        fn new(permits: usize, answer: fn(usize) -> io::Result<Vec<IpAddr>>) -> Self {
            Self { asked: Arc::default(), let_go: Arc::new(Semaphore::new(permits)), answer }
        }

        fn names(&self) -> DnsCache {
            DnsCache::new(Arc::new(self.clone()))
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    impl Resolve for Scripted {
        fn resolve(&self, host: &str) -> Resolving {
            if host == "stuck.test" {
                return Box::pin(std::future::pending());
            }
            let nth = self.asked.fetch_add(1, Ordering::Relaxed);
            if host == "stuck.once.test" && nth == 0 {
                return Box::pin(std::future::pending());
            }
            let (let_go, answer) = (self.let_go.clone(), self.answer);
            Box::pin(async move {
                let_go.acquire().await.map_err(io::Error::other)?.forget();
                answer(nth)
            })
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn two(_: usize) -> io::Result<Vec<IpAddr>> {
        Ok(vec![ip("10.0.0.1"), ip("10.0.0.2")])
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_asks_once_and_each_of_it_begins_elsewhere() {
        let resolver = Scripted::new(1, two);
        let names = resolver.names();
        let (one, other) = tokio::join!(names.lookup("a.test"), names.lookup("a.test"));
        assert_eq!(resolver.asked(), 1);
        assert_ne!(one.unwrap()[0], other.unwrap()[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_lasts_ten_seconds() {
        let resolver = Scripted::new(9, two);
        let names = resolver.names();
        let first = names.lookup("a.test").await.unwrap();
        tokio::time::advance(Duration::from_millis(9_900)).await;
        names.lookup("a.test").await.unwrap();
        assert_eq!(resolver.asked(), 1);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(names.lookup("a.test").await.unwrap(), first, "third turn of two");
        assert_eq!(resolver.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_first_asker_does_not_end_the_lookup_for_the_others() {
        let resolver = Scripted::new(0, two);
        let names = resolver.names();
        let mut second = pin!(names.lookup("a.test"));
        {
            let first = names.lookup("a.test");
            assert!(tokio::time::timeout(Duration::from_millis(1), first).await.is_err());
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut second).await.is_err());
        }
        resolver.let_go.add_permits(1);
        assert_eq!(second.await.unwrap().len(), 2);
        assert_eq!(resolver.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_not_everybodys_for_ever() {
        let resolver = Scripted::new(9, two);
        let names = resolver.names();
        let mut first = pin!(names.lookup("stuck.once.test"));
        let second = names.lookup("stuck.once.test");
        assert!(tokio::time::timeout(Duration::from_millis(9_900), &mut first).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(100), second).await.is_err());
        assert_eq!(resolver.asked(), 1);
        let third = tokio::time::timeout(Duration::from_secs(1), names.lookup("stuck.once.test")).await;
        assert_eq!(third.expect("it asks by itself").unwrap().len(), 2);
        assert!(tokio::time::timeout(Duration::from_secs(1), first).await.is_err(), "it waits for its own");
        assert_eq!((resolver.asked(), names.0.lock().flights.len()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_and_forgotten() {
        let resolver = Scripted::new(9, |nth| if nth == 0 { Err(io::Error::other("no such host")) } else { two(nth) });
        let names = resolver.names();
        let (one, other) = tokio::join!(names.lookup("a.test"), names.lookup("a.test"));
        assert!(Arc::ptr_eq(&one.unwrap_err(), &other.unwrap_err()));
        assert_eq!(names.lookup("a.test").await.unwrap().len(), 2);
        assert_eq!(resolver.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_is_an_error() {
        let names = Scripted::new(1, |_| Ok(Vec::new())).names();
        assert_eq!(names.lookup("a.test").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(names.lookup("").await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_panics_fails_the_lookup_and_the_next_may_succeed() {
        let resolver = Scripted::new(9, |nth| if nth == 0 { panic!("a faulty resolver") } else { two(nth) });
        let names = resolver.names();
        assert!(names.lookup("a.test").await.is_err());
        assert!(names.lookup("a.test").await.is_ok());
    }

    #[test]
    fn a_runtime_that_ends_fails_its_lookups_and_those_of_others_go_on() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let names = Scripted::new(9, two).names();
        let (ending, other) = (runtime(), runtime());
        // Two who ask, and a lookup that is under way when the runtime is parked, then dropped.
        let landing = ending.block_on(async { names.known_or_flight("stuck.test").err().unwrap() });
        let asking = ending.spawn({
            let names = names.clone();
            async move { names.lookup("stuck.test").await }
        });
        ending.block_on(tokio::task::yield_now());
        let elsewhere = other.block_on(async { names.known_or_flight("stuck.test").err().unwrap() });
        assert!(!elsewhere.same_channel(&landing), "a parked runtime's lookup is not waited for");
        drop(ending);
        assert!(landing.has_changed().is_err(), "those who wait hear of it");
        assert!(other.block_on(asking).is_err());
        assert!(elsewhere.has_changed().is_ok());
        assert_eq!(names.0.lock().flights.len(), 1);
    }

    #[tokio::test]
    async fn literals_are_not_looked_up() {
        let resolver = Scripted::new(0, two);
        for literal in ["127.0.0.1", "::1", "[::1]"] {
            let found = resolver.names().lookup(literal).await.unwrap();
            assert_eq!(found, [ip(literal.trim_matches(['[', ']']))]);
        }
        assert_eq!(resolver.asked(), 0);
    }

    #[test]
    fn turns_keep_the_families_in_their_order() {
        let mut book = Entries::default();
        let addresses = vec![ip("::1"), ip("10.0.0.1"), ip("::2"), ip("::1")];
        let answer = book.put(&"a.test".into(), addresses, Instant::now());
        assert_eq!(answer.in_turn(), [ip("::1"), ip("::2"), ip("10.0.0.1")]);
        assert_eq!(answer.in_turn(), [ip("::2"), ip("::1"), ip("10.0.0.1")]);
        assert_eq!(answer.in_turn(), [ip("::1"), ip("::2"), ip("10.0.0.1")]);
    }

    #[test]
    fn the_least_recently_used_name_makes_room() {
        let (mut book, now) = (Entries::default(), Instant::now());
        for n in 0..MOST_NAMES {
            book.put(&format!("{n}.test").into(), vec![ip("10.0.0.1")], now);
        }
        assert!(book.get("0.test", now).is_some());
        book.put(&"one.more.test".into(), vec![ip("10.0.0.1")], now);
        assert_eq!(book.pages.len(), MOST_NAMES);
        assert!(book.get("0.test", now).is_some());
        assert!(book.get("1.test", now).is_none());
        assert!(book.get("0.test", now + TIME_TO_LIVE).is_none());
    }
}
