//! Each rule by itself, with a clock that is set by hand, and all of them at random.

use std::collections::HashSet;

use super::*;

/// A schedule with a clock that is set by hand. Jobs are numbers.
struct Simulation {
    schedule: Schedule<u32>,
    now: Instant,
}

const SECOND: Duration = Duration::from_secs(1);

impl Simulation {
    fn new(pause: Duration) -> Self {
        Self { schedule: Schedule::new(pause, false), now: Instant::now() }
    }

    fn push(&mut self, host: &str, jobs: impl IntoIterator<Item = u32>) {
        for job in jobs {
            self.schedule.push(&host.into(), job, self.now);
        }
    }

    /// Starts one.
    fn take(&mut self) -> Option<(String, u32)> {
        match self.schedule.take(self.now)? {
            Start::Visit(host, job) => Some((host.to_string(), job)),
            Start::Ask(host) => panic!("{host} was to be asked for rules"),
        }
    }

    /// Starts all that may be.
    fn all(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.take()).map(|(_, job)| job).collect()
    }

    fn done(&mut self, host: &str) {
        self.schedule.finished(&host.into(), self.now);
    }

    /// In so many milliseconds from now.
    fn wake(&self) -> Option<u128> {
        self.schedule.wake().map(|at| (at - self.now).as_millis())
    }

    fn at(&self, millis: u64) -> Instant {
        self.now + Duration::from_millis(millis)
    }

    fn sleep(&mut self, millis: u64) {
        self.now = self.at(millis);
    }
}

#[test]
fn rule_1_between_two_starts_lies_the_pause() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", 1..=3);
    assert_eq!((simulation.all(), simulation.wake()), (vec![1], Some(1_000)));
    simulation.sleep(999);
    assert_eq!((simulation.all(), simulation.wake()), (vec![], Some(1)));
    // The end of the first job makes no difference.
    simulation.sleep(1);
    assert_eq!((simulation.all(), simulation.wake()), (vec![2], Some(1_000)));
    simulation.done("a");
    simulation.sleep(5_000);
    assert_eq!(simulation.all(), [3], "what was not used is not saved up");
}

#[test]
fn rule_1_a_pause_ends_with_nothing_to_do_as_well() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", [1]);
    assert_eq!(simulation.all(), [1]);
    simulation.done("a");
    simulation.sleep(400);
    simulation.push("a", [2]);
    assert_eq!((simulation.all(), simulation.wake()), (vec![], Some(600)));
}

#[test]
fn rule_1_a_host_that_waits_holds_up_no_other() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", 1..=500);
    simulation.push("b", [501]);
    assert_eq!(simulation.all(), [1, 501]);
}

#[test]
fn rule_2_a_host_that_is_held_is_left_alone_until_then() {
    let mut simulation = Simulation::new(Duration::ZERO);
    simulation.push("a", 1..=2);
    simulation.push("b", [3]);
    let (later, sooner) = (simulation.at(2_000), simulation.at(1_000));
    simulation.schedule.pause_host(&"a".into(), later, simulation.now);
    // A shorter hold does not shorten it.
    simulation.schedule.pause_host(&"a".into(), sooner, simulation.now);
    assert_eq!((simulation.all(), simulation.wake()), (vec![3], Some(2_000)));
    simulation.sleep(2_000);
    assert_eq!(simulation.all(), [1, 2]);
}

#[test]
fn rule_2_a_host_may_be_held_while_it_has_nothing_to_do() {
    let mut simulation = Simulation::new(Duration::ZERO);
    let until = simulation.at(500);
    simulation.schedule.pause_host(&"a".into(), until, simulation.now);
    simulation.push("a", [1]);
    assert_eq!((simulation.all(), simulation.wake()), (vec![], Some(500)));
}

#[test]
fn rule_3_a_retry_waits_for_its_time_and_then_goes_first() {
    let mut simulation = Simulation::new(Duration::ZERO);
    simulation.push("a", [1]);
    assert_eq!(simulation.all(), [1]);
    let at = simulation.at(300);
    simulation.schedule.again(&"a".into(), 1, at, simulation.now);
    simulation.done("a");
    assert_eq!((simulation.all(), simulation.wake(), simulation.schedule.len()), (vec![], Some(300), 1));
    simulation.push("a", [2]);
    assert_eq!(simulation.all(), [2], "it takes nobody's place");
    simulation.sleep(300);
    simulation.push("a", [3]);
    assert_eq!(simulation.all(), [1, 3]);
}

