//! A kept connection that turns out to be dead (P10).

use std::time::Duration;

use super::site::{A, B, C, limited, ms};
use super::world::Is::{Dialing, Granted, Waiting};
use super::world::World;
use crate::pool::state::Replacement;
use crate::stats::CloseReason;

#[test]
fn p10_a_connection_has_rested_since_its_last_exchange_whoever_was_given_it_meanwhile() {
    let mut world = World::new(limited(1, 1));
    let first = world.lease(A);
    let slot = world.slot(first);
    let rested = |world: &World| world.state.rested(slot, world.now);
    assert_eq!(rested(&world), Duration::MAX, "it has had none");
    world.at(10).finish(first);
    let second = world.at(15).lease(A);
    assert_eq!(rested(&world), ms(5));
    let (given, next) = (world.arrive(A), world.arrive(A));
    world.at(20).finish(second);
    world.at(27).cancel(given);
    assert_eq!((world.is(next), rested(&world)), (Granted, ms(7)));
    world.poll(next);
    assert_eq!(world.replaces(next), Replacement::Dial);
    assert_eq!(rested(&world), Duration::MAX, "a new connection has its place");
    assert!(world.finish_dial(slot));
    world.finish(next);
    world.rest();
}

#[test]
fn p10_a_dead_connection_is_replaced_by_another_idle_one() {
    let mut world = World::new(limited(2, None));
    let (one, two) = (world.lease(A), world.lease(A));
    let (other, dead) = (world.slot(one), world.slot(two));
    world.finish(one);
    world.finish(two);
    let holder = world.lease(A);
    assert_eq!(world.slot(holder), dead);
    assert_eq!(world.replaces(holder), Replacement::Reuse(other));
    assert_eq!((world.open(), world.closed(CloseReason::PeerClosed)), (1, 1));
    assert_eq!(world.state.ledger().reused, 2);
    world.rest();
}

#[test]
fn p10_the_slot_of_a_dead_connection_goes_to_who_waits() {
    let mut world = World::new(limited(3, 2));
    let (one, two) = (world.lease(A), world.lease(A));
    world.finish(one);
    world.finish(two);
    let holder = world.lease(A);
    let _third = world.lease(B);
    world.hold_closes();
    let waiter = world.arrive(C);
    assert_eq!(world.is(waiter), Waiting);
    world.carry_out_closes();
    world.poll(waiter);
    assert!(matches!(world.replaces(holder), Replacement::Dial), "the idle one was evicted");
    world.rest();
}

#[test]
fn p10_a_dead_connection_with_no_other_is_dialed_anew_in_its_slot_without_queueing() {
    let mut world = World::new(limited(1, 1));
    world.warm(&[A]);
    let holder = world.lease(A);
    let (queued, slot) = (world.arrive(A), world.slot(holder));
    assert_eq!(world.replaces(holder), Replacement::Dial);
    assert_eq!((world.is(queued), world.state.ledger().total.dialing), (Waiting, 1));
    let ledger = world.state.ledger();
    assert_eq!((ledger.created, ledger.closed_total()), (2, 1));
    assert!(world.finish_dial(slot), "and it is the same request's");
    world.finish(holder);
    assert_eq!(world.is(queued), Granted);
    world.rest();
}

#[test]
fn p10_a_redial_that_fails_fails_its_request_and_frees_the_slot() {
    let mut world = World::new(limited(1, None));
    world.warm(&[A]);
    let holder = world.lease(A);
    let (queued, slot) = (world.arrive(B), world.slot(holder));
    assert_eq!(world.replaces(holder), Replacement::Dial);
    assert!(world.fail_dial(slot));
    assert_eq!(world.is(queued), Dialing);
    world.rest();
}

#[test]
fn p10_an_aborted_one_is_not_replaced() {
    for replace in [false, true] {
        let mut world = World::new(limited(2, None));
        let (one, two) = (world.lease_of(A, 1), world.lease_of(A, 2));
        world.finish(two);
        let slot = world.slot(one);
        world.keep_aborts();
        assert_eq!(world.event(|state, now| state.abort(Some(1), now)), 1);
        world.forget(slot);
        let replacement = if replace {
            world.replaces(one)
        } else {
            world.event(|state, now| state.redial(slot, CloseReason::PeerClosed, now))
        };
        assert_eq!(replacement, Replacement::Closed);
        assert_eq!((world.closed(CloseReason::Aborted), world.state.ledger().total.idle), (1, 1));
        world.rest();
    }
}
