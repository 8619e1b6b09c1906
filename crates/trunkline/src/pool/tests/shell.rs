//! The rules as far as the locked shell decides them: requests are futures, connections are tokens.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::token::{Count, Outside, Token, TokenAcquire, TokenLease, instant};
use crate::error::{Error, Phase, Result};
use crate::pool::cell::{Dial, Limits};
use crate::pool::state::tests::site::{A, B, limited, ms, rules};
use crate::stats::CloseReason;
use crate::timeouts;

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The outcome of what needs no waiting.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn lease(outside: &Outside) -> TokenLease {
    now(outside.acquire(A, 1)).unwrap()
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

fn closed(outside: &Outside, reason: CloseReason) -> u64 {
    outside.shell.read(|state| state.ledger().closed[reason as usize])
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A dial that never ends and holds a socket, as it were.
fn endless(count: &Arc<Count>) -> Dial<Token> {
    let token = Token::new(count);
    Box::pin(async move {
        std::future::pending::<()>().await;
        Ok(token)
    })
}

fn dials_endlessly(outside: &Outside, owner: u32) -> TokenAcquire {
    let count = outside.count.clone();
    outside.acquire_by(A, owner, move |_| endless(&count))
}

#[test]
fn p1_a_dial_is_dropped_before_its_slot_is_free() {
    struct Witness(std::sync::Weak<super::token::TokenShell>, Arc<AtomicUsize>);
    impl Drop for Witness {
        fn drop(&mut self) {
            let open = self.0.upgrade().map(|shell| shell.read(|state| state.ledger().total.open()));
            self.1.store(open.unwrap_or(usize::MAX), Ordering::SeqCst);
        }
    }
    let outside = Outside::new(limited(1, None));
    let open_then = Arc::new(AtomicUsize::new(usize::MAX));
    let (shell, seen) = (Arc::downgrade(&outside.shell), open_then.clone());
    let mut dialing = outside.acquire_by(A, 1, move |_| {
        let witness = Witness(shell.clone(), seen.clone());
        Box::pin(async move {
            let _socket = &witness;
            std::future::pending().await
        })
    });
    assert!(poll(&mut dialing).is_pending());
    drop(dialing);
    assert_eq!(open_then.load(Ordering::SeqCst), 1, "its slot was still taken");
    outside.rest();
}

#[test]
fn p1_leave_to_dial_that_is_not_used_owns_nothing() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let mut waiter = outside.acquire(B, 1);
    assert!(poll(&mut waiter).is_pending());
    drop(holder);
    assert_eq!((outside.open(), outside.count.alive()), (0, 0), "it has leave and was not polled");
    let holder = served(poll(&mut waiter));
    assert_eq!((outside.open(), holder.idle().is_some()), (1, false));
    drop(holder);
    outside.rest();
}

#[test]
fn p2_an_idle_connection_is_reused_without_waiting() {
    let outside = Outside::new(rules());
    drop(lease(&outside));
    let again = lease(&outside);
    assert!(again.idle().is_some());
    assert_eq!((outside.count.most(), outside.notes.idle.load(Ordering::SeqCst)), (1, 1));
    drop(again);
    outside.rest();
}

#[test]
fn p4_whichever_is_ready_first_and_the_dial_is_the_keepers() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    let mut dialing = dials_endlessly(&outside, 1);
    let bell = Arc::<Bell>::default();
    assert!(bell.poll(&mut dialing).is_pending());
    assert!(!dialing.is_waiting(), "a dial has its own deadline");
    drop(holder);
    assert_eq!((bell.rung(), outside.notes.tended.load(Ordering::SeqCst)), (1, 1));
    let taken = served(poll(&mut dialing));
    assert!(taken.idle().is_some());
    assert_eq!(outside.open(), 2, "the dial keeps its slot");
    drop(taken);
    outside.rest();
}

