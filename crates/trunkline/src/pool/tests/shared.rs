//! Rules that the shared state decides: requests are futures, connections are tokens.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::token::{TestPool, Token, TokenAcquire, TokenCount, TokenLease, instant};
use crate::error::{Error, Phase, Result};
use crate::pool::connection_slot::Dial;
use crate::pool::exchange_record::ExchangeLimits;
use crate::pool::state::tests::site::{A, B, limited, ms, rules};
use crate::stats::CloseReason;
use crate::timeouts;

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Output of a future that is ready at its first poll.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn lease(pool: &TestPool) -> TokenLease {
    now(pool.acquire(A, 1)).unwrap()
}

fn refused(result: Poll<Result<TokenLease>>) -> Error {
    match result {
        Poll::Ready(Err(error)) => error,
        Poll::Ready(Ok(_)) => panic!("it was served"),
        Poll::Pending => panic!("it waits"),
    }
}

fn served(result: Poll<Result<TokenLease>>) -> TokenLease {
    match result {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

fn closed(pool: &TestPool, reason: CloseReason) -> u64 {
    pool.shared.read(|state| state.metrics().closed[reason as usize])
}

/// Waker that counts its calls.
#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl CountingWaker {
    fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Dial that never ends and holds a token.
fn endless(count: &Arc<TokenCount>) -> Dial<Token> {
    let token = Token::new(count);
    Box::pin(async move {
        std::future::pending::<()>().await;
        Ok(token)
    })
}

fn dials_endlessly(pool: &TestPool, owner: u32) -> TokenAcquire {
    let count = pool.count.clone();
    pool.acquire_by(A, owner, move |_| endless(&count))
}

#[test]
fn p1_a_dial_is_dropped_before_its_slot_is_free() {
    struct Witness(std::sync::Weak<super::token::TokenShared>, Arc<AtomicUsize>);
    impl Drop for Witness {
        fn drop(&mut self) {
            let open = self.0.upgrade().map(|shared| shared.read(|state| state.metrics().total.open()));
            self.1.store(open.unwrap_or(usize::MAX), Ordering::SeqCst);
        }
    }
    let pool = TestPool::new(limited(1, None));
    let open_then = Arc::new(AtomicUsize::new(usize::MAX));
    let (shared, seen) = (Arc::downgrade(&pool.shared), open_then.clone());
    let mut dialing = pool.acquire_by(A, 1, move |_| {
        let witness = Witness(shared.clone(), seen.clone());
        Box::pin(async move {
            let _socket = &witness;
            std::future::pending().await
        })
    });
    assert!(poll(&mut dialing).is_pending());
    drop(dialing);
    assert_eq!(open_then.load(Ordering::SeqCst), 1, "its slot was still taken");
    pool.shut_down();
}

#[test]
fn p1_an_unused_permit_to_dial_owns_no_socket() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let mut waiter = pool.acquire(B, 1);
    assert!(poll(&mut waiter).is_pending());
    drop(holder);
    assert_eq!((pool.open(), pool.count.alive()), (0, 0), "it has leave and was not polled");
    let holder = served(poll(&mut waiter));
    assert_eq!((pool.open(), holder.idle().is_some()), (1, false));
    drop(holder);
    pool.shut_down();
}

#[test]
fn p2_an_idle_connection_is_reused_without_waiting() {
    let pool = TestPool::new(rules());
    drop(lease(&pool));
    let again = lease(&pool);
    assert!(again.idle().is_some());
    assert_eq!((pool.count.most(), pool.calls.watched.load(Ordering::SeqCst)), (1, 1));
    drop(again);
    pool.shut_down();
}

#[test]
fn p4_a_request_takes_a_released_connection_before_its_dial() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    let mut dialing = dials_endlessly(&pool, 1);
    let waker = Arc::<CountingWaker>::default();
    assert!(waker.poll(&mut dialing).is_pending());
    assert!(!dialing.is_waiting(), "a dial has its own deadline");
    drop(holder);
    assert_eq!((waker.wakes(), pool.calls.driven.load(Ordering::SeqCst)), (1, 1));
    let taken = served(poll(&mut dialing));
    assert!(taken.idle().is_some());
    assert_eq!(pool.open(), 2, "the dial keeps its slot");
    drop(taken);
    pool.shut_down();
}

