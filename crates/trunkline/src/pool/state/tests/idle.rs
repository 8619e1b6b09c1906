//! Lifetime and idle timeout of connections (P8, P9).

use std::time::Duration;

use super::harness::RequestStatus::Dialing;
use super::harness::{FRESH, Harness, REUSED, orphaned_dial};
use super::site::{A, B, C, IDLE_TIMEOUT, ms, rules};
use crate::pool::state::{Action, Gauges, Replacement, Rules, SlotId, WATCH_DELAY};
use crate::stats::CloseReason;

fn with_lifetime(lifetime: u64) -> Rules {
    Rules { max_lifetime: Some(ms(lifetime)), ..rules() }
}

#[test]
fn p8_a_connection_past_its_lifetime_does_not_come_back() {
    let mut harness = Harness::new(with_lifetime(1000));
    let holder = harness.lease(A);
    harness.at(899).finish(holder);
    let holder = harness.lease(A);
    assert_eq!(harness.status(holder), REUSED);
    let end = harness.state.lifetime_end(harness.slot(holder)).expect("it has a lifetime");
    harness.now = end;
    harness.finish(holder);
    assert_eq!((harness.open(), harness.closed(CloseReason::Lifetime)), (0, 1));
    harness.shut_down();
}

#[test]
fn p8_an_idle_connection_past_its_lifetime_is_not_given_out() {
    let mut harness = Harness::new(with_lifetime(1000));
    harness.warm(&[A]);
    harness.at(1101);
    let next = harness.arrive(A);
    assert_eq!((harness.status(next), harness.closed(CloseReason::Lifetime)), (Dialing, 1));
    harness.shut_down();
}

#[test]
fn p8_lifetimes_are_spread_by_ten_percent() {
    for seed in [7, 0, u64::MAX] {
        let mut harness = Harness::new(Rules { seed, ..with_lifetime(100_000) });
        // All begun before the first is done, as after a restart.
        let requests: Vec<_> = (0..200).map(|_| harness.arrive(A)).collect();
        let mut lifetimes = Vec::new();
        for request in requests {
            harness.connects(request);
            let end = harness.state.lifetime_end(harness.slot(request)).expect("it has a lifetime");
            lifetimes.push(end - harness.now);
        }
        lifetimes.sort_unstable();
        let (first, last) = (lifetimes[0], lifetimes[lifetimes.len() - 1]);
        assert!(first >= ms(90_000) && first < ms(92_000), "{first:?}");
        assert!(last <= ms(110_000) && last > ms(108_000), "{last:?}");
        let mean = lifetimes.iter().sum::<Duration>() / 200;
        assert!(mean > ms(98_000) && mean < ms(102_000), "{mean:?}");
        lifetimes.dedup();
        assert_eq!(lifetimes.len(), 200, "no two end together");
        harness.shut_down();
    }
}

#[test]
fn p8_lifetimes_differ_in_one_slot_and_between_pools() {
    let lifetime = |seed, dials: usize| {
        let mut harness = Harness::new(Rules { seed, ..with_lifetime(100_000) });
        for _ in 1..dials {
            let request = harness.lease(A);
            harness.end(request, CloseReason::NotPersistent);
        }
        let request = harness.lease(A);
        let end = harness.state.lifetime_end(harness.slot(request)).expect("it has a lifetime") - harness.now;
        harness.shut_down();
        end
    };
    for seed in [1, 0, u64::MAX] {
        assert_ne!(lifetime(seed, 1), lifetime(seed, 2));
        assert_ne!(lifetime(seed, 1), lifetime(seed ^ 2, 1));
        assert_eq!(lifetime(seed, 1), lifetime(seed, 1));
    }
}

#[test]
fn p8_an_endless_lifetime_does_not_overflow() {
    let years = |years: u64| ms(years * 365 * 24 * 3_600_000);
    let mut harness = Harness::new(Rules { max_lifetime: Some(Duration::MAX), idle_timeout: Duration::MAX, ..rules() });
    let holder = harness.lease(A);
    let end = harness.state.lifetime_end(harness.slot(holder)).expect("it has a lifetime") - harness.now;
    assert!(end > years(26) && end < years(34), "{end:?}");
    harness.finish(holder);
    harness.now += years(20);
    harness.event(|state, now| {
        state.watch(|_| true, now);
        state.expire(now);
    });
    assert_eq!(harness.open(), 1);
    harness.shut_down();
}