#[test]
fn rule_4_the_host_with_the_fewest_under_way_is_next() {
    let mut simulation = Simulation::new(Duration::ZERO);
    simulation.push("slow", 1..=9);
    assert_eq!((0..4).filter_map(|_| simulation.take()).count(), 4);
    simulation.push("quick", 101..=109);
    for _ in 0..4 {
        assert_eq!(simulation.take().unwrap().0, "quick");
    }
    // Four each. A free place goes back to the host that lost it.
    simulation.done("quick");
    assert_eq!(simulation.take().unwrap().0, "quick");
    simulation.done("slow");
    assert_eq!(simulation.take().unwrap().0, "slow");
}

#[test]
fn rule_4_hosts_take_turns() {
    let mut simulation = Simulation::new(Duration::ZERO);
    simulation.push("a", 1..=3);
    simulation.push("b", 11..=13);
    simulation.push("c", 21..=23);
    let mut order = Vec::new();
    while let Some((host, job)) = simulation.take() {
        order.push(job);
        simulation.done(&host);
    }
    assert_eq!(order, [1, 11, 21, 2, 12, 22, 3, 13, 23]);
}

#[test]
fn rule_5_a_host_is_asked_for_its_rules_first() {
    let mut simulation = Simulation::new(Duration::ZERO);
    simulation.schedule = Schedule::new(Duration::ZERO, true);
    simulation.push("a", 1..=3);
    let host: Arc<str> = "a".into();
    assert_eq!(simulation.schedule.take(simulation.now), Some(Start::Ask(host.clone())));
    assert_eq!((simulation.schedule.take(simulation.now), simulation.schedule.wake()), (None, None));
    simulation.schedule.ruled(&host, SECOND, simulation.now);
    simulation.done("a");
    assert_eq!((simulation.all(), simulation.wake()), (vec![1], Some(1_000)), "the pause is known before the second");
}

#[test]
fn rule_5_the_longer_pause_counts() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", 1..=2);
    simulation.schedule.ruled(&"a".into(), Duration::from_millis(10), simulation.now);
    assert_eq!((simulation.all(), simulation.wake()), (vec![1], Some(1_000)));
}

#[test]
fn rule_6_more_is_wanted_until_enough_waits_that_may_start() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", 0..AHEAD as u32);
    assert!(!simulation.schedule.has_room(), "one of them may start");
    assert_eq!(simulation.all(), [0]);
    assert!(simulation.schedule.has_room(), "none may: behind them may be another host's");
    simulation.push("a", 0..(MOST - AHEAD) as u32);
    assert!(simulation.schedule.has_room());
    simulation.push("a", [0]);
    assert_eq!((simulation.schedule.len(), simulation.schedule.has_room()), (MOST, false));
}

#[test]
fn rule_7_a_host_is_forgotten_when_it_has_had_its_pause() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", [1]);
    assert_eq!(simulation.all(), [1]);
    simulation.done("a");
    assert_eq!((simulation.schedule.hosts.len(), simulation.wake()), (1, Some(1_000)));
    simulation.sleep(1_000);
    assert!(simulation.all().is_empty());
    assert_eq!((simulation.schedule.hosts.len(), simulation.schedule.resting.len(), simulation.wake()), (0, 0, None));
}

#[test]
fn rule_7_not_while_something_is_under_way() {
    let mut simulation = Simulation::new(Duration::ZERO);
    simulation.push("a", [1]);
    assert_eq!((simulation.all(), simulation.schedule.hosts.len()), (vec![1], 1));
    simulation.done("a");
    assert_eq!(simulation.schedule.hosts.len(), 0);
}

#[test]
fn what_is_given_up_is_gone() {
    let mut simulation = Simulation::new(SECOND);
    simulation.push("a", 1..=3);
    simulation.push("b", [4]);
    assert_eq!(simulation.take().unwrap().1, 1);
    let (at, now) = (simulation.at(9_000), simulation.now);
    simulation.schedule.again(&"a".into(), 1, at, now);
    let mut given_up: Vec<_> = std::iter::from_fn(|| simulation.schedule.give_up(now)).collect();
    given_up.sort_unstable();
    assert_eq!((given_up, simulation.schedule.len()), (vec![1, 2, 3, 4], 0));
    simulation.sleep(10_000);
    assert!(simulation.all().is_empty());
}

#[test]
fn the_longest_pause_there_is_is_one() {
    let mut simulation = Simulation::new(Duration::MAX);
    simulation.push("a", 1..=2);
    assert_eq!(simulation.all(), [1]);
    simulation.sleep(1_000_000_000);
    assert!(simulation.all().is_empty());
}

/// Numbers that look random, the same ones for the same seed (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The visible state of a host.
#[derive(Default)]
struct Seen {
    last: Option<Instant>,
    held: Option<Instant>,
    pause: Duration,
    ruled: bool,
}