#[test]
fn p5_a_failed_dial_fails_its_request_and_the_next_proceeds() {
    let pool = TestPool::new(limited(1, None));
    let mut failing = pool.acquire_by(A, 1, |_| Box::pin(async { Err(Error::timeout(Phase::Connect)) }));
    let error = refused(poll(&mut failing));
    assert_eq!((error.phase(), pool.open()), (Some(Phase::Connect), 0));
    drop(lease(&pool));
    pool.shut_down();
}

#[test]
fn p6_only_a_wait_counts_as_waiting() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let count = pool.count.clone();
    let mut waiter = pool.acquire_by(B, 1, move |_| endless(&count));
    assert!(!waiter.is_waiting());
    assert!(poll(&mut waiter).is_pending());
    assert!(waiter.is_waiting());
    drop(holder);
    assert!(poll(&mut waiter).is_pending());
    assert!(!waiter.is_waiting(), "it dials");
    drop(waiter);
    pool.shut_down();
}

#[test]
fn p7_cancelled_between_grant_and_poll() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let (mut first, mut second) = (pool.acquire(A, 1), pool.acquire(A, 1));
    let (first_waker, second_waker) = (Arc::<CountingWaker>::default(), Arc::<CountingWaker>::default());
    assert!(first_waker.poll(&mut first).is_pending() && second_waker.poll(&mut second).is_pending());
    drop(holder);
    assert_eq!((first_waker.wakes(), second_waker.wakes()), (1, 0));
    drop(first);
    assert_eq!(second_waker.wakes(), 1, "at once");
    assert!(served(poll(&mut second)).idle().is_some());
    assert_eq!(pool.count.most(), 1);
    drop(second);
    pool.shut_down();
}

#[test]
fn p7_a_request_is_woken_by_its_latest_waker() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let mut waiter = pool.acquire(A, 1);
    let (before, after) = (Arc::<CountingWaker>::default(), Arc::<CountingWaker>::default());
    assert!(before.poll(&mut waiter).is_pending() && after.poll(&mut waiter).is_pending());
    drop(holder);
    assert_eq!((before.wakes(), after.wakes()), (0, 1));
    drop(waiter);
    pool.shut_down();
}

#[test]
fn p7_a_reused_ticket_does_not_wake_its_former_request() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let waker = Arc::<CountingWaker>::default();
    let mut gone = pool.acquire(A, 1);
    assert!(waker.poll(&mut gone).is_pending());
    drop(gone);
    let mut waiter = pool.acquire(A, 1);
    assert!(poll(&mut waiter).is_pending());
    drop(holder);
    assert_eq!(waker.wakes(), 0);
    drop(waiter);
    pool.shut_down();
}

#[test]
fn p7_a_request_dropped_before_its_first_poll_leaves_nothing() {
    let pool = TestPool::new(limited(1, None));
    drop(pool.acquire(A, 1));
    pool.shut_down();
}

#[test]
fn p7_a_dial_that_panics_frees_its_slot() {
    let pool = TestPool::new(limited(1, None));
    let mut dialing = pool.acquire_by(A, 1, |_| Box::pin(async { panic!("a resolver's fault") }));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(poll(&mut dialing))));
    assert!(panicked.is_err());
    drop(dialing);
    assert_eq!(pool.open(), 0);
    drop(lease(&pool));
    pool.shut_down();
}

#[test]
fn p8_an_unusable_connection_is_closed_for_its_reason() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    holder.with(|token| token.close_reason = Some(CloseReason::Incomplete)).unwrap();
    drop(holder);
    assert_eq!((pool.open(), closed(&pool, CloseReason::Incomplete)), (0, 1));
    assert_eq!(pool.count.ended(), 1, "properly");
    pool.shut_down();
}

#[test]
fn p9_the_keep_alive_hint_reaches_the_state() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    holder.with(|token| token.keep_alive = Some(ms(0))).unwrap();
    drop(holder);
    let next = lease(&pool);
    assert!(next.idle().is_none(), "the server has closed it by now");
    assert_eq!(closed(&pool, CloseReason::IdleTimeout), 1);
    drop(next);
    pool.shut_down();
}