#[test]
fn p8_refresh_closes_idle_now_and_used_ones_on_release() {
    let mut harness = Harness::new(rules());
    let (one, two) = (harness.lease(A), harness.lease(A));
    harness.finish(one);
    harness.event(|state, _| state.refresh());
    assert_eq!((harness.open(), harness.closed(CloseReason::Refreshed)), (1, 1));
    harness.finish(two);
    assert_eq!((harness.open(), harness.closed(CloseReason::Refreshed)), (0, 2));
    let fresh = harness.lease(A);
    harness.finish(fresh);
    assert_eq!(harness.state.metrics().total.idle, 1, "made since");
    harness.shut_down();
}

#[test]
fn p8_a_dial_begun_before_a_refresh_serves_one_request() {
    let mut harness = Harness::new(rules());
    let dialing = harness.arrive(A);
    harness.event(|state, _| state.refresh());
    harness.connects(dialing);
    assert_eq!(harness.status(dialing), FRESH);
    harness.finish(dialing);
    assert_eq!((harness.open(), harness.closed(CloseReason::Refreshed)), (0, 1));
    harness.shut_down();
}

#[test]
fn p8_a_redial_after_a_refresh_is_current() {
    let mut harness = Harness::new(rules());
    let holder = harness.lease(A);
    harness.event(|state, _| state.refresh());
    let slot = harness.slot(holder);
    let replacement = harness.event(|state, now| state.redial(slot, CloseReason::PeerClosed, now));
    assert_eq!(replacement, Replacement::Dial);
    assert!(harness.finish_dial(slot));
    harness.finish(holder);
    assert_eq!(harness.state.metrics().total.idle, 1);
    harness.shut_down();
}

#[test]
fn p8_refresh_closes_orphaned_dials() {
    let mut harness = Harness::new(rules());
    let (_holder, dial) = orphaned_dial(&mut harness);
    harness.event(|state, _| state.refresh());
    assert!(harness.take_log().contains(&Action::Close(dial)));
    assert_eq!((harness.open(), harness.closed(CloseReason::Refreshed)), (1, 1));
    harness.shut_down();
}

#[test]
fn p9_idle_ends_at_the_idle_timeout() {
    let mut harness = Harness::new(rules());
    harness.warm(&[A]);
    let watched = harness.at(1000).event(|state, now| state.watch(|_| true, now));
    assert_eq!(watched.slots.len(), 1);
    let due = harness.state.next_expiry().expect("it was watched");
    assert_eq!(due, harness.now - ms(1000) + IDLE_TIMEOUT);
    harness.now = due - ms(1);
    harness.event(|state, now| state.expire(now));
    assert_eq!(harness.state.metrics().total.idle, 1);
    harness.now = due;
    harness.event(|state, now| state.expire(now));
    assert_eq!((harness.open(), harness.closed(CloseReason::IdleTimeout)), (0, 1));
    assert_eq!(harness.state.next_expiry(), None);
    harness.shut_down();
}

#[test]
fn p9_keep_alive_shortens_the_idle_timeout_only() {
    for (hint, expected) in [(ms(4000), ms(4000)), (ms(60_000), IDLE_TIMEOUT)] {
        let mut harness = Harness::new(rules());
        let holder = harness.lease(A);
        harness.finish_hinted(holder, Some(hint));
        let idle_since = harness.now;
        harness.at(100).event(|state, now| state.watch(|_| true, now));
        assert_eq!(harness.state.next_expiry(), Some(idle_since + expected));
        harness.shut_down();
    }
}

#[test]
fn p9_the_lifetime_ends_an_idle_connection() {
    let mut harness = Harness::new(with_lifetime(1000));
    harness.warm(&[A]);
    harness.at(100).event(|state, now| state.watch(|_| true, now));
    let due = harness.state.next_expiry().expect("it was watched");
    assert!(due - harness.now < ms(1001));
    harness.now = due;
    harness.event(|state, now| state.expire(now));
    assert_eq!(harness.closed(CloseReason::Lifetime), 1);
    harness.shut_down();
}

