//! Statistics, explanations and cost (P12 to P15).

use std::time::Instant;

use super::harness::RequestStatus::{Dialing, Granted};
use super::harness::{Harness, REUSED};
use super::site::{A, A2, B, C, Site, limited, ms, rules};
use crate::pool::state::{Checkout, Gauges, Replacement, SlotId, Standing, State};
use crate::stats::{CloseReason, Histogram};

#[test]
fn p12_reused_counts_connections_that_served_before() {
    let mut harness = Harness::new(limited(1, None));
    let reused = |harness: &mut Harness| harness.event(|state, _| state.metrics().reused);
    let mut holder = harness.lease(A);
    assert_eq!(reused(&mut harness), 0);
    for times in 1..=5 {
        let next = harness.arrive(A);
        harness.finish(holder);
        assert_eq!(harness.poll(next), REUSED);
        assert_eq!(reused(&mut harness), times);
        holder = next;
    }
    harness.finish(holder);
    harness.lease(A);
    assert_eq!(reused(&mut harness), 6);
}

#[test]
fn p12_statistics_add_up_over_mixed_events() {
    let mut harness = Harness::new(limited(3, 2));
    let (one, two) = (harness.lease(A), harness.lease(A2));
    let (three, four) = (harness.arrive(B), harness.arrive(C));
    harness.finish(one);
    let five = harness.arrive(A2);
    let total = Gauges { reserved: 1, dialing: 1, in_use: 1, idle: 0, waiting: 1 };
    assert_eq!(harness.state.metrics().total, total);
    assert_eq!((total.open(), total.taken()), (2, 3));
    let mut hosts: Vec<_> = harness.state.hosts().map(|(host, gauges)| (*host, *gauges)).collect();
    hosts.sort_by_key(|(host, _)| *host);
    let gauges = Gauges::default();
    let expected = [
        (A.0, Gauges { in_use: 1, waiting: 1, ..gauges }),
        (B.0, Gauges { dialing: 1, ..gauges }),
        (C.0, Gauges { reserved: 1, ..gauges }),
    ];
    assert_eq!(hosts, expected);
    assert_eq!(harness.state.host(&A2), harness.state.host(&A), "siblings share a host");
    assert_eq!(harness.state.host(&Site(9, 0)), gauges);
    harness.fails(three);
    harness.end(two, CloseReason::Incomplete);
    harness.connects(four);
    harness.connects(five);
    let metrics = harness.state.metrics();
    assert_eq!((metrics.created, metrics.closed_total(), metrics.dials_failed, metrics.reused), (5, 3, 1, 0));
    assert_eq!(harness.closed(CloseReason::Incomplete), 1);
    harness.shut_down();
}

/// Count, sum and maximum, in milliseconds.
fn summary(histogram: &Histogram) -> (u64, u128, u128) {
    (histogram.count(), histogram.sum().as_millis(), histogram.max().as_millis())
}

#[test]
fn p12_a_wait_is_recorded_with_its_connection() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let next = harness.at(10).arrive(A);
    let last = harness.at(13).arrive(B);
    harness.at(30).finish(holder);
    assert_eq!(
        (harness.status(next), summary(&harness.state.metrics().wait)),
        (Granted, (1, 0, 0)),
        "it has not seen it yet"
    );
    harness.at(40).poll(next);
    assert_eq!(summary(&harness.state.metrics().wait), (2, 20, 20));
    harness.at(50).end(next, CloseReason::NotPersistent);
    harness.at(55).poll(last);
    assert_eq!((harness.status(last), summary(&harness.state.metrics().wait)), (Dialing, (2, 20, 20)));
    harness.at(75).connects(last);
    let metrics = harness.state.metrics();
    assert_eq!((summary(&metrics.wait), summary(&metrics.connect)), ((3, 57, 37), (2, 20, 20)));
    assert_eq!(metrics.reused, 1);
    harness.shut_down();
}

