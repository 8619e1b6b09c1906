//! Dials that are left behind, given up or fail (P4, P5).

use super::site::{A, A2, B, limited, rules};
use super::world::Is::{Dialing, Failed, Granted, Refused, Waiting};
use super::world::{REUSED, World, left_behind};
use crate::pool::state::{Action, Tally};
use crate::stats::CloseReason;

#[test]
fn p4_a_connection_that_comes_back_is_taken_before_the_own_dial_is_done() {
    let mut world = World::new(rules());
    let holder = world.lease(A);
    let dialing = world.arrive(A);
    let dial = world.slot(dialing);
    world.take_log();
    world.finish(holder);
    assert_eq!(world.poll(dialing), REUSED);
    assert!(world.take_log().contains(&Action::Tend(dial)), "the dial is the keeper's");
    assert!(world.state.is_dialing(dial) && world.state.is_unused(dial));
    assert!(!world.finish_dial(dial));
    assert_eq!(world.state.ledger().total, Tally { in_use: 1, idle: 1, ..Tally::default() });
    world.rest();
}

#[test]
fn p4_a_dial_left_behind_serves_the_next_waiter() {
    let mut world = World::new(limited(2, None));
    let holder = world.lease(A);
    let dialing = world.arrive(A);
    let dial = world.slot(dialing);
    let waiter = world.arrive(A);
    world.finish(holder);
    assert_eq!((world.is(dialing), world.is(waiter)), (Granted, Waiting));
    assert!(!world.finish_dial(dial));
    assert_eq!((world.is(waiter), world.slot(waiter)), (Granted, dial));
    world.rest();
}

#[test]
fn p4_a_dial_left_behind_makes_way_when_nobody_wants_it() {
    for (rules, other) in [(limited(2, None), B), (limited(None, 2), A2)] {
        let mut world = World::new(rules);
        let (_holder, dial) = left_behind(&mut world);
        let newcomer = world.arrive(other);
        assert!(world.take_log().contains(&Action::Close(dial)));
        assert_eq!((world.is(newcomer), world.closed(CloseReason::Evicted)), (Dialing, 1));
        world.rest();
    }
}

#[test]
fn p4_a_dial_left_behind_stays_while_its_own_key_wants_it() {
    let mut world = World::new(limited(2, None));
    let (_holder, dial) = left_behind(&mut world);
    let (own, other) = (world.arrive(A), world.arrive(B));
    assert_eq!((world.is(own), world.is(other), world.state.is_dialing(dial)), (Waiting, Waiting, true));
    world.cancel(own);
    assert_eq!((world.is(other), world.closed(CloseReason::Evicted)), (Dialing, 1), "now nobody wants it");
    world.rest();
}

#[test]
fn p4_a_dial_left_behind_makes_way_once_its_last_waiter_has_its_own() {
    let mut world = World::new(limited(3, None));
    let holder = world.lease(A);
    let (first, second) = (world.arrive(A), world.arrive(A));
    let other = world.arrive(B);
    world.finish(holder);
    assert_eq!((world.is(first), world.is(second), world.is(other)), (Granted, Dialing, Waiting));
    world.connects(second);
    assert_eq!(world.is(other), Dialing);
    world.rest();
}

#[test]
fn p4_a_dial_left_behind_makes_way_once_its_last_waiter_is_drained() {
    let mut world = World::new(limited(2, None));
    let (_holder, _dial) = left_behind(&mut world);
    let (own, other) = (world.arrive_of(A, 2), world.arrive(B));
    world.event(|state, _| state.drain_owner(2));
    assert_eq!((world.is(own), world.is(other)), (Refused, Dialing));
    world.rest();
}

#[test]
fn p4_leave_to_dial_that_was_not_used_is_not_left_behind() {
    let mut world = World::new(limited(2, None));
    let (one, two) = (world.lease(A), world.lease(A));
    let (next, last) = (world.arrive(A), world.arrive(B));
    world.end(one, CloseReason::NotPersistent);
    assert_eq!((world.is(next), world.state.ledger().total.reserved), (Dialing, 1), "not polled yet");
    world.finish(two);
    assert_eq!((world.is(next), world.is(last)), (Granted, Dialing), "its slot went on at once");
    assert_eq!((world.poll(last), world.open()), (Dialing, 2));
    world.rest();
}

#[test]
fn p4_a_request_cancelled_while_it_dials_drops_its_dial() {
    let mut world = World::new(limited(1, None));
    let (dialing, next) = (world.arrive(A), world.arrive(A));
    world.cancel(dialing);
    assert_eq!((world.is(next), world.closed(CloseReason::Cancelled)), (Dialing, 1));
    world.rest();
}

#[test]
fn p5_a_failed_dial_fails_its_own_request_only_and_lets_the_next_go() {
    let mut world = World::new(limited(1, None));
    let (first, second, third) = (world.arrive(A), world.arrive(A), world.arrive(B));
    world.fails(first);
    assert_eq!((world.is(first), world.is(second), world.is(third)), (Failed, Dialing, Waiting));
    let ledger = world.state.ledger();
    assert_eq!((ledger.dials_failed, ledger.closed_total()), (1, 1));
    assert_eq!(world.closed(CloseReason::DialFailed), 1);
    world.rest();
}

#[test]
fn p5_a_dial_left_behind_that_fails_fails_nobody() {
    let mut world = World::new(limited(2, None));
    let (_holder, dial) = left_behind(&mut world);
    let waiter = world.arrive(A);
    assert!(!world.fail_dial(dial));
    assert_eq!(world.is(waiter), Dialing);
    world.rest();
}

#[test]
fn p5_a_dial_that_fails_while_it_is_closed_fails_nobody() {
    let mut world = World::new(limited(1, None));
    let (dialing, next) = (world.arrive(A), world.arrive(A));
    let dial = world.slot(dialing);
    world.hold_closes();
    world.cancel(dialing);
    assert!(!world.fail_dial(dial));
    assert_eq!((world.is(next), world.closed(CloseReason::DialFailed)), (Dialing, 1));
    world.carry_out_closes();
    world.rest();
}