#[test]
fn p5_the_request_that_dials_gets_the_dials_error_and_the_next_goes() {
    let outside = Outside::new(limited(1, None));
    let mut failing = outside.acquire_by(A, 1, |_| Box::pin(async { Err(Error::timeout(Phase::Connect)) }));
    let error = refused(poll(&mut failing));
    assert_eq!((error.phase(), outside.open()), (Some(Phase::Connect), 0));
    drop(lease(&outside));
    outside.rest();
}

#[test]
fn p6_only_a_wait_counts_as_waiting() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let count = outside.count.clone();
    let mut waiter = outside.acquire_by(B, 1, move |_| endless(&count));
    assert!(!waiter.is_waiting());
    assert!(poll(&mut waiter).is_pending());
    assert!(waiter.is_waiting());
    drop(holder);
    assert!(poll(&mut waiter).is_pending());
    assert!(!waiter.is_waiting(), "it dials");
    drop(waiter);
    outside.rest();
}

#[test]
fn p7_cancelled_between_grant_and_poll() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let (mut first, mut second) = (outside.acquire(A, 1), outside.acquire(A, 1));
    let (bell_one, bell_two) = (Arc::<Bell>::default(), Arc::<Bell>::default());
    assert!(bell_one.poll(&mut first).is_pending() && bell_two.poll(&mut second).is_pending());
    drop(holder);
    assert_eq!((bell_one.rung(), bell_two.rung()), (1, 0));
    drop(first);
    assert_eq!(bell_two.rung(), 1, "at once");
    assert!(served(poll(&mut second)).idle().is_some());
    assert_eq!(outside.count.most(), 1);
    drop(second);
    outside.rest();
}

#[test]
fn p7_a_request_is_woken_by_its_latest_waker() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let mut waiter = outside.acquire(A, 1);
    let (before, after) = (Arc::<Bell>::default(), Arc::<Bell>::default());
    assert!(before.poll(&mut waiter).is_pending() && after.poll(&mut waiter).is_pending());
    drop(holder);
    assert_eq!((before.rung(), after.rung()), (0, 1));
    drop(waiter);
    outside.rest();
}

#[test]
fn p7_a_ticket_that_was_anothers_does_not_wake_that_one() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let bell = Arc::<Bell>::default();
    let mut gone = outside.acquire(A, 1);
    assert!(bell.poll(&mut gone).is_pending());
    drop(gone);
    let mut waiter = outside.acquire(A, 1);
    assert!(poll(&mut waiter).is_pending());
    drop(holder);
    assert_eq!(bell.rung(), 0);
    drop(waiter);
    outside.rest();
}

#[test]
fn p7_a_request_dropped_before_its_first_poll_leaves_nothing() {
    let outside = Outside::new(limited(1, None));
    drop(outside.acquire(A, 1));
    outside.rest();
}

#[test]
fn p7_a_dial_that_panics_frees_its_slot() {
    let outside = Outside::new(limited(1, None));
    let mut dialing = outside.acquire_by(A, 1, |_| Box::pin(async { panic!("a resolver's fault") }));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(poll(&mut dialing))));
    assert!(panicked.is_err());
    drop(dialing);
    assert_eq!(outside.open(), 0);
    drop(lease(&outside));
    outside.rest();
}

#[test]
fn p8_a_connection_unfit_for_another_exchange_is_closed_for_its_reason() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    holder.with(|token| token.unfit = Some(CloseReason::Incomplete)).unwrap();
    drop(holder);
    assert_eq!((outside.open(), closed(&outside, CloseReason::Incomplete)), (0, 1));
    assert_eq!(outside.count.ended(), 1, "properly");
    outside.rest();
}

#[test]
fn p9_the_servers_hint_goes_along() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    holder.with(|token| token.keep_alive = Some(ms(0))).unwrap();
    drop(holder);
    let next = lease(&outside);
    assert!(next.idle().is_none(), "the server has closed it by now");
    assert_eq!(closed(&outside, CloseReason::IdleTimeout), 1);
    drop(next);
    outside.rest();
}

