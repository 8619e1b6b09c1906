//! Permits to dial, and evictions (P1, P2).

use super::harness::RequestStatus::{Dialing, Granted, Waiting};
use super::harness::{Harness, REUSED};
use super::site::{A, A2, B, C, Site, limited, rules};
use crate::pool::state::{Action, Gauges};
use crate::stats::CloseReason;

#[test]
fn p1_dialing_in_use_and_idle_ones_count() {
    let mut harness = Harness::new(limited(3, None));
    harness.warm(&[A]);
    let _in_use = harness.lease(B);
    let dialing = harness.arrive(C);
    let next = harness.arrive(C);
    assert_eq!((harness.status(dialing), harness.status(next)), (Dialing, Dialing), "the idle one made way");
    let last = harness.arrive(C);
    assert_eq!((harness.open(), harness.status(last)), (3, Waiting));
    harness.shut_down();
}

#[test]
fn p1_a_host_has_its_own_limit_and_its_keys_share_it() {
    let mut harness = Harness::new(limited(None, 1));
    let first = harness.lease(A);
    let (sibling, other) = (harness.arrive(A2), harness.arrive(B));
    assert_eq!((harness.status(sibling), harness.status(other)), (Waiting, Dialing));
    harness.end(first, CloseReason::NotPersistent);
    assert_eq!(harness.status(sibling), Dialing);
    harness.shut_down();
}

#[test]
fn p1_a_permit_to_dial_takes_a_slot_before_its_socket() {
    let mut harness = Harness::new(limited(1, None));
    let first = harness.lease(A);
    let (next, last) = (harness.arrive(A), harness.arrive(B));
    harness.end(first, CloseReason::Incomplete);
    assert_eq!((harness.status(next), harness.status(last), harness.open()), (Dialing, Waiting, 0));
    assert_eq!(harness.state.metrics().total, Gauges { reserved: 1, waiting: 1, ..Gauges::default() });
    harness.poll(next);
    assert_eq!(harness.state.metrics().total, Gauges { dialing: 1, waiting: 1, ..Gauges::default() });
    harness.shut_down();
}

#[test]
fn p1_a_slot_is_free_only_after_its_socket_is_gone() {
    let mut harness = Harness::new(limited(1, None));
    harness.warm(&[A]);
    harness.hold_closes();
    let next = harness.arrive(B);
    assert_eq!((harness.status(next), harness.open()), (Waiting, 1), "a close that was asked for is not done yet");
    harness.carry_out_closes();
    assert_eq!(harness.status(next), Dialing);
    harness.shut_down();
}

#[test]
fn p1_each_attempt_of_a_dial_takes_a_slot_of_both_limits() {
    for rules in [limited(3, None), limited(None, 3)] {
        let mut harness = Harness::new(rules);
        let _other = harness.lease(A);
        let dialing = harness.arrive(A);
        let slot = harness.slot(dialing);
        assert!(harness.event(|state, _| state.begin_attempt(slot)));
        assert!(!harness.event(|state, _| state.begin_attempt(slot)), "no room for a third address");
        let waiting = harness.arrive(A);
        assert_eq!((harness.open(), harness.status(waiting)), (3, Waiting));
        assert_eq!(harness.state.host(&A), Gauges { dialing: 2, in_use: 1, waiting: 1, ..Gauges::default() });
        harness.event(|state, now| state.end_attempt(slot, now));
        assert_eq!(harness.status(waiting), Dialing, "the slot of an ended attempt goes to a waiter");
        assert_eq!(harness.closed(CloseReason::Superseded), 1);
        harness.shut_down();
    }
}

#[test]
fn p2_the_most_recently_used_idle_connection_is_reused() {
    let mut harness = Harness::new(rules());
    let (one, two) = (harness.lease(A), harness.lease(A));
    let (older, newer) = (harness.slot(one), harness.slot(two));
    harness.finish(one);
    harness.finish(two);
    let first = harness.arrive(A);
    assert_eq!((harness.status(first), harness.slot(first)), (REUSED, newer));
    let second = harness.arrive(A);
    assert_eq!((harness.status(second), harness.slot(second)), (REUSED, older));
    assert_eq!(harness.state.metrics().reused, 2);
    harness.shut_down();
}

#[test]
fn p2_a_new_request_does_not_take_a_granted_connection() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let waiter = harness.arrive(A);
    harness.finish(holder);
    let newcomer = harness.arrive(A);
    assert_eq!((harness.status(waiter), harness.status(newcomer)), (Granted, Waiting));
    assert_eq!(harness.poll(waiter), REUSED);
    assert_eq!(harness.state.metrics().reused, 1);
    harness.shut_down();
}

#[test]
fn p2_the_least_recently_used_idle_connection_makes_way() {
    let mut harness = Harness::new(limited(3, None));
    harness.warm(&[A, B, C]);
    let used = harness.lease(A);
    harness.finish(used);
    let next = harness.arrive(Site(3, 0));
    assert_eq!(harness.status(next), Dialing);
    assert_eq!((harness.state.host(&A).idle, harness.state.host(&B).open(), harness.state.host(&C).idle), (1, 0, 1));
    assert_eq!(harness.closed(CloseReason::Evicted), 1);
    harness.shut_down();
}

#[test]
fn p2_only_a_sibling_key_makes_way_at_a_host_limit() {
    let mut harness = Harness::new(limited(None, 1));
    harness.warm(&[B, A]);
    let next = harness.arrive(A2);
    assert_eq!(harness.status(next), Dialing);
    assert_eq!((harness.state.host(&B).idle, harness.state.host(&A).idle), (1, 0));
    harness.shut_down();
}

#[test]
fn p2_a_close_that_would_not_help_is_not_done() {
    let mut harness = Harness::new(limited(2, 1));
    let _holder = harness.lease(A);
    harness.warm(&[B]);
    let waiter = harness.arrive(A);
    assert_eq!(
        (harness.status(waiter), harness.state.host(&B).idle),
        (Waiting, 1),
        "its own host's limit is in the way"
    );
    assert_eq!(harness.closed(CloseReason::Evicted), 0);
    harness.shut_down();
}

#[test]
fn p2_one_request_closes_one_connection() {
    // An idle connection and an unwanted dial: one close is enough.
    let mut harness = Harness::new(limited(3, None));
    let (holder, dialing) = (harness.lease(A), harness.arrive(A));
    harness.finish(holder);
    harness.poll(dialing);
    harness.warm(&[B]);
    assert_eq!(harness.open(), 3);
    harness.hold_closes();
    harness.arrive(C);
    let closes = harness.take_log().into_iter().filter(|action| matches!(action, Action::Close(_)));
    assert_eq!(closes.count(), 1);
    harness.shut_down();
}
