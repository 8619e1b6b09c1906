//! The end of a pool or of a session (P11).

use super::site::{A, B, C, limited, rules};
use super::world::Is::{Dialing, Granted, Refused, Waiting};
use super::world::{FRESH, REUSED, World};
use crate::pool::state::{Action, Tally};
use crate::stats::CloseReason;

#[test]
fn p11_drain_refuses_the_new_fails_the_waiting_and_closes_the_idle() {
    let mut world = World::new(limited(2, None));
    let holder = world.lease(A);
    world.warm(&[B]);
    let waiter = world.arrive(A);
    assert_eq!(world.is(waiter), Dialing, "B's made way");
    let second = world.arrive(A);
    world.event(|state, _| state.drain());
    assert!(!world.state.is_open());
    assert_eq!((world.is(waiter), world.is(second)), (Dialing, Refused), "what is under way goes on");
    let new = world.arrive(A);
    assert_eq!(world.is(new), Refused);
    world.connects(waiter);
    world.finish(waiter);
    world.finish(holder);
    assert_eq!((world.open(), world.closed(CloseReason::Closed)), (0, 2));
    world.rest();
}

#[test]
fn p11_a_request_under_way_may_go_on_while_the_pool_drains() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    world.event(|state, _| state.drain());
    let redirected = world.arrive_under_way(A);
    world.finish(holder);
    assert_eq!(world.poll(redirected), REUSED);
    world.event(|state, now| state.abort(None, now));
    let redirected = world.arrive_under_way(A);
    assert_eq!(world.is(redirected), Refused);
    world.rest();
}

#[test]
fn p11_abort_ends_everything_and_says_how_many_requests_that_were() {
    let mut world = World::new(limited(4, None));
    let (one, two) = (world.lease(A), world.lease(A));
    let (redialing, dialing) = (world.lease(B), world.arrive(C));
    let slot = world.slot(redialing);
    world.event(|state, now| state.redial(slot, CloseReason::PeerClosed, now));
    let granted = world.arrive(A);
    world.finish(two);
    assert_eq!((world.is(granted), world.is(dialing)), (Granted, Dialing));
    let waiting = world.arrive(A);
    world.take_log();
    assert_eq!(world.event(|state, now| state.abort(None, now)), 4);
    let aborts = world.take_log().into_iter().filter(|action| matches!(action, Action::Abort(_)));
    assert_eq!((aborts.count(), world.open()), (2, 0));
    assert_eq!((world.is(granted), world.is(dialing), world.is(waiting)), (Refused, Refused, Refused));
    assert_eq!(world.event(|state, now| state.abort(None, now)), 0);
    let _ = one;
    world.rest();
}

#[test]
fn p11_abort_ends_dials_that_were_left_behind_while_it_drained() {
    let mut world = World::new(rules());
    let (holder, dialing) = (world.lease(A), world.arrive(A));
    world.event(|state, _| state.drain());
    world.finish(holder);
    assert_eq!(world.poll(dialing), REUSED);
    world.finish(dialing);
    assert_eq!(world.state.ledger().total, Tally { dialing: 1, ..Tally::default() });
    assert_eq!(world.event(|state, now| state.abort(None, now)), 0);
    assert_eq!((world.open(), world.closed(CloseReason::Closed)), (0, 2));
    world.rest();
}

#[test]
fn p11_drain_of_one_owner_fails_its_waiters_and_nobody_elses() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let (theirs, others) = (world.arrive_of(A, 2), world.arrive_of(A, 3));
    world.event(|state, _| state.drain_owner(2));
    assert_eq!((world.is(theirs), world.is(others), world.state.is_open()), (Refused, Waiting, true));
    assert_eq!(world.poll(theirs), Refused);
    world.finish(holder);
    assert_eq!(world.is(others), Granted);
    world.rest();
}

#[test]
fn p11_drain_of_one_owner_leaves_what_it_has_under_way() {
    let mut world = World::new(limited(2, None));
    let (holder, dialing) = (world.lease_of(A, 2), world.arrive_of(B, 2));
    world.event(|state, _| state.drain_owner(2));
    assert_eq!((world.is(holder), world.is(dialing)), (FRESH, Dialing));
    world.rest();
}

#[test]
fn p11_abort_of_one_owner_ends_its_requests_and_serves_the_others() {
    let mut world = World::new(limited(2, None));
    let (_theirs, other) = (world.lease_of(A, 2), world.lease_of(B, 3));
    let (waiting, next) = (world.arrive_of(C, 2), world.arrive_of(C, 3));
    assert_eq!(world.event(|state, now| state.abort(Some(2), now)), 2);
    assert_eq!((world.is(waiting), world.is(next)), (Refused, Dialing));
    world.finish(other);
    assert_eq!((world.state.ledger().total.idle, world.state.is_open()), (1, true));
    world.rest();
}

#[test]
fn p11_a_request_of_an_aborted_owner_gets_no_further() {
    let mut world = World::new(rules());
    world.warm(&[A]);
    world.event(|state, now| state.abort(Some(2), now));
    let (theirs, others) = (world.arrive_of(A, 2), world.arrive_of(A, 3));
    assert_eq!((world.is(theirs), world.is(others)), (Refused, REUSED), "not even to an idle connection");
    world.rest();
}

#[test]
fn p11_drains_say_how_many_waiters_they_failed() {
    let mut world = World::new(limited(1, None));
    let _holder = world.lease(A);
    for owner in [2, 2, 3, 4, 4] {
        world.arrive_of(A, owner);
    }
    assert_eq!(world.event(|state, _| state.drain_owner(2)), 2);
    assert_eq!(world.event(|state, _| state.drain_owner(2)), 0);
    assert_eq!(world.event(|state, _| state.drain()), 3);
    assert_eq!(world.event(|state, _| state.drain()), 0);
    world.rest();
}

#[test]
fn p11_a_connection_belongs_to_whoever_uses_it_now() {
    let mut world = World::new(limited(1, None));
    let first = world.lease_of(A, 1);
    world.finish(first);
    let second = world.lease_of(A, 2);
    assert_eq!(world.event(|state, now| state.abort(Some(1), now)), 0);
    let third = world.arrive_of(A, 3);
    world.finish(second);
    world.poll(third);
    assert_eq!(world.event(|state, now| state.abort(Some(2), now)), 0);
    assert_eq!(world.event(|state, now| state.abort(Some(3), now)), 1);
    world.rest();
}

#[test]
fn p11_what_was_aborted_does_not_come_back() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let slot = world.slot(holder);
    world.keep_aborts();
    world.event(|state, now| state.abort(Some(1), now));
    assert!(!world.event(|state, now| state.returned(slot, None, now)));
    world.forget(slot);
    world.event(|state, now| state.closed(slot, CloseReason::NotPersistent, now));
    assert!(!world.event(|state, now| state.returned(slot, None, now)), "it is gone");
    assert_eq!((world.closed(CloseReason::Aborted), world.closed(CloseReason::NotPersistent)), (1, 0));
    world.rest();
}

#[test]
fn p11_a_dial_that_succeeds_while_it_is_closed_is_nobodys() {
    let mut world = World::new(limited(1, None));
    let dialing = world.arrive(A);
    let dial = world.slot(dialing);
    world.hold_closes();
    world.event(|state, now| state.abort(Some(1), now));
    assert!(!world.finish_dial(dial));
    assert_eq!(world.open(), 1);
    world.carry_out_closes();
    assert_eq!((world.open(), world.closed(CloseReason::Aborted)), (0, 1));
    world.rest();
}