#[test]
fn p10_a_dead_connection_is_replaced_by_an_idle_one_or_dialed_anew() {
    let outside = Outside::new(limited(2, None));
    let (one, two) = (lease(&outside), lease(&outside));
    drop((one, two));
    let holder = lease(&outside);
    let other = now(holder.replace(CloseReason::PeerClosed, |_| panic!("there is an idle one"))).unwrap();
    assert!(other.idle().is_some());
    assert_eq!((outside.open(), outside.count.alive()), (1, 1));
    let anew = now(other.replace(CloseReason::PeerClosed, |_| instant(&outside.count))).unwrap();
    assert!(anew.idle().is_none(), "what fails now is not sent again");
    assert_eq!((outside.open(), closed(&outside, CloseReason::PeerClosed)), (1, 2));
    drop(anew);
    outside.rest();
}

#[test]
fn p10_a_redial_keeps_its_slot_and_overtakes_the_queue() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let mut waiter = outside.acquire(A, 1);
    assert!(poll(&mut waiter).is_pending());
    let anew = now(holder.redial(|_| instant(&outside.count))).unwrap();
    assert!(poll(&mut waiter).is_pending());
    assert_eq!(outside.count.most(), 1, "the socket that failed is gone first");
    drop(anew);
    drop(served(poll(&mut waiter)));
    outside.rest();
}

#[test]
fn p10_a_redial_that_fails_frees_its_slot() {
    let outside = Outside::new(limited(1, None));
    let redialed = now(lease(&outside).redial(|_| Box::pin(async { Err(Error::timeout(Phase::Connect)) })));
    assert_eq!(refused(Poll::Ready(redialed)).phase(), Some(Phase::Connect));
    assert_eq!((outside.open(), closed(&outside, CloseReason::DialFailed)), (0, 1));
    outside.rest();
}

#[test]
fn p10_a_request_dropped_while_it_redials_drops_its_dial() {
    let outside = Outside::new(limited(1, None));
    let mut redialing = Box::pin(lease(&outside).redial(|_| endless(&outside.count)));
    assert!(poll(&mut redialing).is_pending());
    assert_eq!((outside.open(), outside.count.alive()), (1, 1));
    drop(redialing);
    assert_eq!((outside.open(), closed(&outside, CloseReason::Cancelled)), (0, 1));
    outside.rest();
}

#[test]
fn p11_drain_fails_the_waiting_and_wakes_them() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let mut waiter = outside.acquire(A, 1);
    let bell = Arc::<Bell>::default();
    assert!(bell.poll(&mut waiter).is_pending());
    outside.shell.event(|state, _| state.drain());
    assert_eq!(bell.rung(), 1);
    assert!(refused(poll(&mut waiter)).is_closed());
    assert!(refused(poll(&mut outside.acquire(A, 1))).is_closed());
    assert_eq!(outside.notes.emptied.load(Ordering::SeqCst), 0);
    drop(holder);
    assert_ne!(outside.notes.emptied.load(Ordering::SeqCst), 0, "now no socket is left");
    outside.rest();
}

#[test]
fn p11_abort_takes_the_connection_and_wakes_its_holder_who_sees_closed() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(bell.clone());
    let read = |cx: &mut Context<'_>| holder.poll(cx, |_, _| Poll::<()>::Pending);
    assert!(read(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(outside.shell.event(|state, now| state.abort(None, now)), 1);
    assert_eq!((bell.rung(), outside.count.alive(), outside.count.ended(), outside.open()), (1, 0, 1, 0));
    match read(&mut Context::from_waker(&waker)) {
        Poll::Ready(Err(error)) => assert!(error.is_closed()),
        Poll::Ready(Ok(())) | Poll::Pending => panic!("the connection is gone"),
    }
    drop(holder);
    assert_eq!(closed(&outside, CloseReason::Aborted), 1, "and is reported once");
    outside.rest();
}

#[test]
fn p11_abort_ends_dials_of_requests_and_of_leases() {
    let outside = Outside::new(rules());
    let mut dialing = dials_endlessly(&outside, 1);
    let mut redialing = Box::pin(lease(&outside).redial(|_| endless(&outside.count)));
    let bell = Arc::<Bell>::default();
    assert!(bell.poll(&mut dialing).is_pending() && bell.poll(&mut redialing).is_pending());
    assert_eq!(outside.shell.event(|state, now| state.abort(Some(1), now)), 2);
    assert_eq!((outside.open(), outside.count.alive()), (0, 0));
    assert!(bell.rung() >= 2);
    assert!(refused(poll(&mut dialing)).is_closed());
    assert!(refused(poll(&mut redialing)).is_closed());
    drop((dialing, redialing));
    outside.rest();
}

#[test]
fn p11_a_passed_deadline_takes_the_connection_as_a_timeout() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    outside.shell.close_cell(holder.cell(), CloseReason::Deadline);
    let error = holder.with(|_| ()).unwrap_err();
    assert!(error.is_timeout() && !error.is_closed());
    drop(holder);
    assert_eq!((outside.open(), closed(&outside, CloseReason::Deadline)), (0, 1));
    outside.rest();
}

