//! Who goes next (P3, P6).

use super::site::{A, A2, B, C, Site, limited};
use super::world::Is::{Dialing, Granted, Waiting};
use super::world::{REUSED, World};
use crate::pool::state::leases::STREAK;
use crate::stats::CloseReason;

#[test]
fn p3_first_come_first_served_within_a_key() {
    let mut world = World::new(limited(1, None));
    let mut holder = world.lease(A);
    let waiters: Vec<_> = (0..5).map(|_| world.arrive(A)).collect();
    for &waiter in &waiters {
        world.finish(holder);
        assert_eq!(world.poll(waiter), REUSED);
        holder = waiter;
    }
    world.rest();
}

#[test]
fn p3_leave_to_dial_goes_to_the_oldest_of_all_keys() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let (b, a, c) = (world.arrive(B), world.arrive(A), world.arrive(C));
    world.end(holder, CloseReason::NotPersistent);
    assert_eq!((world.is(b), world.is(a), world.is(c)), (Dialing, Waiting, Waiting));
    world.fails(b);
    assert_eq!((world.is(a), world.is(c)), (Dialing, Waiting));
    world.fails(a);
    assert_eq!(world.is(c), Dialing);
    world.rest();
}

#[test]
fn p3_one_held_up_by_its_own_host_holds_up_nobody() {
    let mut world = World::new(limited(2, 1));
    let (_a, b) = (world.lease(A), world.lease(B));
    let (held_up, other) = (world.arrive(A), world.arrive(C));
    world.end(b, CloseReason::NotPersistent);
    assert_eq!((world.is(held_up), world.is(other)), (Waiting, Dialing));
    world.rest();
}

#[test]
fn p3_a_sibling_is_overtaken_like_any_other() {
    // No total limit: it is the host's that the sibling lacks.
    let mut world = World::new(limited(None, 1));
    streak_then_yield(&mut world, A2);
    world.rest();
}

#[test]
fn p3_a_connection_yields_after_16_requests_over_an_older_one_of_another_key() {
    let mut world = World::new(limited(1, None));
    streak_then_yield(&mut world, B);
    world.rest();
}

/// `other` waits; A's requests come later, one after the other, and its connection serves 16 of
/// them before `other`.
fn streak_then_yield(world: &mut World, other: Site) {
    let mut holder = world.lease(A);
    let older = world.arrive(other);
    for _ in 0..STREAK {
        let next = world.arrive(A);
        world.finish(holder);
        assert_eq!(world.poll(next), REUSED);
        holder = next;
    }
    assert_eq!((STREAK, world.is(older)), (16, Waiting));
    let next = world.arrive(A);
    world.finish(holder);
    assert_eq!((world.is(older), world.is(next)), (Dialing, Waiting));
    assert_eq!(world.closed(CloseReason::Yielded), 1);
}

#[test]
fn p3_requests_that_overtake_nobody_do_not_count() {
    let mut world = World::new(limited(1, None));
    let mut holder = world.lease(A);
    let serve_next = |world: &mut World, holder| {
        let next = world.arrive(A);
        world.finish(holder);
        assert_eq!(world.poll(next), REUSED);
        next
    };
    for round in 0..3 {
        for _ in 0..40 {
            holder = serve_next(&mut world, holder);
        }
        let older = world.arrive(B);
        for _ in 0..STREAK {
            holder = serve_next(&mut world, holder);
        }
        world.cancel(older);
        assert_eq!(world.closed(CloseReason::Yielded), 0, "round {round}");
    }
    world.rest();
}

#[test]
fn p3_a_rest_ends_the_streak() {
    let mut world = World::new(limited(1, None));
    let mut holder = world.lease(A);
    let older = world.arrive(B);
    for _ in 0..STREAK {
        let next = world.arrive(A);
        world.finish(holder);
        world.poll(next);
        holder = next;
    }
    world.cancel(older);
    world.finish(holder);
    holder = world.lease(A);
    let older = world.arrive(B);
    let next = world.arrive(A);
    world.finish(holder);
    assert_eq!((world.is(next), world.is(older)), (Granted, Waiting));
    world.rest();
}

#[test]
fn p3_a_younger_one_of_another_key_is_no_reason_to_yield() {
    // With the host's limit in the way too, what the older ones lack is not the total alone.
    for rules in [limited(1, None), limited(1, 1)] {
        let mut world = World::new(rules);
        let mut holder = world.lease(A);
        let waiters: Vec<_> = (0..40).map(|_| world.arrive(A)).collect();
        let _younger = world.arrive(B);
        for waiter in waiters {
            world.finish(holder);
            assert_eq!(world.poll(waiter), REUSED);
            holder = waiter;
        }
        world.rest();
    }
}

#[test]
fn p3_one_that_its_own_host_holds_up_is_not_overtaken() {
    let mut world = World::new(limited(3, 2));
    let mut a = world.lease(A);
    let (_one, _two) = (world.lease(B), world.lease(B));
    let _held_up = world.arrive(B);
    for _ in 0..40 {
        let next = world.arrive(A);
        world.finish(a);
        assert_eq!(world.poll(next), REUSED);
        a = next;
    }
    assert_eq!(world.closed(CloseReason::Yielded), 0);
    world.rest();
}

#[test]
fn p3_what_nobody_of_its_key_wants_goes_to_another_key() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let waiter = world.arrive(B);
    world.finish(holder);
    assert_eq!((world.is(waiter), world.closed(CloseReason::Evicted)), (Dialing, 1));
    world.rest();
}

#[test]
fn p3_what_nobody_of_its_key_wants_goes_to_a_sibling() {
    let mut world = World::new(limited(None, 1));
    let (holder, other) = (world.lease(A), world.lease(B));
    let waiter = world.arrive(A2);
    world.finish(other);
    assert_eq!((world.is(waiter), world.state.host(&B).idle), (Waiting, 1), "another host's is of no use");
    world.finish(holder);
    assert_eq!(world.is(waiter), Dialing);
    world.rest();
}

#[test]
fn p6_who_waits_keeps_its_place_whatever_goes_on_around_it() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let first = world.arrive(A);
    let others: Vec<_> = (0..20).map(|_| world.arrive(A)).collect();
    for other in others {
        world.cancel(other);
        assert_eq!(world.is(first), Waiting);
    }
    world.finish(holder);
    assert_eq!(world.is(first), Granted);
    world.rest();
}
