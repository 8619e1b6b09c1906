//! Requests that leave before they are served (P7).

use super::site::{A, B, C, limited};
use super::world::Is::{Dialing, Granted, Waiting};
use super::world::{REUSED, World, left_behind};
use crate::pool::state::Tally;
use crate::stats::CloseReason;

#[test]
fn p7_cancelled_between_grant_and_poll() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let (first, second) = (world.arrive(A), world.arrive(A));
    let slot = world.slot(holder);
    world.finish(holder);
    assert_eq!(world.is(first), Granted);
    world.cancel(first);
    assert_eq!((world.is(second), world.slot(second)), (Granted, slot), "at once, and without a dial");
    assert_eq!(world.state.ledger().created, 1);
    world.rest();
}

#[test]
fn p7_cancelled_between_grant_and_poll_with_nobody_next() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let waiter = world.arrive(A);
    world.finish(holder);
    world.cancel(waiter);
    assert_eq!(world.state.ledger().total, Tally { idle: 1, ..Tally::default() });
    let next = world.arrive(A);
    assert_eq!(world.is(next), REUSED);
    world.rest();
}

#[test]
fn p7_cancelled_between_leave_to_dial_and_poll() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let (first, second) = (world.arrive(B), world.arrive(C));
    world.end(holder, CloseReason::NotPersistent);
    assert_eq!(world.is(first), Dialing);
    world.cancel(first);
    assert_eq!(world.is(second), Dialing);
    assert_eq!(world.state.ledger().created, 1, "nothing was begun");
    world.rest();
}

#[test]
fn p7_cancelled_at_the_head_in_the_middle_and_at_the_end_of_the_queue() {
    for gone in 0..3 {
        let mut world = World::new(limited(1, None));
        let mut holder = world.lease(A);
        let waiters: Vec<_> = (0..3).map(|_| world.arrive(A)).collect();
        world.cancel(waiters[gone]);
        assert_eq!(world.state.ledger().total.waiting, 2);
        for &waiter in waiters.iter().filter(|&&waiter| waiter != waiters[gone]) {
            world.finish(holder);
            assert_eq!(world.poll(waiter), REUSED);
            holder = waiter;
        }
        world.rest();
    }
}

#[test]
fn p7_cancelled_at_the_head_of_several_keys() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let (b, c, later_b) = (world.arrive(B), world.arrive(C), world.arrive(B));
    world.cancel(b);
    world.end(holder, CloseReason::NotPersistent);
    assert_eq!((world.is(c), world.is(later_b)), (Dialing, Waiting));
    world.rest();
}

#[test]
fn p7_a_socket_that_ends_in_whatever_phase_frees_its_slot() {
    let mut world = World::new(limited(3, None));
    let (_holder, left_behind) = left_behind(&mut world);
    let second = world.lease(B);
    let idle = world.slot(second);
    world.finish(second);
    let ended = |world: &mut World, slot| {
        world.forget(slot);
        world.event(|state, now| state.closed(slot, CloseReason::Deadline, now));
    };
    ended(&mut world, idle);
    ended(&mut world, left_behind);
    assert_eq!(world.state.ledger().total, Tally { in_use: 1, ..Tally::default() });
    assert_eq!(world.closed(CloseReason::Deadline), 2);
    world.rest();
}

#[test]
fn p7_a_request_refused_and_dropped_leaves_nothing() {
    let mut world = World::new(limited(1, None));
    let _holder = world.lease(A);
    let waiter = world.arrive(A);
    world.event(|state, _| state.drain());
    world.cancel(waiter);
    world.rest();
}
