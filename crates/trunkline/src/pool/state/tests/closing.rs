//! Close of a pool and of a session (P11).

use super::harness::RequestStatus::{Dialing, Granted, Refused, Waiting};
use super::harness::{FRESH, Harness, REUSED};
use super::site::{A, B, C, limited, rules};
use crate::pool::state::{Action, Gauges};
use crate::stats::CloseReason;

#[test]
fn p11_drain_refuses_new_fails_waiting_and_closes_idle() {
    let mut harness = Harness::new(limited(2, None));
    let holder = harness.lease(A);
    harness.warm(&[B]);
    let waiter = harness.arrive(A);
    assert_eq!(harness.status(waiter), Dialing, "B's made way");
    let second = harness.arrive(A);
    harness.event(|state, _| state.drain());
    assert!(!harness.state.is_open());
    assert_eq!((harness.status(waiter), harness.status(second)), (Dialing, Refused), "what is under way goes on");
    let new = harness.arrive(A);
    assert_eq!(harness.status(new), Refused);
    harness.connects(waiter);
    harness.finish(waiter);
    harness.finish(holder);
    assert_eq!((harness.open(), harness.closed(CloseReason::Closed)), (0, 2));
    harness.shut_down();
}

#[test]
fn p11_a_request_under_way_may_go_on_while_the_pool_drains() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    harness.event(|state, _| state.drain());
    let redirected = harness.arrive_under_way(A);
    harness.finish(holder);
    assert_eq!(harness.poll(redirected), REUSED);
    harness.event(|state, now| state.abort(None, now));
    let redirected = harness.arrive_under_way(A);
    assert_eq!(harness.status(redirected), Refused);
    harness.shut_down();
}

#[test]
fn p11_abort_ends_everything_and_counts_the_requests() {
    let mut harness = Harness::new(limited(4, None));
    let (one, two) = (harness.lease(A), harness.lease(A));
    let (redialing, dialing) = (harness.lease(B), harness.arrive(C));
    let slot = harness.slot(redialing);
    harness.event(|state, now| state.redial(slot, CloseReason::PeerClosed, now));
    let granted = harness.arrive(A);
    harness.finish(two);
    assert_eq!((harness.status(granted), harness.status(dialing)), (Granted, Dialing));
    let waiting = harness.arrive(A);
    harness.take_log();
    assert_eq!(harness.event(|state, now| state.abort(None, now)), 4);
    let aborts = harness.take_log().into_iter().filter(|action| matches!(action, Action::Abort(_)));
    assert_eq!((aborts.count(), harness.open()), (2, 0));
    assert_eq!(
        (harness.status(granted), harness.status(dialing), harness.status(waiting)),
        (Refused, Refused, Refused)
    );
    assert_eq!(harness.event(|state, now| state.abort(None, now)), 0);
    let _ = one;
    harness.shut_down();
}

#[test]
fn p11_abort_ends_dials_orphaned_during_the_drain() {
    let mut harness = Harness::new(rules());
    let (holder, dialing) = (harness.lease(A), harness.arrive(A));
    harness.event(|state, _| state.drain());
    harness.finish(holder);
    assert_eq!(harness.poll(dialing), REUSED);
    harness.finish(dialing);
    assert_eq!(harness.state.metrics().total, Gauges { dialing: 1, ..Gauges::default() });
    assert_eq!(harness.event(|state, now| state.abort(None, now)), 0);
    assert_eq!((harness.open(), harness.closed(CloseReason::Closed)), (0, 2));
    harness.shut_down();
}

#[test]
fn p11_drain_of_one_owner_fails_its_waiters_only() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let (theirs, others) = (harness.arrive_for(A, 2), harness.arrive_for(A, 3));
    harness.event(|state, _| state.drain_owner(2));
    assert_eq!((harness.status(theirs), harness.status(others), harness.state.is_open()), (Refused, Waiting, true));
    assert_eq!(harness.poll(theirs), Refused);
    harness.finish(holder);
    assert_eq!(harness.status(others), Granted);
    harness.shut_down();
}

