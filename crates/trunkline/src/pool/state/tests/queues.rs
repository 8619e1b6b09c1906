//! Order of requests (P3, P6).

use super::harness::RequestStatus::{Dialing, Granted, Waiting};
use super::harness::{Harness, REUSED};
use super::site::{A, A2, B, C, Site, limited};
use crate::pool::state::leases::MAX_STREAK;
use crate::stats::CloseReason;

#[test]
fn p3_first_come_first_served_within_a_key() {
    let mut harness = Harness::new(limited(1, None));
    let mut holder = harness.lease(A);
    let waiters: Vec<_> = (0..5).map(|_| harness.arrive(A)).collect();
    for &waiter in &waiters {
        harness.finish(holder);
        assert_eq!(harness.poll(waiter), REUSED);
        holder = waiter;
    }
    harness.shut_down();
}

#[test]
fn p3_a_permit_to_dial_goes_to_the_oldest_of_all_keys() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let (b, a, c) = (harness.arrive(B), harness.arrive(A), harness.arrive(C));
    harness.end(holder, CloseReason::NotPersistent);
    assert_eq!((harness.status(b), harness.status(a), harness.status(c)), (Dialing, Waiting, Waiting));
    harness.fails(b);
    assert_eq!((harness.status(a), harness.status(c)), (Dialing, Waiting));
    harness.fails(a);
    assert_eq!(harness.status(c), Dialing);
    harness.shut_down();
}

#[test]
fn p3_a_request_at_its_host_limit_holds_up_no_other() {
    let mut harness = Harness::new(limited(2, 1));
    let (_a, b) = (harness.lease(A), harness.lease(B));
    let (held_up, other) = (harness.arrive(A), harness.arrive(C));
    harness.end(b, CloseReason::NotPersistent);
    assert_eq!((harness.status(held_up), harness.status(other)), (Waiting, Dialing));
    harness.shut_down();
}

#[test]
fn p3_a_sibling_key_is_overtaken_at_most_16_times() {
    // No total limit: the host's limit holds up the sibling.
    let mut harness = Harness::new(limited(None, 1));
    streak_then_yield(&mut harness, A2);
    harness.shut_down();
}

#[test]
fn p3_a_connection_yields_after_overtaking_16_times() {
    let mut harness = Harness::new(limited(1, None));
    streak_then_yield(&mut harness, B);
    harness.shut_down();
}

/// `other` waits; A's requests come later, one after the other, and its connection serves 16 of
/// them before `other`.
fn streak_then_yield(harness: &mut Harness, other: Site) {
    let mut holder = harness.lease(A);
    let older = harness.arrive(other);
    for _ in 0..MAX_STREAK {
        let next = harness.arrive(A);
        harness.finish(holder);
        assert_eq!(harness.poll(next), REUSED);
        holder = next;
    }
    assert_eq!((MAX_STREAK, harness.status(older)), (16, Waiting));
    let next = harness.arrive(A);
    harness.finish(holder);
    assert_eq!((harness.status(older), harness.status(next)), (Dialing, Waiting));
    assert_eq!(harness.closed(CloseReason::Yielded), 1);
}

#[test]
fn p3_requests_that_overtake_none_do_not_count() {
    let mut harness = Harness::new(limited(1, None));
    let mut holder = harness.lease(A);
    let serve_next = |harness: &mut Harness, holder| {
        let next = harness.arrive(A);
        harness.finish(holder);
        assert_eq!(harness.poll(next), REUSED);
        next
    };
    for round in 0..3 {
        for _ in 0..40 {
            holder = serve_next(&mut harness, holder);
        }
        let older = harness.arrive(B);
        for _ in 0..MAX_STREAK {
            holder = serve_next(&mut harness, holder);
        }
        harness.cancel(older);
        assert_eq!(harness.closed(CloseReason::Yielded), 0, "round {round}");
    }
    harness.shut_down();
}

#[test]
fn p3_an_idle_period_ends_the_streak() {
    let mut harness = Harness::new(limited(1, None));
    let mut holder = harness.lease(A);
    let older = harness.arrive(B);
    for _ in 0..MAX_STREAK {
        let next = harness.arrive(A);
        harness.finish(holder);
        harness.poll(next);
        holder = next;
    }
    harness.cancel(older);
    harness.finish(holder);
    holder = harness.lease(A);
    let older = harness.arrive(B);
    let next = harness.arrive(A);
    harness.finish(holder);
    assert_eq!((harness.status(next), harness.status(older)), (Granted, Waiting));
    harness.shut_down();
}

#[test]
fn p3_a_younger_request_is_no_reason_to_yield() {
    // In the second case the host's limit holds the older requests up as well.
    for rules in [limited(1, None), limited(1, 1)] {
        let mut harness = Harness::new(rules);
        let mut holder = harness.lease(A);
        let waiters: Vec<_> = (0..40).map(|_| harness.arrive(A)).collect();
        let _younger = harness.arrive(B);
        for waiter in waiters {
            harness.finish(holder);
            assert_eq!(harness.poll(waiter), REUSED);
            holder = waiter;
        }
        harness.shut_down();
    }
}

#[test]
fn p3_a_request_at_its_host_limit_is_not_overtaken() {
    let mut harness = Harness::new(limited(3, 2));
    let mut a = harness.lease(A);
    let (_one, _two) = (harness.lease(B), harness.lease(B));
    let _held_up = harness.arrive(B);
    for _ in 0..40 {
        let next = harness.arrive(A);
        harness.finish(a);
        assert_eq!(harness.poll(next), REUSED);
        a = next;
    }
    assert_eq!(harness.closed(CloseReason::Yielded), 0);
    harness.shut_down();
}

#[test]
fn p3_an_unwanted_connection_makes_way_for_another_key() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let waiter = harness.arrive(B);
    harness.finish(holder);
    assert_eq!((harness.status(waiter), harness.closed(CloseReason::Evicted)), (Dialing, 1));
    harness.shut_down();
}

#[test]
fn p3_an_unwanted_connection_makes_way_for_a_sibling() {
    let mut harness = Harness::new(limited(None, 1));
    let (holder, other) = (harness.lease(A), harness.lease(B));
    let waiter = harness.arrive(A2);
    harness.finish(other);
    assert_eq!((harness.status(waiter), harness.state.host(&B).idle), (Waiting, 1), "another host's is of no use");
    harness.finish(holder);
    assert_eq!(harness.status(waiter), Dialing);
    harness.shut_down();
}

#[test]
fn p6_a_waiting_request_keeps_its_place() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let first = harness.arrive(A);
    let others: Vec<_> = (0..20).map(|_| harness.arrive(A)).collect();
    for other in others {
        harness.cancel(other);
        assert_eq!(harness.status(first), Waiting);
    }
    harness.finish(holder);
    assert_eq!(harness.status(first), Granted);
    harness.shut_down();
}