#[test]
fn p10_a_dead_connection_is_replaced_or_redialed() {
    let pool = TestPool::new(limited(2, None));
    let (one, two) = (lease(&pool), lease(&pool));
    drop((one, two));
    let holder = lease(&pool);
    let other = now(holder.replace(CloseReason::PeerClosed, |_| panic!("there is an idle one"))).unwrap();
    assert!(other.idle().is_some());
    assert_eq!((pool.open(), pool.count.alive()), (1, 1));
    let anew = now(other.replace(CloseReason::PeerClosed, |_| instant(&pool.count))).unwrap();
    assert!(anew.idle().is_none(), "what fails now is not sent again");
    assert_eq!((pool.open(), closed(&pool, CloseReason::PeerClosed)), (1, 2));
    drop(anew);
    pool.shut_down();
}

#[test]
fn p10_a_redial_keeps_its_slot_and_overtakes_the_queue() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let mut waiter = pool.acquire(A, 1);
    assert!(poll(&mut waiter).is_pending());
    let anew = now(holder.redial(|_| instant(&pool.count))).unwrap();
    assert!(poll(&mut waiter).is_pending());
    assert_eq!(pool.count.most(), 1, "the socket that failed is gone first");
    drop(anew);
    drop(served(poll(&mut waiter)));
    pool.shut_down();
}

#[test]
fn p10_a_redial_that_fails_frees_its_slot() {
    let pool = TestPool::new(limited(1, None));
    let redialed = now(lease(&pool).redial(|_| Box::pin(async { Err(Error::timeout(Phase::Connect)) })));
    assert_eq!(refused(Poll::Ready(redialed)).phase(), Some(Phase::Connect));
    assert_eq!((pool.open(), closed(&pool, CloseReason::DialFailed)), (0, 1));
    pool.shut_down();
}

#[test]
fn p10_a_request_dropped_while_it_redials_drops_its_dial() {
    let pool = TestPool::new(limited(1, None));
    let mut redialing = Box::pin(lease(&pool).redial(|_| endless(&pool.count)));
    assert!(poll(&mut redialing).is_pending());
    assert_eq!((pool.open(), pool.count.alive()), (1, 1));
    drop(redialing);
    assert_eq!((pool.open(), closed(&pool, CloseReason::Cancelled)), (0, 1));
    pool.shut_down();
}

#[test]
fn p11_drain_fails_the_waiting_and_wakes_them() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let mut waiter = pool.acquire(A, 1);
    let waker = Arc::<CountingWaker>::default();
    assert!(waker.poll(&mut waiter).is_pending());
    pool.shared.event(|state, _| state.drain());
    assert_eq!(waker.wakes(), 1);
    assert!(refused(poll(&mut waiter)).is_closed());
    assert!(refused(poll(&mut pool.acquire(A, 1))).is_closed());
    assert_eq!(pool.calls.emptied.load(Ordering::SeqCst), 0);
    drop(holder);
    assert_ne!(pool.calls.emptied.load(Ordering::SeqCst), 0, "now no socket is left");
    pool.shut_down();
}