#[test]
fn p11_drain_of_one_owner_keeps_its_requests_under_way() {
    let mut harness = Harness::new(limited(2, None));
    let (holder, dialing) = (harness.lease_for(A, 2), harness.arrive_for(B, 2));
    harness.event(|state, _| state.drain_owner(2));
    assert_eq!((harness.status(holder), harness.status(dialing)), (FRESH, Dialing));
    harness.shut_down();
}

#[test]
fn p11_abort_of_one_owner_ends_its_requests_only() {
    let mut harness = Harness::new(limited(2, None));
    let (_theirs, other) = (harness.lease_for(A, 2), harness.lease_for(B, 3));
    let (waiting, next) = (harness.arrive_for(C, 2), harness.arrive_for(C, 3));
    assert_eq!(harness.event(|state, now| state.abort(Some(2), now)), 2);
    assert_eq!((harness.status(waiting), harness.status(next)), (Refused, Dialing));
    harness.finish(other);
    assert_eq!((harness.state.metrics().total.idle, harness.state.is_open()), (1, true));
    harness.shut_down();
}

#[test]
fn p11_an_aborted_owner_gets_no_further_connection() {
    let mut harness = Harness::new(rules());
    harness.warm(&[A]);
    harness.event(|state, now| state.abort(Some(2), now));
    let (theirs, others) = (harness.arrive_for(A, 2), harness.arrive_for(A, 3));
    assert_eq!((harness.status(theirs), harness.status(others)), (Refused, REUSED), "not even to an idle connection");
    harness.shut_down();
}

#[test]
fn p11_drains_count_the_waiters_that_failed() {
    let mut harness = Harness::new(limited(1, None));
    let _holder = harness.lease(A);
    for owner in [2, 2, 3, 4, 4] {
        harness.arrive_for(A, owner);
    }
    assert_eq!(harness.event(|state, _| state.drain_owner(2)), 2);
    assert_eq!(harness.event(|state, _| state.drain_owner(2)), 0);
    assert_eq!(harness.event(|state, _| state.drain()), 3);
    assert_eq!(harness.event(|state, _| state.drain()), 0);
    harness.shut_down();
}

#[test]
fn p11_a_connection_belongs_to_the_owner_that_uses_it() {
    let mut harness = Harness::new(limited(1, None));
    let first = harness.lease_for(A, 1);
    harness.finish(first);
    let second = harness.lease_for(A, 2);
    assert_eq!(harness.event(|state, now| state.abort(Some(1), now)), 0);
    let third = harness.arrive_for(A, 3);
    harness.finish(second);
    harness.poll(third);
    assert_eq!(harness.event(|state, now| state.abort(Some(2), now)), 0);
    assert_eq!(harness.event(|state, now| state.abort(Some(3), now)), 1);
    harness.shut_down();
}

#[test]
fn p11_an_aborted_connection_is_not_returned() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let slot = harness.slot(holder);
    harness.keep_aborted();
    harness.event(|state, now| state.abort(Some(1), now));
    assert!(!harness.event(|state, now| state.returned(slot, None, now)));
    harness.forget(slot);
    harness.event(|state, now| state.closed(slot, CloseReason::NotPersistent, now));
    assert!(!harness.event(|state, now| state.returned(slot, None, now)), "it is gone");
    assert_eq!((harness.closed(CloseReason::Aborted), harness.closed(CloseReason::NotPersistent)), (1, 0));
    harness.shut_down();
}

#[test]
fn p11_a_dial_that_succeeds_during_its_close_is_unused() {
    let mut harness = Harness::new(limited(1, None));
    let dialing = harness.arrive(A);
    let dial = harness.slot(dialing);
    harness.hold_closes();
    harness.event(|state, now| state.abort(Some(1), now));
    assert!(!harness.finish_dial(dial));
    assert_eq!(harness.open(), 1);
    harness.carry_out_closes();
    assert_eq!((harness.open(), harness.closed(CloseReason::Aborted)), (0, 1));
    harness.shut_down();
}
