//! Models of the shared state, in every interleaving of its locks: run with `RUSTFLAGS="--cfg
//! trunkline_loom"`.
//!
//! Dials that are ready at once, a limit of one, two or three threads. In every order of events the
//! remaining request is served, no connection is leased twice, and at the end nothing is open.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::token::{TestPool, Token, TokenAcquire, TokenCount, TokenLease, TokenShared, TokenSlot, instant};
use crate::error::Result;
use crate::pool::connection_slot::{Dial, DialOutcome};
use crate::pool::state::tests::site::{A, B, limited};

fn check(model: impl Fn(TestPool) + Send + Sync + 'static) {
    check_with(1, model);
}

fn check_with(limit: usize, model: impl Fn(TestPool) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || model(TestPool::new(limited(limit, None))));
}

/// A dial that is ready at its second poll, by any task.
fn second_poll(count: &Arc<TokenCount>) -> Dial<Token> {
    let (count, mut polled) = (count.clone(), false);
    Box::pin(std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(Ok(Token::new(&count)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// One poll of a dial, as the maintenance task does it.
fn drive(shared: &Arc<TokenShared>, slot: &TokenSlot) {
    match shared.poll_dial(slot, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(DialOutcome::Open) => drop(shared.dialed(slot)),
        Poll::Ready(DialOutcome::Failed(_)) => drop(shared.dial_failed(slot.id)),
        Poll::Ready(DialOutcome::NoDial | DialOutcome::Ended(_)) | Poll::Pending => {}
    }
}

fn poll(acquire: &mut TokenAcquire) -> Poll<Result<TokenLease>> {
    Pin::new(acquire).poll(&mut Context::from_waker(Waker::noop()))
}

/// Uses a connection, and checks that no other is open.
fn with(lease: &TokenLease, pool: &TestPool) {
    if lease.with(|_| ()).is_ok() {
        assert!(pool.count.most() <= 1, "P1: two sockets at a limit of one");
    }
}

/// P7: a waiter is cancelled between its grant and its poll; the next one is served.
#[test]
fn loom_cancelled_between_grant_and_poll() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let (mut first, mut second) = (pool.acquire(A, 1), pool.acquire(A, 1));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        let returns = thread::spawn(move || drop(lease));
        let cancels = thread::spawn(move || drop(first));
        let served = block_on(second).unwrap();
        with(&served, &pool);
        returns.join().unwrap();
        cancels.join().unwrap();
        drop(served);
        assert_eq!(pool.shared.read(|state| state.metrics().created), 1, "it was handed on, not dialed anew");
        pool.shut_down();
    });
}

#[test]
fn loom_cancelled_while_another_key_waits() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let (mut first, mut second) = (pool.acquire(A, 1), pool.acquire(B, 1));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        let returns = thread::spawn(move || drop(lease));
        let cancels = thread::spawn(move || drop(first));
        let served = block_on(second).unwrap();
        with(&served, &pool);
        returns.join().unwrap();
        cancels.join().unwrap();
        drop(served);
        pool.shut_down();
    });
}

#[test]
fn loom_two_arrive_while_one_returns() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let acquire = pool.acquire(A, 1);
        let arrives = thread::spawn(move || drop(block_on(acquire).unwrap()));
        let acquire = pool.acquire(B, 1);
        let returns = thread::spawn(move || drop(lease));
        let served = block_on(acquire).unwrap();
        with(&served, &pool);
        drop(served);
        arrives.join().unwrap();
        returns.join().unwrap();
        pool.shut_down();
    });
}

/// The slot that the abort frees may be reassigned before the lease reports its end.
#[test]
fn loom_abort_of_one_owner_against_return_and_acquire() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let returns = thread::spawn(move || drop(lease));
        let shared = pool.shared.clone();
        let aborts = thread::spawn(move || shared.event(|state, now| state.abort(Some(1), now)));
        let served = block_on(pool.acquire(A, 2)).unwrap();
        with(&served, &pool);
        assert!(served.with(|_| ()).is_ok(), "the other owner's connection is its own");
        returns.join().unwrap();
        aborts.join().unwrap();
        assert!(pool.shared.read(|state| state.oldest_lease(None, std::time::Instant::now())).is_some());
        drop(served);
        pool.shut_down();
    });
}

