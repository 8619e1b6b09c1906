//! Requests that are dropped before they are served (P7).

use super::harness::RequestStatus::{Dialing, Granted, Waiting};
use super::harness::{Harness, REUSED, orphaned_dial};
use super::site::{A, B, C, limited};
use crate::pool::state::Gauges;
use crate::stats::CloseReason;

#[test]
fn p7_cancelled_between_grant_and_poll() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let (first, second) = (harness.arrive(A), harness.arrive(A));
    let slot = harness.slot(holder);
    harness.finish(holder);
    assert_eq!(harness.status(first), Granted);
    harness.cancel(first);
    assert_eq!((harness.status(second), harness.slot(second)), (Granted, slot), "at once, and without a dial");
    assert_eq!(harness.state.metrics().created, 1);
    harness.shut_down();
}

#[test]
fn p7_cancelled_between_grant_and_poll_without_a_next() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let waiter = harness.arrive(A);
    harness.finish(holder);
    harness.cancel(waiter);
    assert_eq!(harness.state.metrics().total, Gauges { idle: 1, ..Gauges::default() });
    let next = harness.arrive(A);
    assert_eq!(harness.status(next), REUSED);
    harness.shut_down();
}

#[test]
fn p7_cancelled_between_permit_and_poll() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let (first, second) = (harness.arrive(B), harness.arrive(C));
    harness.end(holder, CloseReason::NotPersistent);
    assert_eq!(harness.status(first), Dialing);
    harness.cancel(first);
    assert_eq!(harness.status(second), Dialing);
    assert_eq!(harness.state.metrics().created, 1, "nothing was begun");
    harness.shut_down();
}

#[test]
fn p7_cancelled_at_each_position_of_the_queue() {
    for gone in 0..3 {
        let mut harness = Harness::new(limited(1, None));
        let mut holder = harness.lease(A);
        let waiters: Vec<_> = (0..3).map(|_| harness.arrive(A)).collect();
        harness.cancel(waiters[gone]);
        assert_eq!(harness.state.metrics().total.waiting, 2);
        for &waiter in waiters.iter().filter(|&&waiter| waiter != waiters[gone]) {
            harness.finish(holder);
            assert_eq!(harness.poll(waiter), REUSED);
            holder = waiter;
        }
        harness.shut_down();
    }
}

#[test]
fn p7_cancelled_at_the_head_of_several_keys() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let (b, c, later_b) = (harness.arrive(B), harness.arrive(C), harness.arrive(B));
    harness.cancel(b);
    harness.end(holder, CloseReason::NotPersistent);
    assert_eq!((harness.status(c), harness.status(later_b)), (Dialing, Waiting));
    harness.shut_down();
}

#[test]
fn p7_a_socket_that_ends_in_any_phase_frees_its_slot() {
    let mut harness = Harness::new(limited(3, None));
    let (_holder, orphaned_dial) = orphaned_dial(&mut harness);
    let second = harness.lease(B);
    let idle = harness.slot(second);
    harness.finish(second);
    let ended = |harness: &mut Harness, slot| {
        harness.forget(slot);
        harness.event(|state, now| state.closed(slot, CloseReason::Deadline, now));
    };
    ended(&mut harness, idle);
    ended(&mut harness, orphaned_dial);
    assert_eq!(harness.state.metrics().total, Gauges { in_use: 1, ..Gauges::default() });
    assert_eq!(harness.closed(CloseReason::Deadline), 2);
    harness.shut_down();
}

#[test]
fn p7_a_refused_request_leaves_nothing() {
    let mut harness = Harness::new(limited(1, None));
    let _holder = harness.lease(A);
    let waiter = harness.arrive(A);
    harness.event(|state, _| state.drain());
    harness.cancel(waiter);
    harness.shut_down();
}