#[test]
fn p12_dials_are_no_waits_and_orphaned_dials_count() {
    let mut harness = Harness::new(rules());
    let holder = harness.lease(A);
    let dialing = harness.at(5).arrive(A);
    let dial = harness.slot(dialing);
    harness.at(20).finish(holder);
    assert_eq!(harness.poll(dialing), REUSED);
    assert!(!harness.at(30).finish_dial(dial));
    let metrics = harness.state.metrics();
    assert_eq!((summary(&metrics.wait), summary(&metrics.connect)), ((2, 0, 0), (2, 25, 25)));
    let _first = harness.at(40).lease(A);
    let metrics = harness.state.metrics();
    assert_eq!((summary(&metrics.wait), metrics.reused, harness.open()), ((3, 0, 0), 1, 2), "used for the first time");
    harness.shut_down();
}

#[test]
fn p12_a_request_without_a_connection_records_no_wait() {
    let mut harness = Harness::new(limited(1, None));
    let holder = harness.lease(A);
    let (granted, waiting) = (harness.arrive(A), harness.arrive(B));
    harness.at(10).cancel(waiting);
    harness.at(20).finish(holder);
    assert_eq!(harness.status(granted), Granted);
    harness.cancel(granted);
    let failing = harness.at(30).arrive(B);
    harness.at(40).fails(failing);
    let metrics = harness.state.metrics();
    assert_eq!((summary(&metrics.wait), summary(&metrics.connect)), ((1, 0, 0), (1, 0, 0)));
    assert_eq!((metrics.reused, metrics.dials_failed), (0, 1));
    harness.shut_down();
}

#[test]
fn p12_a_replacement_records_a_wait_of_zero() {
    let mut harness = Harness::new(rules());
    harness.warm(&[A, A]);
    let request = harness.at(10).lease(A);
    assert!(matches!(harness.replaces(request), Replacement::Reuse(_)));
    let metrics = harness.state.metrics();
    assert_eq!((summary(&metrics.wait), metrics.reused), ((4, 0, 0), 2));
    harness.shut_down();

    let mut harness = Harness::new(rules());
    harness.warm(&[A]);
    let request = harness.at(10).lease(A);
    let slot = harness.slot(request);
    assert_eq!(harness.replaces(request), Replacement::Dial);
    assert!(harness.at(40).finish_dial(slot));
    let metrics = harness.state.metrics();
    assert_eq!((summary(&metrics.wait), summary(&metrics.connect)), ((3, 0, 0), (2, 30, 30)));
    assert_eq!(metrics.reused, 1);
    harness.shut_down();
}

#[test]
fn p12_unused_keys_and_hosts_are_forgotten() {
    let mut harness = Harness::new(rules());
    for host in 0..100 {
        let request = harness.lease(Site(host, 0));
        harness.end(request, CloseReason::NotPersistent);
    }
    assert!(harness.state.is_blank());
    harness.shut_down();
}

#[test]
fn p13_the_oldest_lease_of_the_pool_or_of_a_host() {
    let mut harness = Harness::new(limited(3, None));
    assert_eq!(harness.state.oldest_lease(None, harness.now), None);
    let b = harness.lease(B);
    let a = harness.at(10).lease(A);
    let a2 = harness.at(20).lease(A2);
    harness.at(50);
    let oldest = |harness: &Harness, key: Option<&Site>| harness.state.oldest_lease(key, harness.now);
    assert_eq!(oldest(&harness, None), Some((harness.slot(b), ms(50))));
    assert_eq!(oldest(&harness, Some(&A2)), Some((harness.slot(a), ms(40))), "siblings share a host");
    harness.finish(a);
    assert_eq!(oldest(&harness, Some(&A)), Some((harness.slot(a2), ms(30))));
    assert_eq!(oldest(&harness, Some(&A)), oldest(&harness, Some(&A2)));
    harness.finish(b);
    assert_eq!(oldest(&harness, Some(&B)), None);
    assert_eq!(harness.state.rules().limit, Some(3));
    harness.shut_down();
}

