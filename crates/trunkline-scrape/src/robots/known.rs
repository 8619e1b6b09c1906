//! Cache of robots.txt rules by host, with eviction.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// So many bytes of robots.txt are remembered: that of tens of thousands of hosts, or of a hundred
/// whose is as large as can be.
const MOST: usize = 64 << 20;
/// The size of a host before its rules are known.
const EACH: usize = 1 << 10;

/// `S` is what is known of a host.
pub(super) struct Known<S> {
    hosts: HashMap<Arc<str>, Host<S>>,
    /// The oldest first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

struct Host<S> {
    state: Arc<S>,
    bytes: usize,
}

impl<S: Default> Known<S> {
    pub(super) fn of(&mut self, origin: &str) -> Arc<S> {
        if let Some(host) = self.hosts.get(origin) {
            return host.state.clone();
        }
        let (origin, state) = (Arc::<str>::from(origin), Arc::<S>::default());
        self.order.push_back(origin.clone());
        self.hosts.insert(origin, Host { state: state.clone(), bytes: EACH });
        self.bytes += EACH;
        self.forget();
        state
    }

    /// Sets the size of a host's rules.
    pub(super) fn says(&mut self, origin: &str, bytes: usize) {
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

impl<S> Default for Known<S> {
    fn default() -> Self {
        Self { hosts: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_remembered_and_not_without_end() {
        let mut known = Known::<()>::default();
        let first = known.of("http://0.test");
        for host in 0..20_000 {
            let origin = format!("http://{host}.test");
            known.of(&origin);
            known.says(&origin, 2_000);
        }
        assert!(Arc::ptr_eq(&first, &known.of("http://0.test")), "twenty thousand of usual size are no matter");
        for host in 0..200 {
            let origin = format!("http://huge-{host}.test");
            known.of(&origin);
            // After a day the rules may be longer or shorter.
            for bytes in [1, 600 << 10, 500 << 10] {
                known.says(&origin, bytes);
            }
        }
        assert!(!Arc::ptr_eq(&first, &known.of("http://0.test")), "the oldest is forgotten first");
        let bytes: usize = known.hosts.values().map(|host| host.bytes).sum();
        assert!(known.bytes == bytes && bytes <= MOST && known.hosts.len() == known.order.len(), "{bytes}");
        assert!(known.hosts.contains_key("http://huge-199.test"));
    }
}
