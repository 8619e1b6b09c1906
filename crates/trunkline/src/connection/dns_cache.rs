//! Cache of resolved addresses: one lookup per burst of requests, answers kept for ten seconds,
//! and addresses handed out in rotation.

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
const MAX_ENTRIES: usize = 1_000;

/// A failed lookup: one error shared by all callers that waited for it.
pub(crate) type LookupError = Arc<io::Error>;

/// A resolver and its recent answers.
#[derive(Clone)]
pub(crate) struct DnsCache(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolve>,
    /// Locked for a few map operations at a time, never across an await.
    state: Mutex<CacheState>,
    /// Carries no value. A running lookup learns from its end that no handle of the cache is left.
    alive: watch::Sender<()>,
}

#[derive(Default)]
struct CacheState {
    entries: CacheEntries,
    /// Running lookups, each with the time of its start.
    lookups: HashMap<LookupKey, (Instant, PendingLookup)>,
}

/// Lookups are shared within one runtime only: a lookup on a parked runtime would never end for
/// callers on another one.
type LookupKey = (Id, Arc<str>);
type LookupResult = Result<Arc<HostAddresses>, LookupError>;
/// Receiver of a running lookup's result.
type PendingLookup = watch::Receiver<Option<LookupResult>>;

impl DnsCache {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self(Arc::new(Inner { resolver, state: Mutex::default(), alive: watch::Sender::new(()) }))
    }

    /// Returns the addresses of `host`, at least one; successive calls begin with different ones.
    /// Must be called within a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the lookup it started running: the result goes to all waiting
    /// callers and into the cache. A lookup that never answers is dropped with the last handle of
    /// the cache.
    pub(crate) async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(literal) = literal(host) {
            return Ok(vec![literal]);
        }
        if host.is_empty() {
            return Err(Arc::new(io::Error::new(io::ErrorKind::InvalidInput, "the host is empty")));
        }
        let mut pending = match self.cached_or_pending(host) {
            Ok(addresses) => return Ok(addresses.rotated()),
            Err(pending) => pending,
        };
        // The sender is dropped without a result only if the lookup panicked or its runtime ends.
        let abandoned = || Arc::new(io::Error::other("the lookup was abandoned"));
        let result = pending.wait_for(Option::is_some).await.map_err(|_| abandoned())?.clone();
        Ok(result.ok_or_else(abandoned)??.rotated())
    }

    /// Returns the cached addresses, or else the running lookup, which it starts if there is none.
    fn cached_or_pending(&self, host: &str) -> Result<Arc<HostAddresses>, PendingLookup> {
        let runtime = Handle::current();
        let key: LookupKey = (runtime.id(), Arc::from(host));
        let now = Instant::now();
        let mut state = self.0.lock();
        if let Some(addresses) = state.entries.get(host, now) {
            return Ok(addresses);
        }
        // A lookup that has run this long may never end: new callers start another one.
        if let Some((_, pending)) = state.lookups.get(&key).filter(|(started, _)| now < *started + TIME_TO_LIVE) {
            return Err(pending.clone());
        }
        let (result, pending) = watch::channel(None);
        state.lookups.insert(key.clone(), (now, pending.clone()));
        // A runtime that is ending drops a spawned task at once, and `Lookup::drop` takes the lock.
        drop(state);
        let lookup = Lookup { cache: Arc::downgrade(&self.0), key, result };
        runtime.spawn(lookup.run());
        Err(pending)
    }
}

impl fmt::Debug for DnsCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsCache").finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, CacheState> {
        // No code panics while it holds the lock, and a cache has no invariant a panic could break.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running lookup, in its own task so that a cancelled request does not end it for the others.
struct Lookup {
    cache: Weak<Inner>,
    key: LookupKey,
    result: watch::Sender<Option<LookupResult>>,
}