#[test]
fn p11_abort_takes_the_connection_and_wakes_its_holder() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    let counter = Arc::<CountingWaker>::default();
    let waker = Waker::from(counter.clone());
    let read = |cx: &mut Context<'_>| holder.poll(cx, |_, _| Poll::<()>::Pending);
    assert!(read(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(pool.shared.event(|state, now| state.abort(None, now)), 1);
    assert_eq!((counter.wakes(), pool.count.alive(), pool.count.ended(), pool.open()), (1, 0, 1, 0));
    match read(&mut Context::from_waker(&waker)) {
        Poll::Ready(Err(error)) => assert!(error.is_closed()),
        Poll::Ready(Ok(())) | Poll::Pending => panic!("the connection is gone"),
    }
    drop(holder);
    assert_eq!(closed(&pool, CloseReason::Aborted), 1, "and is reported once");
    pool.shut_down();
}

#[test]
fn p11_abort_ends_dials_of_requests_and_of_leases() {
    let pool = TestPool::new(rules());
    let mut dialing = dials_endlessly(&pool, 1);
    let mut redialing = Box::pin(lease(&pool).redial(|_| endless(&pool.count)));
    let waker = Arc::<CountingWaker>::default();
    assert!(waker.poll(&mut dialing).is_pending() && waker.poll(&mut redialing).is_pending());
    assert_eq!(pool.shared.event(|state, now| state.abort(Some(1), now)), 2);
    assert_eq!((pool.open(), pool.count.alive()), (0, 0));
    assert!(waker.wakes() >= 2);
    assert!(refused(poll(&mut dialing)).is_closed());
    assert!(refused(poll(&mut redialing)).is_closed());
    drop((dialing, redialing));
    pool.shut_down();
}

#[test]
fn p11_a_passed_deadline_takes_the_connection_as_a_timeout() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    pool.shared.close_slot(holder.slot(), CloseReason::Deadline);
    let error = holder.with(|_| ()).unwrap_err();
    assert!(error.is_timeout() && !error.is_closed());
    drop(holder);
    assert_eq!((pool.open(), closed(&pool, CloseReason::Deadline)), (0, 1));
    pool.shut_down();
}

#[test]
fn p11_a_second_close_of_a_slot_counts_once() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    pool.shared.close_slot(holder.slot(), CloseReason::Deadline);
    pool.shared.close_slot(holder.slot(), CloseReason::Deadline);
    pool.shared.event(|state, now| state.abort(None, now));
    drop(holder);
    assert_eq!(pool.shared.read(|state| state.metrics().closed_total()), 1);
    pool.shut_down();
}

#[test]
fn p11_a_lease_of_a_reassigned_slot_returns_nothing() {
    let pool = TestPool::new(limited(1, None));
    let old = lease(&pool);
    pool.shared.event(|state, now| state.abort(Some(1), now));
    let new = now(pool.acquire(A, 2)).unwrap();
    assert_eq!(old.slot().id, new.slot().id);
    assert!(!pool.shared.returned(old.slot(), None), "the slot's number is all they have in common");
    assert!(!pool.shared.dialed(old.slot()));
    assert_eq!(pool.shared.read(|state| state.metrics().total.in_use), 1);
    drop((old, new));
    pool.shut_down();
}

#[test]
fn p13_the_oldest_lease_is_found_with_its_age() {
    let pool = TestPool::new(limited(1, None));
    let holder = lease(&pool);
    let later = Instant::now() + ms(1000);
    let oldest = pool.shared.read(|state| state.oldest_lease(Some(&A), later));
    let (slot, age) = oldest.unwrap();
    assert!(slot == holder.slot().id && age >= ms(1000));
    assert!(Arc::ptr_eq(&pool.shared.slot(slot).unwrap(), holder.slot()));
    drop(holder);
    pool.shut_down();
}

#[test]
fn p14_a_lease_held_too_long_is_found_by_its_slot() {
    let pool = TestPool::new(rules());
    let holder = lease(&pool);
    let held = pool.shared.event(|state, now| state.held_too_long(ms(0), now));
    assert_eq!(held.first().map(|&(slot, _)| slot), Some(holder.slot().id));
    drop(holder);
    pool.shut_down();
}

#[tokio::test(start_paused = true)]
async fn silence_counts_from_the_start_of_a_wait() {
    let limit = ms(60_000);
    for at_once in [true, false] {
        let pool = TestPool::new(rules());
        let lease = lease(&pool);
        let cx = &mut Context::from_waker(Waker::noop());
        lease.begin(http::Method::GET, ExchangeLimits::new(None, Some(limit), timeouts::now()), |_| {});
        if !at_once {
            assert!(lease.poll(cx, |_, _| Poll::<()>::Pending).is_pending());
        }
        assert!(lease.poll(cx, |_, _| Poll::Ready(())).is_ready());
        // The reader pauses for longer than the server may be silent.
        tokio::time::advance(2 * limit).await;
        assert!(lease.poll(cx, |_, _| Poll::<()>::Pending).is_pending());
        let due = pool.shared.end_overdue(lease.slot(), timeouts::now());
        assert_eq!(due, Some(timeouts::now() + limit), "at once: {at_once}");
        drop(lease);
        pool.shut_down();
    }
}
