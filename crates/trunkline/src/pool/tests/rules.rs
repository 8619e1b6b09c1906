//! The rules P1 to P15, each by scripted cases: event, time, expected outcome.

use std::time::Duration;

use super::site::{A, A2, B, C, IDLE_TIMEOUT, Site, limited, ms, rules};
use super::world::Is::{Dialing, Failed, Granted, Leased, Refused, Waiting};
use super::world::{Is, Request, World};
use crate::pool::ledger::Tally;
use crate::pool::state::{ADOPTION, Action, Replacement, Rules, STREAK, SlotId};
use crate::stats::{CloseReason, Histogram};

const REUSED: Is = Leased { reused: true };
const FRESH: Is = Leased { reused: false };

// P1: limits are about sockets.

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

// P2: checkout.

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

// P3: order.

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

/// `other` waits; A's requests come later, one after the other, and its connection serves 16 of them before `other`.
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
fn p12_reused_counts_connections_that_served_before_whoever_asks() {
    let mut world = World::new(limited(1, None));
    let reused = |world: &mut World| world.event(|state, _| state.ledger().reused);
    let mut holder = world.lease(A);
    assert_eq!(reused(&mut world), 0);
    for times in 1..=5 {
        let next = world.arrive(A);
        world.finish(holder);
        assert_eq!(world.poll(next), REUSED);
        assert_eq!(reused(&mut world), times);
        holder = next;
    }
    world.finish(holder);
    world.lease(A);
    assert_eq!(reused(&mut world), 6);
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

// P4: late binding.

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

/// A dial to A that its request has left behind, and the request that was served instead.
fn left_behind(world: &mut World) -> (Request, SlotId) {
    let holder = world.lease(A);
    let dialing = world.arrive(A);
    let dial = world.slot(dialing);
    world.finish(holder);
    world.poll(dialing);
    (dialing, dial)
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

// P5: a failed dial.

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

// P6: one deadline. The state knows none; being granted and having lost it again keeps the place, not a new one.

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

// P7: cancellation.

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

// P8: coming back.

fn with_lifetime(lifetime: u64) -> Rules {
    Rules { max_lifetime: Some(ms(lifetime)), ..rules() }
}

#[test]
fn p8_a_connection_past_its_lifetime_does_not_come_back() {
    let mut world = World::new(with_lifetime(1000));
    let holder = world.lease(A);
    world.at(899).finish(holder);
    let holder = world.lease(A);
    assert_eq!(world.is(holder), REUSED);
    let end = world.state.lifetime_end(world.slot(holder)).expect("it has a lifetime");
    world.now = end;
    world.finish(holder);
    assert_eq!((world.open(), world.closed(CloseReason::Lifetime)), (0, 1));
    world.rest();
}

#[test]
fn p8_an_idle_connection_past_its_lifetime_is_not_given_out() {
    let mut world = World::new(with_lifetime(1000));
    world.warm(&[A]);
    world.at(1101);
    let next = world.arrive(A);
    assert_eq!((world.is(next), world.closed(CloseReason::Lifetime)), (Dialing, 1));
    world.rest();
}

#[test]
fn p8_lifetimes_are_spread_by_a_tenth_each_way() {
    for seed in [7, 0, u64::MAX] {
        let mut world = World::new(Rules { seed, ..with_lifetime(100_000) });
        // All begun before the first is done, as after a restart.
        let requests: Vec<_> = (0..200).map(|_| world.arrive(A)).collect();
        let mut lifetimes = Vec::new();
        for request in requests {
            world.connects(request);
            let end = world.state.lifetime_end(world.slot(request)).expect("it has a lifetime");
            lifetimes.push(end - world.now);
        }
        lifetimes.sort_unstable();
        let (first, last) = (lifetimes[0], lifetimes[lifetimes.len() - 1]);
        assert!(first >= ms(90_000) && first < ms(92_000), "{first:?}");
        assert!(last <= ms(110_000) && last > ms(108_000), "{last:?}");
        let mean = lifetimes.iter().sum::<Duration>() / 200;
        assert!(mean > ms(98_000) && mean < ms(102_000), "{mean:?}");
        lifetimes.dedup();
        assert_eq!(lifetimes.len(), 200, "no two end together");
        world.rest();
    }
}

#[test]
fn p8_lifetimes_differ_in_one_slot_and_between_pools() {
    let lifetime = |seed, dials: usize| {
        let mut world = World::new(Rules { seed, ..with_lifetime(100_000) });
        for _ in 1..dials {
            let request = world.lease(A);
            world.end(request, CloseReason::NotPersistent);
        }
        let request = world.lease(A);
        let end = world.state.lifetime_end(world.slot(request)).expect("it has a lifetime") - world.now;
        world.rest();
        end
    };
    for seed in [1, 0, u64::MAX] {
        assert_ne!(lifetime(seed, 1), lifetime(seed, 2));
        assert_ne!(lifetime(seed, 1), lifetime(seed ^ 2, 1));
        assert_eq!(lifetime(seed, 1), lifetime(seed, 1));
    }
}

#[test]
fn p8_an_endless_lifetime_is_long_and_no_panic() {
    let years = |years: u64| ms(years * 365 * 24 * 3_600_000);
    let mut world = World::new(Rules { max_lifetime: Some(Duration::MAX), idle_timeout: Duration::MAX, ..rules() });
    let holder = world.lease(A);
    let end = world.state.lifetime_end(world.slot(holder)).expect("it has a lifetime") - world.now;
    assert!(end > years(26) && end < years(34), "{end:?}");
    world.finish(holder);
    world.now += years(20);
    world.event(|state, now| {
        state.adopt(|_| true, now);
        state.expire(now);
    });
    assert_eq!(world.open(), 1);
    world.rest();
}

#[test]
fn p8_refresh_closes_the_idle_and_those_in_use_when_they_come_back() {
    let mut world = World::new(rules());
    let (one, two) = (world.lease(A), world.lease(A));
    world.finish(one);
    world.event(|state, _| state.refresh());
    assert_eq!((world.open(), world.closed(CloseReason::Refreshed)), (1, 1));
    world.finish(two);
    assert_eq!((world.open(), world.closed(CloseReason::Refreshed)), (0, 2));
    let fresh = world.lease(A);
    world.finish(fresh);
    assert_eq!(world.state.ledger().total.idle, 1, "made since");
    world.rest();
}

#[test]
fn p8_a_dial_begun_before_a_refresh_serves_its_request_and_no_other() {
    let mut world = World::new(rules());
    let dialing = world.arrive(A);
    world.event(|state, _| state.refresh());
    world.connects(dialing);
    assert_eq!(world.is(dialing), FRESH);
    world.finish(dialing);
    assert_eq!((world.open(), world.closed(CloseReason::Refreshed)), (0, 1));
    world.rest();
}

#[test]
fn p8_a_dial_in_the_place_of_one_from_before_a_refresh_is_current() {
    let mut world = World::new(rules());
    let holder = world.lease(A);
    world.event(|state, _| state.refresh());
    let slot = world.slot(holder);
    let replacement = world.event(|state, now| state.redial(slot, CloseReason::PeerClosed, now));
    assert_eq!(replacement, Replacement::Dial);
    assert!(world.finish_dial(slot));
    world.finish(holder);
    assert_eq!(world.state.ledger().total.idle, 1);
    world.rest();
}

#[test]
fn p8_refresh_gives_up_dials_left_behind() {
    let mut world = World::new(rules());
    let (_holder, dial) = left_behind(&mut world);
    world.event(|state, _| state.refresh());
    assert!(world.take_log().contains(&Action::Close(dial)));
    assert_eq!((world.open(), world.closed(CloseReason::Refreshed)), (1, 1));
    world.rest();
}

// P9: idle.

#[test]
fn p9_idle_ends_at_the_idle_timeout() {
    let mut world = World::new(rules());
    world.warm(&[A]);
    let adopted = world.at(1000).event(|state, now| state.adopt(|_| true, now));
    assert_eq!(adopted.slots.len(), 1);
    let due = world.state.next_expiry().expect("it was adopted");
    assert_eq!(due, world.now - ms(1000) + IDLE_TIMEOUT);
    world.now = due - ms(1);
    world.event(|state, now| state.expire(now));
    assert_eq!(world.state.ledger().total.idle, 1);
    world.now = due;
    world.event(|state, now| state.expire(now));
    assert_eq!((world.open(), world.closed(CloseReason::IdleTimeout)), (0, 1));
    assert_eq!(world.state.next_expiry(), None);
    world.rest();
}

#[test]
fn p9_the_servers_keep_alive_ends_it_sooner_and_never_later() {
    for (hint, expected) in [(ms(4000), ms(4000)), (ms(60_000), IDLE_TIMEOUT)] {
        let mut world = World::new(rules());
        let holder = world.lease(A);
        world.finish_hinted(holder, Some(hint));
        let idle_since = world.now;
        world.at(100).event(|state, now| state.adopt(|_| true, now));
        assert_eq!(world.state.next_expiry(), Some(idle_since + expected));
        world.rest();
    }
}

#[test]
fn p9_the_lifetime_ends_it_too() {
    let mut world = World::new(with_lifetime(1000));
    world.warm(&[A]);
    world.at(100).event(|state, now| state.adopt(|_| true, now));
    let due = world.state.next_expiry().expect("it was adopted");
    assert!(due - world.now < ms(1001));
    world.now = due;
    world.event(|state, now| state.expire(now));
    assert_eq!(world.closed(CloseReason::Lifetime), 1);
    world.rest();
}

#[test]
fn p9_what_is_overdue_is_not_given_out_though_nobody_closed_it_yet() {
    let mut world = World::new(rules());
    world.warm(&[A]);
    world.now += IDLE_TIMEOUT - ms(1);
    let next = world.arrive(A);
    assert_eq!(world.is(next), REUSED);
    world.finish(next);
    world.now += IDLE_TIMEOUT;
    let next = world.arrive(A);
    assert_eq!((world.is(next), world.closed(CloseReason::IdleTimeout)), (Dialing, 1));
    world.rest();
}

#[test]
fn p9_the_keeper_adopts_what_has_been_idle_for_50_ms() {
    let mut world = World::new(rules());
    let begun = world.now;
    let (one, two, three) = (world.lease(A), world.lease(A), world.lease(B));
    let (first, second) = (world.slot(one), world.slot(two));
    world.at(0).finish(one);
    world.at(10).finish(two);
    world.at(10).finish(three);
    let adopted = world.at(49).event(|state, now| state.adopt(|key| *key == A, now));
    assert_eq!((adopted.slots, adopted.next), (vec![], Some(begun + ADOPTION)));
    let adopted = world.at(50).event(|state, now| state.adopt(|key| *key == A, now));
    assert_eq!((adopted.slots, adopted.next), (vec![first], Some(begun + ms(60))));
    let adopted = world.at(60).event(|state, now| state.adopt(|key| *key == A, now));
    assert_eq!((adopted.slots, adopted.next), (vec![second], None));
    let adopted = world.at(70).event(|state, now| state.adopt(|key| *key == A, now));
    assert_eq!((adopted.slots, adopted.next), (vec![], None), "each once");
    assert_eq!(ADOPTION, ms(50));
    world.rest();
}

#[test]
fn p9_what_is_used_again_is_no_longer_watched() {
    let mut world = World::new(rules());
    world.warm(&[A]);
    world.at(100).event(|state, now| state.adopt(|_| true, now));
    let holder = world.lease(A);
    assert_eq!(world.state.next_expiry(), None);
    world.finish(holder);
    assert_eq!(world.event(|state, now| state.adopt(|_| true, now)).slots, vec![]);
    world.rest();
}

#[test]
fn p9_one_found_dead_is_closed_unless_it_is_in_use() {
    let mut world = World::new(rules());
    let (one, two) = (world.lease(A), world.lease(A));
    let (idle, in_use) = (world.slot(one), world.slot(two));
    world.finish(one);
    world.event(|state, _| {
        state.found_dead(in_use);
        state.found_dead(idle);
        state.found_dead(SlotId(99));
    });
    assert_eq!((world.open(), world.closed(CloseReason::PeerClosed)), (1, 1));
    world.rest();
}

#[test]
fn p9_only_what_nobody_uses_is_the_keepers() {
    let mut world = World::new(rules());
    let holder = world.lease(A);
    let slot = world.slot(holder);
    assert!(!world.state.is_unused(slot) && !world.state.has_unused(|_| true));
    assert!(!world.state.is_unused(SlotId(99)) && !world.state.is_dialing(SlotId(99)));
    world.finish(holder);
    assert!(world.state.is_unused(slot) && world.state.has_unused(|key| *key == A));
    assert!(!world.state.has_unused(|key| *key == B) && !world.state.is_dialing(slot));
    let dialing = world.arrive(B);
    assert!(world.state.is_dialing(world.slot(dialing)) && !world.state.is_unused(world.slot(dialing)));
    assert!(!world.state.has_unused(|key| *key == B));
    world.rest();
}

#[test]
fn p9_what_a_runtime_leaves_behind_is_closed() {
    let mut world = World::new(rules());
    let (_holder, _dial) = left_behind(&mut world);
    world.warm(&[B, C]);
    world.event(|state, _| state.forsake(|key| *key != C));
    assert_eq!((world.closed(CloseReason::RuntimeGone), world.state.host(&C).idle), (2, 1));
    assert_eq!((world.state.host(&A), world.state.host(&B).open()), (Tally { in_use: 1, ..Tally::default() }, 0));
    world.rest();
}

// P10: stale reuse.

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

// P11: close.

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

// P12: figures.

#[test]
fn p12_figures_of_a_day() {
    let mut world = World::new(limited(3, 2));
    let (one, two) = (world.lease(A), world.lease(A2));
    let (three, four) = (world.arrive(B), world.arrive(C));
    world.finish(one);
    let five = world.arrive(A2);
    let total = Tally { reserved: 1, dialing: 1, in_use: 1, idle: 0, waiting: 1 };
    assert_eq!(world.state.ledger().total, total);
    assert_eq!((total.open(), total.taken()), (2, 3));
    let mut hosts: Vec<_> = world.state.hosts().map(|(host, tally)| (*host, *tally)).collect();
    hosts.sort_by_key(|(host, _)| *host);
    let tally = Tally::default();
    let expected = [
        (A.0, Tally { in_use: 1, waiting: 1, ..tally }),
        (B.0, Tally { dialing: 1, ..tally }),
        (C.0, Tally { reserved: 1, ..tally }),
    ];
    assert_eq!(hosts, expected);
    assert_eq!(world.state.host(&A2), world.state.host(&A), "siblings share a host");
    assert_eq!(world.state.host(&Site(9, 0)), tally);
    world.fails(three);
    world.end(two, CloseReason::Incomplete);
    world.connects(four);
    world.connects(five);
    let ledger = world.state.ledger();
    assert_eq!((ledger.created, ledger.closed_total(), ledger.dials_failed, ledger.reused), (5, 3, 1, 0));
    assert_eq!(world.closed(CloseReason::Incomplete), 1);
    world.rest();
}

/// Count, sum and longest, in milliseconds.
fn told(histogram: &Histogram) -> (u64, u128, u128) {
    (histogram.count(), histogram.sum().as_millis(), histogram.max().as_millis())
}

#[test]
fn p12_a_wait_ends_with_a_connection_or_leave_to_dial_and_counts_once_there_is_a_connection() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let next = world.at(10).arrive(A);
    let last = world.at(13).arrive(B);
    world.at(30).finish(holder);
    assert_eq!((world.is(next), told(&world.state.ledger().wait)), (Granted, (1, 0, 0)), "it has not seen it yet");
    world.at(40).poll(next);
    assert_eq!(told(&world.state.ledger().wait), (2, 20, 20));
    world.at(50).end(next, CloseReason::NotPersistent);
    world.at(55).poll(last);
    assert_eq!((world.is(last), told(&world.state.ledger().wait)), (Dialing, (2, 20, 20)));
    world.at(75).connects(last);
    let ledger = world.state.ledger();
    assert_eq!((told(&ledger.wait), told(&ledger.connect)), ((3, 57, 37), (2, 20, 20)));
    assert_eq!(ledger.reused, 1);
    world.rest();
}

#[test]
fn p12_who_dials_does_not_wait_and_what_is_made_for_nobody_counts_as_made() {
    let mut world = World::new(rules());
    let holder = world.lease(A);
    let dialing = world.at(5).arrive(A);
    let dial = world.slot(dialing);
    world.at(20).finish(holder);
    assert_eq!(world.poll(dialing), REUSED);
    assert!(!world.at(30).finish_dial(dial));
    let ledger = world.state.ledger();
    assert_eq!((told(&ledger.wait), told(&ledger.connect)), ((2, 0, 0), (2, 25, 25)));
    let _first = world.at(40).lease(A);
    let ledger = world.state.ledger();
    assert_eq!((told(&ledger.wait), ledger.reused, world.open()), ((3, 0, 0), 1, 2), "used for the first time");
    world.rest();
}

#[test]
fn p12_who_leaves_without_a_connection_is_not_among_those_who_waited() {
    let mut world = World::new(limited(1, None));
    let holder = world.lease(A);
    let (granted, waiting) = (world.arrive(A), world.arrive(B));
    world.at(10).cancel(waiting);
    world.at(20).finish(holder);
    assert_eq!(world.is(granted), Granted);
    world.cancel(granted);
    let failing = world.at(30).arrive(B);
    world.at(40).fails(failing);
    let ledger = world.state.ledger();
    assert_eq!((told(&ledger.wait), told(&ledger.connect)), ((1, 0, 0), (1, 0, 0)));
    assert_eq!((ledger.reused, ledger.dials_failed), (0, 1));
    world.rest();
}

#[test]
fn p12_what_replaces_a_dead_connection_is_given_without_a_wait() {
    let mut world = World::new(rules());
    world.warm(&[A, A]);
    let request = world.at(10).lease(A);
    assert!(matches!(world.replaces(request), Replacement::Reuse(_)));
    let ledger = world.state.ledger();
    assert_eq!((told(&ledger.wait), ledger.reused), ((4, 0, 0), 2));
    world.rest();

    let mut world = World::new(rules());
    world.warm(&[A]);
    let request = world.at(10).lease(A);
    let slot = world.slot(request);
    assert_eq!(world.replaces(request), Replacement::Dial);
    assert!(world.at(40).finish_dial(slot));
    let ledger = world.state.ledger();
    assert_eq!((told(&ledger.wait), told(&ledger.connect)), ((3, 0, 0), (2, 30, 30)));
    assert_eq!(ledger.reused, 1);
    world.rest();
}

#[test]
fn p12_a_key_and_a_host_that_nothing_names_are_forgotten() {
    let mut world = World::new(rules());
    for host in 0..100 {
        let request = world.lease(Site(host, 0));
        world.end(request, CloseReason::NotPersistent);
    }
    assert!(world.state.is_blank());
    world.rest();
}

// P13: a wait that ran out explains itself.

#[test]
fn p13_the_oldest_lease_of_all_or_of_the_host() {
    let mut world = World::new(limited(3, None));
    assert_eq!(world.state.oldest_lease(None, world.now), None);
    let b = world.lease(B);
    let a = world.at(10).lease(A);
    let a2 = world.at(20).lease(A2);
    world.at(50);
    let oldest = |world: &World, key: Option<&Site>| world.state.oldest_lease(key, world.now);
    assert_eq!(oldest(&world, None), Some((world.slot(b), ms(50))));
    assert_eq!(oldest(&world, Some(&A2)), Some((world.slot(a), ms(40))), "siblings share a host");
    world.finish(a);
    assert_eq!(oldest(&world, Some(&A)), Some((world.slot(a2), ms(30))));
    assert_eq!(oldest(&world, Some(&A)), oldest(&world, Some(&A2)));
    world.finish(b);
    assert_eq!(oldest(&world, Some(&B)), None);
    assert_eq!(world.state.rules().limit, Some(3));
    world.rest();
}

#[test]
fn p13_a_lease_is_as_old_as_its_use() {
    let mut world = World::new(limited(1, None));
    world.warm(&[A]);
    let holder = world.at(100).lease(A);
    world.at(130);
    assert_eq!(world.state.oldest_lease(None, world.now), Some((world.slot(holder), ms(30))));
    world.rest();
}

// P14: leases held too long.

#[test]
fn p14_a_lease_held_too_long_is_reported_once() {
    let mut world = World::new(rules());
    let holder = world.lease(A);
    let slot = world.slot(holder);
    let held = |world: &mut World, time| world.at(time).event(|state, now| state.held_too_long(ms(100), now));
    assert_eq!(held(&mut world, 99), vec![]);
    let _younger = world.lease(B);
    assert_eq!(held(&mut world, 100), vec![(slot, ms(100))]);
    assert_eq!(held(&mut world, 150), vec![]);
    world.finish(holder);
    assert_eq!(held(&mut world, 190).len(), 0, "an idle one is held by nobody");
    let again = world.lease(A);
    assert_eq!(world.slot(again), slot);
    assert_eq!(held(&mut world, 290), vec![(slot, ms(100)), (SlotId(1), ms(191))], "the next lease is another");
    world.rest();
}

// P15: cost.

#[test]
fn p15_a_crowd_costs_no_more_per_request_than_a_few() {
    let cost = |crowd: usize| {
        let mut state = crate::pool::state::State::new(limited(1, None));
        let now = std::time::Instant::now();
        let begun = std::time::Instant::now();
        let tickets: Vec<_> = (0..crowd)
            .map(|number| match state.checkout(&Site((number % 200) as u8, 0), 1, false, now) {
                crate::pool::state::Checkout::Queued(ticket) => ticket,
                other => panic!("{other:?}"),
            })
            .collect();
        // Every other one from the middle of its queue, then the rest from its end.
        for &ticket in tickets.iter().skip(1).step_by(2).chain(tickets.iter().step_by(2).skip(1).rev()) {
            state.cancel(ticket, now);
            while state.next_action().is_some() {}
        }
        begun.elapsed() / crowd as u32
    };
    cost(1000);
    let (few, many) = ((0..3).map(|_| cost(1000)).min(), cost(50_000));
    let few = few.expect("it ran");
    assert!(many < few * 20, "{few:?} each among 1,000, {many:?} each among 50,000");
}
