//! Who may open a connection, and who makes way (P1, P2).

use super::site::{A, A2, B, C, Site, limited, rules};
use super::world::Is::{Dialing, Granted, Waiting};
use super::world::{REUSED, World};
use crate::pool::state::{Action, Tally};
use crate::stats::CloseReason;

#[test]
fn p1_dialing_in_use_and_idle_ones_count() {
    let mut world = World::new(limited(3, None));
    world.warm(&[A]);
    let _in_use = world.lease(B);
    let dialing = world.arrive(C);
    let next = world.arrive(C);
    assert_eq!((world.is(dialing), world.is(next)), (Dialing, Dialing), "the idle one made way");
    let last = world.arrive(C);
    assert_eq!((world.open(), world.is(last)), (3, Waiting));
    world.rest();
}

#[test]
fn p1_a_host_has_its_own_limit_and_its_keys_share_it() {
    let mut world = World::new(limited(None, 1));
    let first = world.lease(A);
    let (sibling, other) = (world.arrive(A2), world.arrive(B));
    assert_eq!((world.is(sibling), world.is(other)), (Waiting, Dialing));
    world.end(first, CloseReason::NotPersistent);
    assert_eq!(world.is(sibling), Dialing);
    world.rest();
}

#[test]
fn p1_leave_to_dial_takes_a_slot_before_there_is_a_socket() {
    let mut world = World::new(limited(1, None));
    let first = world.lease(A);
    let (next, last) = (world.arrive(A), world.arrive(B));
    world.end(first, CloseReason::Incomplete);
    assert_eq!((world.is(next), world.is(last), world.open()), (Dialing, Waiting, 0));
    assert_eq!(world.state.ledger().total, Tally { reserved: 1, waiting: 1, ..Tally::default() });
    world.poll(next);
    assert_eq!(world.state.ledger().total, Tally { dialing: 1, waiting: 1, ..Tally::default() });
    world.rest();
}

#[test]
fn p1_a_slot_is_free_only_after_its_socket_is_gone() {
    let mut world = World::new(limited(1, None));
    world.warm(&[A]);
    world.hold_closes();
    let next = world.arrive(B);
    assert_eq!((world.is(next), world.open()), (Waiting, 1), "told to close is not closed");
    world.carry_out_closes();
    assert_eq!(world.is(next), Dialing);
    world.rest();
}

#[test]
fn p1_each_attempt_of_a_dial_takes_a_slot_of_both_limits() {
    for rules in [limited(3, None), limited(None, 3)] {
        let mut world = World::new(rules);
        let _other = world.lease(A);
        let dialing = world.arrive(A);
        let slot = world.slot(dialing);
        assert!(world.event(|state, _| state.begin_attempt(slot)));
        assert!(!world.event(|state, _| state.begin_attempt(slot)), "no room for a third address");
        let waiting = world.arrive(A);
        assert_eq!((world.open(), world.is(waiting)), (3, Waiting));
        assert_eq!(world.state.host(&A), Tally { dialing: 2, in_use: 1, waiting: 1, ..Tally::default() });
        world.event(|state, now| state.end_attempt(slot, now));
        assert_eq!(world.is(waiting), Dialing, "what an attempt gives back goes to who waits");
        assert_eq!(world.closed(CloseReason::Superseded), 1);
        world.rest();
    }
}

#[test]
fn p2_the_most_recently_used_idle_connection_is_reused() {
    let mut world = World::new(rules());
    let (one, two) = (world.lease(A), world.lease(A));
    let (older, newer) = (world.slot(one), world.slot(two));
    world.finish(one);
    world.finish(two);
    let first = world.arrive(A);
    assert_eq!((world.is(first), world.slot(first)), (REUSED, newer));
    let second = world.arrive(A);
    assert_eq!((world.is(second), world.slot(second)), (REUSED, older));
    assert_eq!(world.state.ledger().reused, 2);
    world.rest();
}

#[test]
fn p2_a_newcomer_does_not_take_what_a_waiter_was_about_to_get() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let waiter = world.arrive(A);
    world.finish(holder);
    let newcomer = world.arrive(A);
    assert_eq!((world.is(waiter), world.is(newcomer)), (Granted, Waiting));
    assert_eq!(world.poll(waiter), REUSED);
    assert_eq!(world.state.ledger().reused, 1);
    world.rest();
}

#[test]
fn p2_the_least_recently_used_idle_connection_makes_way() {
    let mut world = World::new(limited(3, None));
    world.warm(&[A, B, C]);
    let used = world.lease(A);
    world.finish(used);
    let next = world.arrive(Site(3, 0));
    assert_eq!(world.is(next), Dialing);
    assert_eq!((world.state.host(&A).idle, world.state.host(&B).open(), world.state.host(&C).idle), (1, 0, 1));
    assert_eq!(world.closed(CloseReason::Evicted), 1);
    world.rest();
}

#[test]
fn p2_a_sibling_key_makes_way_under_the_limit_of_its_host_and_no_other() {
    let mut world = World::new(limited(None, 1));
    world.warm(&[B, A]);
    let next = world.arrive(A2);
    assert_eq!(world.is(next), Dialing);
    assert_eq!((world.state.host(&B).idle, world.state.host(&A).idle), (1, 0));
    world.rest();
}

#[test]
fn p2_nothing_is_closed_that_would_not_help() {
    let mut world = World::new(limited(2, 1));
    let _holder = world.lease(A);
    world.warm(&[B]);
    let waiter = world.arrive(A);
    assert_eq!((world.is(waiter), world.state.host(&B).idle), (Waiting, 1), "its own host's limit is in the way");
    assert_eq!(world.closed(CloseReason::Evicted), 0);
    world.rest();
}

#[test]
fn p2_one_request_closes_one_connection() {
    // An idle connection and a dial that nobody wants: either would do.
    let mut world = World::new(limited(3, None));
    let (holder, dialing) = (world.lease(A), world.arrive(A));
    world.finish(holder);
    world.poll(dialing);
    world.warm(&[B]);
    assert_eq!(world.open(), 3);
    world.hold_closes();
    world.arrive(C);
    let closes = world.take_log().into_iter().filter(|action| matches!(action, Action::Close(_)));
    assert_eq!(closes.count(), 1);
    world.rest();
}