impl Lookup {
    async fn run(self) {
        let host = &*self.key.1;
        let Some(resolved) = self.resolve(host).await else { return };
        let Some(cache) = self.cache.upgrade() else { return };
        let result = match resolved {
            Ok(addresses) if addresses.is_empty() => {
                Err(Arc::new(io::Error::new(io::ErrorKind::NotFound, "the resolver knows no address for it")))
            }
            Ok(addresses) => Ok(cache.lock().entries.insert(&self.key.1, addresses, Instant::now())),
            Err(error) => Err(Arc::new(error)),
        };
        // The order matters: cache the addresses, unregister the lookup, publish the result. A new
        // caller then finds the cached addresses or the lookup, and a caller that this lookup
        // failed starts a new one.
        self.unregister();
        self.result.send_replace(Some(result));
    }

    /// Asks the resolver; `None` if the last handle of the cache is dropped first.
    async fn resolve(&self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        let (mut resolving, mut alive) = {
            let cache = self.cache.upgrade()?;
            (cache.resolver.resolve(host), cache.alive.subscribe())
        };
        let mut cache_dropped = pin!(alive.changed());
        std::future::poll_fn(|cx| match cache_dropped.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => resolving.as_mut().poll(cx).map(Some),
        })
        .await
    }

    fn unregister(&self) {
        let Some(cache) = self.cache.upgrade() else { return };
        let mut state = cache.lock();
        // Only this lookup's registration: a later lookup may have replaced it.
        let registered =
            state.lookups.get(&self.key).is_some_and(|(_, pending)| pending.same_channel(&self.result.subscribe()));
        if registered {
            state.lookups.remove(&self.key);
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.unregister();
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// The addresses of one host, and the rotation among them.
struct HostAddresses {
    addresses: Vec<IpAddr>,
    next_rotation: AtomicUsize,
}

impl HostAddresses {
    /// Returns the addresses with each family rotated by one more than in the previous call. The
    /// order of the families stays: it is the system's preference (RFC 6724), and this machine may
    /// have no route for one of them.
    fn rotated(&self) -> Vec<IpAddr> {
        let rotation = self.next_rotation.fetch_add(1, Ordering::Relaxed);
        let (mut v4, mut v6): (Vec<IpAddr>, Vec<IpAddr>) = self.addresses.iter().partition(|address| address.is_ipv4());
        for family in [&mut v4, &mut v6] {
            if !family.is_empty() {
                let by = rotation % family.len();
                family.rotate_left(by);
            }
        }
        let v4_first = self.addresses.first().is_some_and(IpAddr::is_ipv4);
        let (mut first, second) = if v4_first { (v4, v6) } else { (v6, v4) };
        first.extend(second);
        first
    }
}

/// The entries of the cache. Pure decisions: the caller passes the time in.
#[derive(Default)]
struct CacheEntries {
    by_host: HashMap<Arc<str>, CacheEntry>,
    /// Counter of uses, for least-recently-used eviction.
    uses: u64,
}

struct CacheEntry {
    addresses: Arc<HostAddresses>,
    expires: Instant,
    last_use: u64,
}

impl CacheEntries {
    fn get(&mut self, host: &str, now: Instant) -> Option<Arc<HostAddresses>> {
        let entry = self.by_host.get_mut(host).filter(|entry| now < entry.expires)?;
        self.uses += 1;
        entry.last_use = self.uses;
        Some(entry.addresses.clone())
    }

    fn insert(&mut self, host: &Arc<str>, mut addresses: Vec<IpAddr>, now: Instant) -> Arc<HostAddresses> {
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        // An expired entry passes its rotation on, so that a session with one connection a minute
        // rotates too.
        let rotation = self.by_host.get(host).map_or(0, |entry| entry.addresses.next_rotation.load(Ordering::Relaxed));
        if self.by_host.len() >= MAX_ENTRIES && !self.by_host.contains_key(host) {
            self.evict_one();
        }
        self.uses += 1;
        let addresses = Arc::new(HostAddresses { addresses, next_rotation: AtomicUsize::new(rotation) });
        let entry = CacheEntry { addresses: addresses.clone(), expires: now + TIME_TO_LIVE, last_use: self.uses };
        self.by_host.insert(host.clone(), entry);
        addresses
    }

    /// Removes the least recently used entry. A scan of a thousand entries costs little beside the
    /// lookup that precedes it.
    fn evict_one(&mut self) {
        let oldest = self.by_host.iter().min_by_key(|(_, entry)| entry.last_use).map(|(host, _)| host.clone());
        if let Some(host) = oldest {
            self.by_host.remove(&host);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::sync::Semaphore;

    use super::super::resolve::Resolving;
    use super::*;

    /// Resolver that answers once per permit and counts its lookups.
    #[derive(Clone)]
    struct Scripted {
        lookups: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
        answer: fn(usize) -> io::Result<Vec<IpAddr>>,
    }

    impl Scripted {
        fn new(permits: usize, answer: fn(usize) -> io::Result<Vec<IpAddr>>) -> Self {
            Self { lookups: Arc::default(), permits: Arc::new(Semaphore::new(permits)), answer }
        }

        fn cache(&self) -> DnsCache {
            DnsCache::new(Arc::new(self.clone()))
        }

        fn lookups(&self) -> usize {
            self.lookups.load(Ordering::Relaxed)
        }
    }

    impl Resolve for Scripted {
        fn resolve(&self, host: &str) -> Resolving {
            if host == "stuck.test" {
                return Box::pin(std::future::pending());
            }
            let nth = self.lookups.fetch_add(1, Ordering::Relaxed);
            if host == "stuck.once.test" && nth == 0 {
                return Box::pin(std::future::pending());
            }
            let (permits, answer) = (self.permits.clone(), self.answer);
            Box::pin(async move {
                permits.acquire().await.map_err(io::Error::other)?.forget();
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
    async fn a_burst_resolves_once_and_rotates_the_addresses() {
        let resolver = Scripted::new(1, two);
        let cache = resolver.cache();
        let (first, second) = tokio::join!(cache.lookup("a.test"), cache.lookup("a.test"));
        assert_eq!(resolver.lookups(), 1);
        assert_ne!(first.unwrap()[0], second.unwrap()[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_lasts_ten_seconds() {
        let resolver = Scripted::new(9, two);
        let cache = resolver.cache();
        let first = cache.lookup("a.test").await.unwrap();
        tokio::time::advance(Duration::from_millis(9_900)).await;
        cache.lookup("a.test").await.unwrap();
        assert_eq!(resolver.lookups(), 1);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(cache.lookup("a.test").await.unwrap(), first, "third rotation of two addresses");
        assert_eq!(resolver.lookups(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_the_first_caller_keeps_the_lookup_for_the_others() {
        let resolver = Scripted::new(0, two);
        let cache = resolver.cache();
        let mut second = pin!(cache.lookup("a.test"));
        {
            let first = cache.lookup("a.test");
            assert!(tokio::time::timeout(Duration::from_millis(1), first).await.is_err());
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut second).await.is_err());
        }
        resolver.permits.add_permits(1);
        assert_eq!(second.await.unwrap().len(), 2);
        assert_eq!(resolver.lookups(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_shared_for_ten_seconds_only() {
        let resolver = Scripted::new(9, two);
        let cache = resolver.cache();
        let mut first = pin!(cache.lookup("stuck.once.test"));
        let second = cache.lookup("stuck.once.test");
        assert!(tokio::time::timeout(Duration::from_millis(9_900), &mut first).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(100), second).await.is_err());
        assert_eq!(resolver.lookups(), 1);
        let third = tokio::time::timeout(Duration::from_secs(1), cache.lookup("stuck.once.test")).await;
        assert_eq!(third.expect("it starts its own lookup").unwrap().len(), 2);
        assert!(tokio::time::timeout(Duration::from_secs(1), first).await.is_err(), "it waits for its own lookup");
        assert_eq!((resolver.lookups(), cache.0.lock().lookups.len()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_and_not_cached() {
        let resolver = Scripted::new(9, |nth| if nth == 0 { Err(io::Error::other("no such host")) } else { two(nth) });
        let cache = resolver.cache();
        let (first, second) = tokio::join!(cache.lookup("a.test"), cache.lookup("a.test"));
        assert!(Arc::ptr_eq(&first.unwrap_err(), &second.unwrap_err()));
        assert_eq!(cache.lookup("a.test").await.unwrap().len(), 2);
        assert_eq!(resolver.lookups(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_address_is_an_error() {
        let cache = Scripted::new(1, |_| Ok(Vec::new())).cache();
        assert_eq!(cache.lookup("a.test").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(cache.lookup("").await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_resolver_fails_one_lookup_only() {
        let resolver = Scripted::new(9, |nth| if nth == 0 { panic!("a faulty resolver") } else { two(nth) });
        let cache = resolver.cache();
        assert!(cache.lookup("a.test").await.is_err());
        assert!(cache.lookup("a.test").await.is_ok());
    }

    #[test]
    fn a_runtime_that_ends_fails_only_its_own_lookups() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cache = Scripted::new(9, two).cache();
        let (ending, other) = (runtime(), runtime());
        // Two callers, and a lookup that runs when its runtime is parked, then dropped.
        let pending = ending.block_on(async { cache.cached_or_pending("stuck.test").err().unwrap() });
        let asking = ending.spawn({
            let cache = cache.clone();
            async move { cache.lookup("stuck.test").await }
        });
        ending.block_on(tokio::task::yield_now());
        let elsewhere = other.block_on(async { cache.cached_or_pending("stuck.test").err().unwrap() });
        assert!(!elsewhere.same_channel(&pending), "a parked runtime's lookup is not waited for");
        drop(ending);
        assert!(pending.has_changed().is_err(), "waiting callers are notified");
        assert!(other.block_on(asking).is_err());
        assert!(elsewhere.has_changed().is_ok());
        assert_eq!(cache.0.lock().lookups.len(), 1);
    }

    #[tokio::test]
    async fn literals_are_not_looked_up() {
        let resolver = Scripted::new(0, two);
        for literal in ["127.0.0.1", "::1", "[::1]"] {
            let found = resolver.cache().lookup(literal).await.unwrap();
            assert_eq!(found, [ip(literal.trim_matches(['[', ']']))]);
        }
        assert_eq!(resolver.lookups(), 0);
    }

    #[test]
    fn rotation_keeps_the_order_of_the_families() {
        let mut entries = CacheEntries::default();
        let resolved = vec![ip("::1"), ip("10.0.0.1"), ip("::2"), ip("::1")];
        let addresses = entries.insert(&"a.test".into(), resolved, Instant::now());
        assert_eq!(addresses.rotated(), [ip("::1"), ip("::2"), ip("10.0.0.1")]);
        assert_eq!(addresses.rotated(), [ip("::2"), ip("::1"), ip("10.0.0.1")]);
        assert_eq!(addresses.rotated(), [ip("::1"), ip("::2"), ip("10.0.0.1")]);
    }

    #[test]
    fn the_least_recently_used_entry_is_evicted() {
        let (mut entries, now) = (CacheEntries::default(), Instant::now());
        for n in 0..MAX_ENTRIES {
            entries.insert(&format!("{n}.test").into(), vec![ip("10.0.0.1")], now);
        }
        assert!(entries.get("0.test", now).is_some());
        entries.insert(&"one.more.test".into(), vec![ip("10.0.0.1")], now);
        assert_eq!(entries.by_host.len(), MAX_ENTRIES);
        assert!(entries.get("0.test", now).is_some());
        assert!(entries.get("1.test", now).is_none());
        assert!(entries.get("0.test", now + TIME_TO_LIVE).is_none());
    }
}
