//! How long a connection is kept (P8, P9).

use std::time::Duration;

use super::site::{A, B, C, IDLE_TIMEOUT, ms, rules};
use super::world::Is::Dialing;
use super::world::{FRESH, REUSED, World, left_behind};
use crate::pool::state::{ADOPTION, Action, Replacement, Rules, SlotId, Tally};
use crate::stats::CloseReason;

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
