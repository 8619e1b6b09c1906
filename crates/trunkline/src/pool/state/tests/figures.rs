//! Figures, explanations, and what it costs (P12 to P15).

use std::time::Instant;

use super::site::{A, A2, B, C, Site, limited, ms, rules};
use super::world::Is::{Dialing, Granted};
use super::world::{REUSED, World};
use crate::pool::state::{Checkout, Replacement, SlotId, Standing, State, Tally};
use crate::stats::{CloseReason, Histogram};

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

#[test]
fn p15_a_crowd_costs_no_more_per_request_than_a_few() {
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

#[test]
fn p15_dials_left_behind_cost_the_others_nothing() {
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
        // Each of these dials is left behind for a connection that comes back, and somebody of their key
        // always waits.
        let waiting = TURNS + 1;
        let _tickets: Vec<_> = (0..waiting).map(|_| arrive(&mut state)).collect();
        open.iter().for_each(|&slot| assert!(state.returned(slot, None, now)));
        while state.next_action().is_some() {}
        assert_eq!(state.ledger().total, Tally { dialing: dials, in_use: dials, waiting, ..Tally::default() });
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
