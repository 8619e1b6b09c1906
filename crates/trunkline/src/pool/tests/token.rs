//! Test pool: connections that are counted tokens, their dials, and maintenance that counts its
//! calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::pool::acquire::{Queued, checkout};
use crate::pool::connection_slot::{AfterExchange, ConnectionSlot, Dial, Pooled};
use crate::pool::lease::Lease;
use crate::pool::shared::{Maintainer, SharedState};
use crate::pool::state::tests::site::Site;
use crate::pool::state::{Checkout, Owner, Rules, SlotId, State};
use crate::stats::CloseReason;
use crate::timeouts;

pub(super) type TokenShared = SharedState<Site, Token>;
pub(super) type TokenLease = Lease<Site, Token>;
pub(super) type TokenSlot = ConnectionSlot<Site, Token>;
type TokenDial = Box<dyn FnMut(SlotId) -> Dial<Token> + Send>;

/// A request that is checked out when it is first polled.
pub(super) struct TokenAcquire {
    unqueued: Option<(Arc<TokenShared>, Site, Owner, TokenDial)>,
    queued: Option<Queued<Site, Token, TokenDial>>,
}

impl TokenAcquire {
    pub(super) fn is_waiting(&self) -> bool {
        self.queued.as_ref().is_some_and(Queued::is_waiting)
    }
}

impl Future for TokenAcquire {
    type Output = Result<TokenLease>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((shared, key, owner, dial)) = self.unqueued.take() {
            match checkout(&shared, &key, (owner, false, timeouts::now()), || dial) {
                Checkout::Reuse(lease) => return Poll::Ready(Ok(lease)),
                Checkout::Queued(queued) => self.queued = Some(queued),
                Checkout::Closed => return Poll::Ready(Err(Error::closed())),
            }
        }
        Pin::new(self.queued.as_mut().expect("it is queued")).poll(cx)
    }
}

/// Numbers of tokens.
#[derive(Debug, Default)]
pub(super) struct TokenCount {
    alive: AtomicUsize,
    most: AtomicUsize,
    ended: AtomicUsize,
}

impl TokenCount {
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// Largest number alive at once.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// Number that were ended properly before their drop.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

pub(super) struct Token {
    count: Arc<TokenCount>,
    /// Reason not to reuse it.
    pub(super) close_reason: Option<CloseReason>,
    pub(super) keep_alive: Option<Duration>,
}

impl Token {
    pub(super) fn new(count: &Arc<TokenCount>) -> Self {
        let alive = count.alive.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(alive, Ordering::SeqCst);
        Self { count: count.clone(), close_reason: None, keep_alive: None }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.count.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pooled for Token {
    fn after_exchange(&mut self) -> AfterExchange {
        match self.close_reason {
            Some(reason) => AfterExchange::Close(reason),
            None => AfterExchange::Keep { keep_alive: self.keep_alive },
        }
    }

    fn traffic(&self) -> u64 {
        0
    }

    fn end(self) {
        self.count.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// Numbers of calls of a [`Maintainer`].
#[derive(Debug, Default)]
pub(super) struct MaintenanceCalls {
    pub(super) driven: AtomicUsize,
    pub(super) watched: AtomicUsize,
    pub(super) emptied: AtomicUsize,
}

struct CountingMaintainer(Arc<MaintenanceCalls>);

impl Maintainer<Site, Token> for CountingMaintainer {
    fn drive(&self, _: &Arc<TokenShared>, _: &Arc<TokenSlot>) {
        self.0.driven.fetch_add(1, Ordering::SeqCst);
    }

    fn is_watching(&self, _: &Site, _: Instant) -> bool {
        false
    }

    fn watch(&self, _: &Arc<TokenShared>, _: &Arc<TokenSlot>, _: Instant) {
        self.0.watched.fetch_add(1, Ordering::SeqCst);
    }

    fn emptied(&self) {
        self.0.emptied.fetch_add(1, Ordering::SeqCst);
    }
}

/// Shared state, with the counters of its tokens and maintenance calls.
pub(super) struct TestPool {
    pub(super) shared: Arc<TokenShared>,
    pub(super) count: Arc<TokenCount>,
    pub(super) calls: Arc<MaintenanceCalls>,
}

impl TestPool {
    pub(super) fn new(rules: Rules) -> Self {
        let calls = Arc::new(MaintenanceCalls::default());
        let shared = Arc::new(SharedState::new(State::new(rules), Box::new(CountingMaintainer(calls.clone()))));
        Self { shared, count: Arc::default(), calls }
    }

    /// Makes a request whose dial succeeds at once.
    pub(super) fn acquire(&self, key: Site, owner: Owner) -> TokenAcquire {
        let count = self.count.clone();
        self.acquire_by(key, owner, move |_| instant(&count))
    }

    pub(super) fn acquire_by(
        &self,
        key: Site,
        owner: Owner,
        dial: impl FnMut(SlotId) -> Dial<Token> + Send + 'static,
    ) -> TokenAcquire {
        TokenAcquire { unqueued: Some((self.shared.clone(), key, owner, Box::new(dial))), queued: None }
    }

    pub(super) fn open(&self) -> usize {
        self.shared.read(|state| state.metrics().total.open())
    }

    /// Closes the pool at once, and checks that nothing is left.
    pub(super) fn shut_down(self) {
        self.shared.event(|state, now| state.abort(None, now));
        self.shared.read(|state| {
            state.audit();
            assert!(state.is_blank(), "P7: nothing is lost");
        });
        assert_eq!((self.open(), self.count.alive()), (0, 0), "P1: a slot for each socket");
    }
}

pub(super) fn instant(count: &Arc<TokenCount>) -> Dial<Token> {
    let count = count.clone();
    Box::pin(async move { Ok(Token::new(&count)) })
}