#[test]
fn p13_the_age_of_a_lease_starts_with_its_use() {
    let mut harness = Harness::new(limited(1, None));
    harness.warm(&[A]);
    let holder = harness.at(100).lease(A);
    harness.at(130);
    assert_eq!(harness.state.oldest_lease(None, harness.now), Some((harness.slot(holder), ms(30))));
    harness.shut_down();
}

#[test]
fn p14_a_lease_held_too_long_is_reported_once() {
    let mut harness = Harness::new(rules());
    let holder = harness.lease(A);
    let slot = harness.slot(holder);
    let held = |harness: &mut Harness, time| harness.at(time).event(|state, now| state.held_too_long(ms(100), now));
    assert_eq!(held(&mut harness, 99), vec![]);
    let _younger = harness.lease(B);
    assert_eq!(held(&mut harness, 100), vec![(slot, ms(100))]);
    assert_eq!(held(&mut harness, 150), vec![]);
    harness.finish(holder);
    assert_eq!(held(&mut harness, 190).len(), 0, "an idle connection has no lease");
    let again = harness.lease(A);
    assert_eq!(harness.slot(again), slot);
    assert_eq!(held(&mut harness, 290), vec![(slot, ms(100)), (SlotId(1), ms(191))], "the next lease is another");
    harness.shut_down();
}

#[test]
fn p15_the_cost_of_a_request_is_independent_of_the_queue() {
    let cost = |crowd: usize| {
        let mut state = State::new(limited(1, None));
        let now = Instant::now();
        let begun = Instant::now();
        let tickets: Vec<_> = (0..crowd)
            .map(|number| match state.checkout(&Site((number % 200) as u8, 0), 1, false, now) {
                Checkout::Queued(ticket) => ticket,
                other => panic!("{other:?}"),
            })
            .collect();
        // Cancels every other ticket from the middle of its queue, then the rest from its end.
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

#[test]
fn p15_orphaned_dials_cost_other_requests_nothing() {
    const TURNS: usize = 300;
    let cost = |dials: usize| {
        let mut state = State::new(limited(2 * dials, None));
        let now = Instant::now();
        let arrive = |state: &mut State<Site>| match state.checkout(&A, 1, false, now) {
            Checkout::Queued(ticket) => ticket,
            other => panic!("{other:?}"),
        };
        let begin = |state: &mut State<Site>, ticket| match state.standing(ticket) {
            Standing::Dialing(slot) if state.begin_dial(ticket, slot, now) => slot,
            other => panic!("{other:?}"),
        };
        let open: Vec<_> = (0..dials)
            .map(|_| {
                let ticket = arrive(&mut state);
                let slot = begin(&mut state, ticket);
                assert!(state.dialed(slot, now));
                slot
            })
            .collect();
        for _ in 0..dials {
            let ticket = arrive(&mut state);
            begin(&mut state, ticket);
        }
        // Each of these dials is orphaned by a released connection, and a request of their key
        // always waits.
        let waiting = TURNS + 1;
        let _tickets: Vec<_> = (0..waiting).map(|_| arrive(&mut state)).collect();
        open.iter().for_each(|&slot| assert!(state.returned(slot, None, now)));
        while state.next_action().is_some() {}
        assert_eq!(state.metrics().total, Gauges { dialing: dials, in_use: dials, waiting, ..Gauges::default() });
        let begun = Instant::now();
        for turn in 0..TURNS {
            assert!(state.returned(open[turn % dials], None, now));
        }
        begun.elapsed() / TURNS as u32
    };
    cost(10);
    let (few, many) = ((0..3).map(|_| cost(10)).min(), (0..3).map(|_| cost(5000)).min());
    let (few, many) = (few.expect("it ran"), many.expect("it ran"));
    assert!(many < few * 20, "{few:?} each beside 10, {many:?} each beside 5,000");
}