/// Some thousand URLs of hosts that are slow, quick, held, and ask to come again, in places that
/// are fewer than they: whatever happens, each URL is done once, no host is asked before its time,
/// and there is no time at which something may start and nothing does.
#[test]
fn at_random_no_url_is_lost_or_early_and_no_host_starves() {
    for seed in 1..=60 {
        simulate(seed);
    }
}

fn visited(start: &Start<usize>) -> Option<usize> {
    if let Start::Visit(_, url) = start { Some(*url) } else { None }
}

fn simulate(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let begun = Instant::now();
    let mut now = begun;
    let pause = Duration::from_millis(dice.below(3) * 40);
    let (rules, places) = (dice.below(2) == 0, 1 + dice.below(8) as usize);
    let mut schedule = Schedule::new(pause, rules);
    let hosts: Vec<Arc<str>> = (0..1 + dice.below(12)).map(|host| host.to_string().into()).collect();
    let mut seen: HashMap<Arc<str>, Seen> =
        hosts.iter().map(|host| (host.clone(), Seen { pause, ..Seen::default() })).collect();
    let (total, mut pushed) = (300, 0);
    let mut done = vec![0; total];
    // Sorted by host, as people's lists are.
    let host_of = |url: usize| hosts[url * hosts.len() / total].clone();
    let mut attempts = vec![0; total];
    let mut due = vec![begun; total];
    let mut under_way: Vec<(Instant, Start<usize>)> = Vec::new();
    for _ in 0..100_000 {
        while pushed < total && schedule.has_room() {
            schedule.push(&host_of(pushed), pushed, now);
            pushed += 1;
        }
        while under_way.len() < places
            && let Some(start) = schedule.take(now)
        {
            let host = match &start {
                Start::Ask(host) | Start::Visit(host, _) => host,
            };
            let known = seen.get_mut(host).unwrap();
            if let Start::Visit(_, url) = &start {
                assert!(known.ruled || !rules, "seed {seed}: {host} was not asked for its rules");
                assert!(known.last.is_none_or(|last| last + known.pause <= now), "seed {seed}: {host} had no pause");
                assert!(known.held.is_none_or(|held| held <= now), "seed {seed}: {host} was held");
                assert!(due[*url] <= now, "seed {seed}: {url} came again too early");
                known.last = Some(now);
            }
            under_way.push((now + Duration::from_millis(dice.below(60)), start));
        }
        if under_way.len() < places {
            let active: HashSet<usize> = under_way.iter().filter_map(|(_, start)| visited(start)).collect();
            let idle = (0..pushed).find(|url| {
                let known = &seen[&host_of(*url)];
                let free = known.last.is_none_or(|last| last + known.pause <= now)
                    && known.held.is_none_or(|held| held <= now);
                let asked = rules && !known.ruled;
                done[*url] == 0 && !active.contains(url) && due[*url] <= now && free && !asked
            });
            assert_eq!(idle, None, "seed {seed}: it could have been started");
        }
        if under_way.is_empty() && schedule.len() == 0 {
            break;
        }
        // To the next thing that happens.
        let ends = under_way.iter().map(|(end, _)| *end).min();
        let wake = schedule.wake().filter(|_| under_way.len() < places);
        now = ends.into_iter().chain(wake).min().expect("something is to happen").max(now);
        while let Some(ended) = under_way.iter().position(|(end, _)| *end <= now) {
            match under_way.swap_remove(ended).1 {
                Start::Ask(host) => {
                    let known = seen.get_mut(&host).unwrap();
                    known.ruled = true;
                    known.pause = pause.max(Duration::from_millis(u64::from(host.len() as u32) * 30));
                    schedule.ruled(&host, known.pause, now);
                    schedule.finished(&host, now);
                }
                Start::Visit(host, url) => {
                    attempts[url] += 1;
                    if dice.below(20) == 0 {
                        let held = now + Duration::from_millis(dice.below(500));
                        let known = seen.get_mut(&host).unwrap();
                        known.held = known.held.max(Some(held));
                        schedule.pause_host(&host, held, now);
                    }
                    if attempts[url] < 3 && dice.below(5) == 0 {
                        due[url] = now + Duration::from_millis(dice.below(300));
                        schedule.again(&host, url, due[url], now);
                    } else {
                        done[url] += 1;
                    }
                    schedule.finished(&host, now);
                }
            }
        }
    }
    assert!(done.iter().all(|times| *times == 1), "seed {seed}: {done:?}");
    // Nothing is left behind once all pauses are over.
    assert_eq!(schedule.take(now + Duration::from_secs(3_600)), None);
    assert!(schedule.hosts.is_empty() && schedule.ready.is_empty() && schedule.resting.is_empty(), "seed {seed}");
}