#[test]
fn p11_what_is_closed_twice_is_closed_once() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    outside.shell.close_cell(holder.cell(), CloseReason::Deadline);
    outside.shell.close_cell(holder.cell(), CloseReason::Deadline);
    outside.shell.event(|state, now| state.abort(None, now));
    drop(holder);
    assert_eq!(outside.shell.read(|state| state.ledger().closed_total()), 1);
    outside.rest();
}

#[test]
fn p11_a_lease_whose_slot_is_anothers_by_now_gives_nothing_back() {
    let outside = Outside::new(limited(1, None));
    let old = lease(&outside);
    outside.shell.event(|state, now| state.abort(Some(1), now));
    let new = now(outside.acquire(A, 2)).unwrap();
    assert_eq!(old.cell().slot, new.cell().slot);
    assert!(!outside.shell.returned(old.cell(), None), "the slot's number is all they have in common");
    assert!(!outside.shell.dialed(old.cell()));
    assert_eq!(outside.shell.read(|state| state.ledger().total.in_use), 1);
    drop((old, new));
    outside.rest();
}

#[test]
fn p13_who_holds_what_and_for_how_long() {
    let outside = Outside::new(limited(1, None));
    let holder = lease(&outside);
    let later = Instant::now() + ms(1000);
    let oldest = outside.shell.read(|state| state.oldest_lease(Some(&A), later));
    let (slot, age) = oldest.unwrap();
    assert!(slot == holder.cell().slot && age >= ms(1000));
    assert!(Arc::ptr_eq(&outside.shell.cell(slot).unwrap(), holder.cell()));
    drop(holder);
    outside.rest();
}

#[test]
fn p14_a_lease_held_too_long_is_found_by_its_slot() {
    let outside = Outside::new(rules());
    let holder = lease(&outside);
    let held = outside.shell.event(|state, now| state.held_too_long(ms(0), now));
    assert_eq!(held.first().map(|&(slot, _)| slot), Some(holder.cell().slot));
    drop(holder);
    outside.rest();
}

#[tokio::test(start_paused = true)]
async fn silence_counts_from_when_somebody_waits_also_if_the_answer_came_at_once() {
    let limit = ms(60_000);
    for at_once in [true, false] {
        let outside = Outside::new(rules());
        let lease = lease(&outside);
        let cx = &mut Context::from_waker(Waker::noop());
        lease.begin(http::Method::GET, Limits::new(None, Some(limit), timeouts::now()), |_| {});
        if !at_once {
            assert!(lease.poll(cx, |_, _| Poll::<()>::Pending).is_pending());
        }
        assert!(lease.poll(cx, |_, _| Poll::Ready(())).is_ready());
        // The reader rests for longer than the server may.
        tokio::time::advance(2 * limit).await;
        assert!(lease.poll(cx, |_, _| Poll::<()>::Pending).is_pending());
        let due = outside.shell.end_overdue(lease.cell(), timeouts::now());
        assert_eq!(due, Some(timeouts::now() + limit), "at once: {at_once}");
        drop(lease);
        outside.rest();
    }
}