#[test]
fn loom_abort_of_one_owner_against_its_dial() {
    check(|pool| {
        let acquire = pool.acquire(A, 1);
        let arrives = thread::spawn(move || drop(block_on(acquire)));
        let shared = pool.shared.clone();
        let aborts = thread::spawn(move || shared.event(|state, now| state.abort(Some(1), now)));
        let served = block_on(pool.acquire(A, 2)).unwrap();
        with(&served, &pool);
        assert!(served.with(|_| ()).is_ok(), "the other owner's connection is its own");
        drop(served);
        arrives.join().unwrap();
        aborts.join().unwrap();
        pool.shut_down();
    });
}

#[test]
fn loom_drain_against_return_and_acquire() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let acquire = pool.acquire(A, 1);
        let arrives = thread::spawn(move || match block_on(acquire) {
            Ok(lease) => drop(lease),
            Err(error) => assert!(error.is_closed()),
        });
        let returns = thread::spawn(move || drop(lease));
        pool.shared.event(|state, _| state.drain());
        arrives.join().unwrap();
        returns.join().unwrap();
        assert_eq!(pool.open(), 0, "P11: what comes back to a closed pool is closed");
        pool.shut_down();
    });
}

#[test]
fn loom_abort_against_return_and_acquire() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let acquire = pool.acquire(A, 1);
        let arrives = thread::spawn(move || match block_on(acquire) {
            Ok(lease) => drop(lease),
            Err(error) => assert!(error.is_closed()),
        });
        let returns = thread::spawn(move || drop(lease));
        pool.shared.event(|state, now| state.abort(None, now));
        arrives.join().unwrap();
        returns.join().unwrap();
        pool.shut_down();
    });
}

#[test]
fn loom_abort_against_redial() {
    check(|pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let count = pool.count.clone();
        let redials = thread::spawn(move || match block_on(lease.redial(|_| instant(&count))) {
            Ok(lease) => drop(lease),
            Err(error) => assert!(error.is_closed()),
        });
        let shared = pool.shared.clone();
        let aborts = thread::spawn(move || shared.event(|state, now| state.abort(Some(1), now)));
        let served = block_on(pool.acquire(A, 2)).unwrap();
        with(&served, &pool);
        assert!(served.with(|_| ()).is_ok(), "the other owner's connection is its own");
        drop(served);
        redials.join().unwrap();
        aborts.join().unwrap();
        pool.shut_down();
    });
}

#[test]
fn loom_eviction_against_checkout() {
    check(|pool| {
        drop(block_on(pool.acquire(A, 1)).unwrap());
        let acquire = pool.acquire(B, 1);
        let evicts = thread::spawn(move || drop(block_on(acquire).unwrap()));
        let served = block_on(pool.acquire(A, 1)).unwrap();
        with(&served, &pool);
        drop(served);
        evicts.join().unwrap();
        pool.shut_down();
    });
}

/// The request and the maintenance task may both poll the dial.
#[test]
fn loom_a_dial_polled_by_two_tasks() {
    check_with(2, |pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let count = pool.count.clone();
        let mut dialing = pool.acquire_by(A, 1, move |_| second_poll(&count));
        assert!(poll(&mut dialing).is_pending());
        let slot = pool.shared.slots().into_iter().find(|slot| !Arc::ptr_eq(slot, lease.slot())).unwrap();
        let shared = pool.shared.clone();
        let drives = thread::spawn(move || {
            drop(lease);
            // Orphaned or not by now: the maintenance task checks, as after a late wake.
            if shared.read(|state| state.is_unused(slot.id)) {
                drive(&shared, &slot);
            }
        });
        drop(block_on(dialing).unwrap());
        drives.join().unwrap();
        pool.shut_down();
    });
}

#[test]
fn loom_an_orphaned_dial_against_its_end() {
    check_with(2, |pool| {
        let lease = block_on(pool.acquire(A, 1)).unwrap();
        let count = pool.count.clone();
        let mut dialing = pool.acquire_by(A, 1, move |_| second_poll(&count));
        assert!(poll(&mut dialing).is_pending());
        let slot = pool.shared.slots().into_iter().find(|slot| !Arc::ptr_eq(slot, lease.slot())).unwrap();
        drop(lease);
        let served = block_on(dialing).unwrap();
        let shared = pool.shared.clone();
        let drives = thread::spawn(move || drive(&shared, &slot));
        // Evicts the dial, or takes its connection if it is done.
        let other = block_on(pool.acquire(B, 1)).unwrap();
        assert!(pool.count.most() <= 2, "P1: three sockets at a limit of two");
        drives.join().unwrap();
        drop((served, other));
        pool.shut_down();
    });
}
