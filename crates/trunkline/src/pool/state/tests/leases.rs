//! Reused connections that turn out to be dead (P10).

use std::time::Duration;

use super::harness::Harness;
use super::harness::RequestStatus::{Dialing, Granted, Waiting};
use super::site::{A, B, C, limited, ms};
use crate::pool::state::Replacement;
use crate::stats::CloseReason;

#[test]
fn p10_idle_time_counts_from_the_last_exchange() {
    let mut harness = Harness::new(limited(1, 1));
    let first = harness.lease(A);
    let slot = harness.slot(first);
    let rested = |harness: &Harness| harness.state.idle_time(slot, harness.now);
    assert_eq!(rested(&harness), Duration::MAX, "it has had none");
    harness.at(10).finish(first);
    let second = harness.at(15).lease(A);
    assert_eq!(rested(&harness), ms(5));
    let (given, next) = (harness.arrive(A), harness.arrive(A));
    harness.at(20).finish(second);
    harness.at(27).cancel(given);
    assert_eq!((harness.status(next), rested(&harness)), (Granted, ms(7)));
    harness.poll(next);
    assert_eq!(harness.replaces(next), Replacement::Dial);
    assert_eq!(rested(&harness), Duration::MAX, "a new connection has taken its place");
    assert!(harness.finish_dial(slot));
    harness.finish(next);
    harness.shut_down();
}

#[test]
fn p10_a_dead_connection_is_replaced_by_another_idle_one() {
    let mut harness = Harness::new(limited(2, None));
    let (one, two) = (harness.lease(A), harness.lease(A));
    let (other, dead) = (harness.slot(one), harness.slot(two));
    harness.finish(one);
    harness.finish(two);
    let holder = harness.lease(A);
    assert_eq!(harness.slot(holder), dead);
    assert_eq!(harness.replaces(holder), Replacement::Reuse(other));
    assert_eq!((harness.open(), harness.closed(CloseReason::PeerClosed)), (1, 1));
    assert_eq!(harness.state.metrics().reused, 2);
    harness.shut_down();
}

#[test]
fn p10_the_slot_of_a_replaced_connection_is_passed_on() {
    let mut harness = Harness::new(limited(3, 2));
    let (one, two) = (harness.lease(A), harness.lease(A));
    harness.finish(one);
    harness.finish(two);
    let holder = harness.lease(A);
    let _third = harness.lease(B);
    harness.hold_closes();
    let waiter = harness.arrive(C);
    assert_eq!(harness.status(waiter), Waiting);
    harness.carry_out_closes();
    harness.poll(waiter);
    assert!(matches!(harness.replaces(holder), Replacement::Dial), "the idle one was evicted");
    harness.shut_down();
}

#[test]
fn p10_a_dead_connection_is_redialed_without_queueing() {
    let mut harness = Harness::new(limited(1, 1));
    harness.warm(&[A]);
    let holder = harness.lease(A);
    let (queued, slot) = (harness.arrive(A), harness.slot(holder));
    assert_eq!(harness.replaces(holder), Replacement::Dial);
    assert_eq!((harness.status(queued), harness.state.metrics().total.dialing), (Waiting, 1));
    let metrics = harness.state.metrics();
    assert_eq!((metrics.created, metrics.closed_total()), (2, 1));
    assert!(harness.finish_dial(slot), "and it is the same request's");
    harness.finish(holder);
    assert_eq!(harness.status(queued), Granted);
    harness.shut_down();
}

#[test]
fn p10_a_failed_redial_fails_its_request_and_frees_the_slot() {
    let mut harness = Harness::new(limited(1, None));
    harness.warm(&[A]);
    let holder = harness.lease(A);
    let (queued, slot) = (harness.arrive(B), harness.slot(holder));
    assert_eq!(harness.replaces(holder), Replacement::Dial);
    assert!(harness.fail_dial(slot));
    assert_eq!(harness.status(queued), Dialing);
    harness.shut_down();
}

#[test]
fn p10_an_aborted_connection_is_not_replaced() {
    for replace in [false, true] {
        let mut harness = Harness::new(limited(2, None));
        let (one, two) = (harness.lease_for(A, 1), harness.lease_for(A, 2));
        harness.finish(two);
        let slot = harness.slot(one);
        harness.keep_aborted();
        assert_eq!(harness.event(|state, now| state.abort(Some(1), now)), 1);
        harness.forget(slot);
        let replacement = if replace {
            harness.replaces(one)
        } else {
            harness.event(|state, now| state.redial(slot, CloseReason::PeerClosed, now))
        };
        assert_eq!(replacement, Replacement::Closed);
        assert_eq!((harness.closed(CloseReason::Aborted), harness.state.metrics().total.idle), (1, 1));
        harness.shut_down();
    }
}
