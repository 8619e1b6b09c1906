//! Cache of robots.txt rules by host, with eviction.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// So many bytes of robots.txt are remembered: that of tens of thousands of hosts, or of a hundred
/// whose is as large as can be.
const MOST: usize = 64 << 20;
/// The size of a host before its rules are known.
const EACH: usize = 1 << 10;

/// `S` is what is known of a host.
pub(super) struct RulesCache<S> {
    hosts: HashMap<Arc<str>, CachedHost<S>>,
    /// The oldest first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

struct CachedHost<S> {
    state: Arc<S>,
    bytes: usize,
}

impl<S: Default> RulesCache<S> {
    pub(super) fn of(&mut self, origin: &str) -> Arc<S> {
        if let Some(host) = self.hosts.get(origin) {
            return host.state.clone();
        }
        let (origin, state) = (Arc::<str>::from(origin), Arc::<S>::default());
        self.order.push_back(origin.clone());
        self.hosts.insert(origin, CachedHost { state: state.clone(), bytes: EACH });
        self.bytes += EACH;
        self.forget();
        state
    }

    /// Sets the size of a host's rules.
    pub(super) fn set_size(&mut self, origin: &str, bytes: usize) {
        if let Some(host) = self.hosts.get_mut(origin) {
            self.bytes -= host.bytes;
            host.bytes = EACH + bytes;
            self.bytes += host.bytes;
            self.forget();
        }
    }

    fn forget(&mut self) {
        while self.bytes > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.hosts.remove(&oldest).map_or(0, |host| host.bytes);
        }
    }
}

impl<S> Default for RulesCache<S> {
    fn default() -> Self {
        Self { hosts: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_remembered_and_not_without_end() {
        let mut cache = RulesCache::<()>::default();
        let first = cache.of("http://0.test");
        for host in 0..20_000 {
            let origin = format!("http://{host}.test");
            cache.of(&origin);
            cache.set_size(&origin, 2_000);
        }
        assert!(Arc::ptr_eq(&first, &cache.of("http://0.test")), "twenty thousand of usual size are no matter");
        for host in 0..200 {
            let origin = format!("http://huge-{host}.test");
            cache.of(&origin);
            // After a day the rules may be longer or shorter.
            for bytes in [1, 600 << 10, 500 << 10] {
                cache.set_size(&origin, bytes);
            }
        }
        assert!(!Arc::ptr_eq(&first, &cache.of("http://0.test")), "the oldest is forgotten first");
        let bytes: usize = cache.hosts.values().map(|host| host.bytes).sum();
        assert!(cache.bytes == bytes && bytes <= MOST && cache.hosts.len() == cache.order.len(), "{bytes}");
        assert!(cache.hosts.contains_key("http://huge-199.test"));
    }
}