#[test]
fn p9_an_expired_connection_is_not_reused() {
    let mut harness = Harness::new(rules());
    harness.warm(&[A]);
    harness.now += IDLE_TIMEOUT - ms(1);
    let next = harness.arrive(A);
    assert_eq!(harness.status(next), REUSED);
    harness.finish(next);
    harness.now += IDLE_TIMEOUT;
    let next = harness.arrive(A);
    assert_eq!((harness.status(next), harness.closed(CloseReason::IdleTimeout)), (Dialing, 1));
    harness.shut_down();
}

#[test]
fn p9_connections_are_watched_after_50_ms_idle() {
    let mut harness = Harness::new(rules());
    let begun = harness.now;
    let (one, two, three) = (harness.lease(A), harness.lease(A), harness.lease(B));
    let (first, second) = (harness.slot(one), harness.slot(two));
    harness.at(0).finish(one);
    harness.at(10).finish(two);
    harness.at(10).finish(three);
    let watched = harness.at(49).event(|state, now| state.watch(|key| *key == A, now));
    assert_eq!((watched.slots, watched.next), (vec![], Some(begun + WATCH_DELAY)));
    let watched = harness.at(50).event(|state, now| state.watch(|key| *key == A, now));
    assert_eq!((watched.slots, watched.next), (vec![first], Some(begun + ms(60))));
    let watched = harness.at(60).event(|state, now| state.watch(|key| *key == A, now));
    assert_eq!((watched.slots, watched.next), (vec![second], None));
    let watched = harness.at(70).event(|state, now| state.watch(|key| *key == A, now));
    assert_eq!((watched.slots, watched.next), (vec![], None), "each once");
    assert_eq!(WATCH_DELAY, ms(50));
    harness.shut_down();
}

#[test]
fn p9_a_reused_connection_is_no_longer_watched() {
    let mut harness = Harness::new(rules());
    harness.warm(&[A]);
    harness.at(100).event(|state, now| state.watch(|_| true, now));
    let holder = harness.lease(A);
    assert_eq!(harness.state.next_expiry(), None);
    harness.finish(holder);
    assert_eq!(harness.event(|state, now| state.watch(|_| true, now)).slots, vec![]);
    harness.shut_down();
}

#[test]
fn p9_an_idle_connection_that_the_server_closed_is_closed() {
    let mut harness = Harness::new(rules());
    let (one, two) = (harness.lease(A), harness.lease(A));
    let (idle, in_use) = (harness.slot(one), harness.slot(two));
    harness.finish(one);
    harness.event(|state, _| {
        state.peer_closed(in_use);
        state.peer_closed(idle);
        state.peer_closed(SlotId(99));
    });
    assert_eq!((harness.open(), harness.closed(CloseReason::PeerClosed)), (1, 1));
    harness.shut_down();
}

#[test]
fn p9_only_idle_connections_and_orphaned_dials_are_unused() {
    let mut harness = Harness::new(rules());
    let holder = harness.lease(A);
    let slot = harness.slot(holder);
    assert!(!harness.state.is_unused(slot) && !harness.state.has_unused(|_| true));
    assert!(!harness.state.is_unused(SlotId(99)) && !harness.state.is_dialing(SlotId(99)));
    harness.finish(holder);
    assert!(harness.state.is_unused(slot) && harness.state.has_unused(|key| *key == A));
    assert!(!harness.state.has_unused(|key| *key == B) && !harness.state.is_dialing(slot));
    let dialing = harness.arrive(B);
    assert!(harness.state.is_dialing(harness.slot(dialing)) && !harness.state.is_unused(harness.slot(dialing)));
    assert!(!harness.state.has_unused(|key| *key == B));
    harness.shut_down();
}

#[test]
fn p9_unused_connections_of_a_closed_runtime_are_closed() {
    let mut harness = Harness::new(rules());
    let (_holder, _dial) = orphaned_dial(&mut harness);
    harness.warm(&[B, C]);
    harness.event(|state, _| state.close_runtime(|key| *key != C));
    assert_eq!((harness.closed(CloseReason::RuntimeGone), harness.state.host(&C).idle), (2, 1));
    assert_eq!((harness.state.host(&A), harness.state.host(&B).open()), (Gauges { in_use: 1, ..Gauges::default() }, 0));
    harness.shut_down();
}
