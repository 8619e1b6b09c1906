//! A connection that is a mere token, its dials, and a keeper that only takes notes: enough for the
//! shell.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::pool::acquire::{Arrival, Queued, arrive};
use crate::pool::cell::{Cell, Dial, Member, Retired};
use crate::pool::lease::Lease;
use crate::pool::shell::{Keeping, Shell};
use crate::pool::state::tests::site::Site;
use crate::pool::state::{Owner, Rules, SlotId, State};
use crate::stats::CloseReason;
use crate::timeouts;

pub(super) type TokenShell = Shell<Site, Token>;
pub(super) type TokenLease = Lease<Site, Token>;
pub(super) type TokenCell = Cell<Site, Token>;
type TokenDial = Box<dyn FnMut(SlotId) -> Dial<Token> + Send>;

/// A request that arrives when it is first polled.
pub(super) struct TokenAcquire {
    arriving: Option<(Arc<TokenShell>, Site, Owner, TokenDial)>,
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
        if let Some((shell, key, owner, dial)) = self.arriving.take() {
            match arrive(&shell, &key, (owner, false, timeouts::now()), || dial)? {
                Arrival::Served(lease) => return Poll::Ready(Ok(lease)),
                Arrival::Queued(queued) => self.queued = Some(queued),
            }
        }
        Pin::new(self.queued.as_mut().expect("it arrived")).poll(cx)
    }
}

/// What there is of tokens.
#[derive(Debug, Default)]
pub(super) struct Count {
    alive: AtomicUsize,
    most: AtomicUsize,
    ended: AtomicUsize,
}

impl Count {
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// The most that were alive at once.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// How many were ended properly, and not merely dropped.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

pub(super) struct Token {
    count: Arc<Count>,
    /// Why it may not be used again.
    pub(super) unfit: Option<CloseReason>,
    pub(super) keep_alive: Option<Duration>,
}

impl Token {
    pub(super) fn new(count: &Arc<Count>) -> Self {
        let alive = count.alive.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(alive, Ordering::SeqCst);
        Self { count: count.clone(), unfit: None, keep_alive: None }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.count.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Member for Token {
    fn retire(&mut self) -> Retired {
        match self.unfit {
            Some(reason) => Retired::Close(reason),
            None => Retired::Keep { keep_alive: self.keep_alive },
        }
    }

    fn traffic(&self) -> u64 {
        0
    }

    fn end(self) {
        self.count.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the keeper was told.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) tended: AtomicUsize,
    pub(super) idle: AtomicUsize,
    pub(super) emptied: AtomicUsize,
}

struct Notebook(Arc<Notes>);

impl Keeping<Site, Token> for Notebook {
    fn tend(&self, _: &Arc<TokenShell>, _: &Arc<TokenCell>) {
        self.0.tended.fetch_add(1, Ordering::SeqCst);
    }

    fn is_watching(&self, _: &Site, _: Instant) -> bool {
        false
    }

    fn idle(&self, _: &Arc<TokenShell>, _: &Arc<TokenCell>, _: Instant) {
        self.0.idle.fetch_add(1, Ordering::SeqCst);
    }

    fn emptied(&self) {
        self.0.emptied.fetch_add(1, Ordering::SeqCst);
    }
}

/// A shell and what is known of it from outside.
pub(super) struct Outside {
    pub(super) shell: Arc<TokenShell>,
    pub(super) count: Arc<Count>,
    pub(super) notes: Arc<Notes>,
}

impl Outside {
    pub(super) fn new(rules: Rules) -> Self {
        let notes = Arc::new(Notes::default());
        let shell = Arc::new(Shell::new(State::new(rules), Box::new(Notebook(notes.clone()))));
        Self { shell, count: Arc::default(), notes }
    }

    /// A request whose dial succeeds at once.
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
        TokenAcquire { arriving: Some((self.shell.clone(), key, owner, Box::new(dial))), queued: None }
    }

    pub(super) fn open(&self) -> usize {
        self.shell.read(|state| state.ledger().total.open())
    }

    /// Closes the pool at once; then nothing may be left.
    pub(super) fn rest(self) {
        self.shell.event(|state, now| state.abort(None, now));
        self.shell.read(|state| {
            state.audit();
            assert!(state.is_blank(), "P7: nothing is lost");
        });
        assert_eq!((self.open(), self.count.alive()), (0, 0), "P1: a slot for each socket");
    }
}

pub(super) fn instant(count: &Arc<Count>) -> Dial<Token> {
    let count = count.clone();
    Box::pin(async move { Ok(Token::new(&count)) })
}
