//! Dials that are orphaned, given up or fail (P4, P5).

use super::harness::RequestStatus::{Dialing, Failed, Granted, Refused, Waiting};
use super::harness::{Harness, REUSED, orphaned_dial};
use super::site::{A, A2, B, limited, rules};
use crate::pool::state::{Action, Gauges};
use crate::stats::CloseReason;

#[test]
fn p4_a_released_connection_is_taken_before_the_own_dial() {
    let mut harness = Harness::new(rules());
    let holder = harness.lease(A);
    let dialing = harness.arrive(A);
    let dial = harness.slot(dialing);
    harness.take_log();
    harness.finish(holder);
    assert_eq!(harness.poll(dialing), REUSED);
    assert!(harness.take_log().contains(&Action::Drive(dial)), "the maintenance task drives the dial");
    assert!(harness.state.is_dialing(dial) && harness.state.is_unused(dial));
    assert!(!harness.finish_dial(dial));
    assert_eq!(harness.state.metrics().total, Gauges { in_use: 1, idle: 1, ..Gauges::default() });
    harness.shut_down();
}

#[test]
fn p4_an_orphaned_dial_serves_the_next_waiter() {
    let mut harness = Harness::new(limited(2, None));
    let holder = harness.lease(A);
    let dialing = harness.arrive(A);
    let dial = harness.slot(dialing);
    let waiter = harness.arrive(A);
    harness.finish(holder);
    assert_eq!((harness.status(dialing), harness.status(waiter)), (Granted, Waiting));
    assert!(!harness.finish_dial(dial));
    assert_eq!((harness.status(waiter), harness.slot(waiter)), (Granted, dial));
    harness.shut_down();
}

#[test]
fn p4_an_unwanted_orphaned_dial_makes_way() {
    for (rules, other) in [(limited(2, None), B), (limited(None, 2), A2)] {
        let mut harness = Harness::new(rules);
        let (_holder, dial) = orphaned_dial(&mut harness);
        let newcomer = harness.arrive(other);
        assert!(harness.take_log().contains(&Action::Close(dial)));
        assert_eq!((harness.status(newcomer), harness.closed(CloseReason::Evicted)), (Dialing, 1));
        harness.shut_down();
    }
}

#[test]
fn p4_an_orphaned_dial_stays_while_its_key_wants_it() {
    let mut harness = Harness::new(limited(2, None));
    let (_holder, dial) = orphaned_dial(&mut harness);
    let (own, other) = (harness.arrive(A), harness.arrive(B));
    assert_eq!((harness.status(own), harness.status(other), harness.state.is_dialing(dial)), (Waiting, Waiting, true));
    harness.cancel(own);
    assert_eq!((harness.status(other), harness.closed(CloseReason::Evicted)), (Dialing, 1), "no request wants it now");
    harness.shut_down();
}

#[test]
fn p4_an_orphaned_dial_makes_way_after_its_last_waiter_dials() {
    let mut harness = Harness::new(limited(3, None));
    let holder = harness.lease(A);
    let (first, second) = (harness.arrive(A), harness.arrive(A));
    let other = harness.arrive(B);
    harness.finish(holder);
    assert_eq!((harness.status(first), harness.status(second), harness.status(other)), (Granted, Dialing, Waiting));
    harness.connects(second);
    assert_eq!(harness.status(other), Dialing);
    harness.shut_down();
}

#[test]
fn p4_an_orphaned_dial_makes_way_after_its_last_waiter_fails() {
    let mut harness = Harness::new(limited(2, None));
    let (_holder, _dial) = orphaned_dial(&mut harness);
    let (own, other) = (harness.arrive_for(A, 2), harness.arrive(B));
    harness.event(|state, _| state.drain_owner(2));
    assert_eq!((harness.status(own), harness.status(other)), (Refused, Dialing));
    harness.shut_down();
}

#[test]
fn p4_an_unused_permit_to_dial_is_not_orphaned() {
    let mut harness = Harness::new(limited(2, None));
    let (one, two) = (harness.lease(A), harness.lease(A));
    let (next, last) = (harness.arrive(A), harness.arrive(B));
    harness.end(one, CloseReason::NotPersistent);
    assert_eq!((harness.status(next), harness.state.metrics().total.reserved), (Dialing, 1), "not polled yet");
    harness.finish(two);
    assert_eq!((harness.status(next), harness.status(last)), (Granted, Dialing), "its slot was passed on at once");
    assert_eq!((harness.poll(last), harness.open()), (Dialing, 2));
    harness.shut_down();
}

#[test]
fn p4_a_request_cancelled_while_it_dials_drops_its_dial() {
    let mut harness = Harness::new(limited(1, None));
    let (dialing, next) = (harness.arrive(A), harness.arrive(A));
    harness.cancel(dialing);
    assert_eq!((harness.status(next), harness.closed(CloseReason::Cancelled)), (Dialing, 1));
    harness.shut_down();
}

#[test]
fn p5_a_failed_dial_fails_its_own_request_only() {
    let mut harness = Harness::new(limited(1, None));
    let (first, second, third) = (harness.arrive(A), harness.arrive(A), harness.arrive(B));
    harness.fails(first);
    assert_eq!((harness.status(first), harness.status(second), harness.status(third)), (Failed, Dialing, Waiting));
    let metrics = harness.state.metrics();
    assert_eq!((metrics.dials_failed, metrics.closed_total()), (1, 1));
    assert_eq!(harness.closed(CloseReason::DialFailed), 1);
    harness.shut_down();
}

#[test]
fn p5_an_orphaned_dial_that_fails_fails_no_request() {
    let mut harness = Harness::new(limited(2, None));
    let (_holder, dial) = orphaned_dial(&mut harness);
    let waiter = harness.arrive(A);
    assert!(!harness.fail_dial(dial));
    assert_eq!(harness.status(waiter), Dialing);
    harness.shut_down();
}

#[test]
fn p5_a_dial_that_fails_during_its_close_fails_no_request() {
    let mut harness = Harness::new(limited(1, None));
    let (dialing, next) = (harness.arrive(A), harness.arrive(A));
    let dial = harness.slot(dialing);
    harness.hold_closes();
    harness.cancel(dialing);
    assert!(!harness.fail_dial(dial));
    assert_eq!((harness.status(next), harness.closed(CloseReason::DialFailed)), (Dialing, 1));
    harness.carry_out_closes();
    harness.shut_down();
}
