//! What the pool itself costs, locks included, in nanoseconds: checkout and return of a connection,
//! and handing one on to a request that waits. One round; prints a figure a line.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use trunkline::bench::{BareCheckout, BarePool, Leased, Waiting};

const HOSTS: usize = 10_000;
const WAITERS: usize = 100_000;
/// How many times something is done between two looks at the clock.
const BATCH: usize = 100;

fn main() -> trunkline::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let times = if quick { 200_000 } else { 2_000_000 };
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers needs nothing");
    let _inside = runtime.enter();

    println!("one_host {}", checkout_and_return(1, times)?);
    println!("many_hosts {}", checkout_and_return(HOSTS, times)?);
    println!("beside_waiters {}", checkout_beside_waiters(times)?);
    println!("grant_to_few {}", return_and_grant(0, times / 10)?);
    println!("grant_to_many {}", return_and_grant(WAITERS, times / 10)?);
    Ok(())
}

/// A request that finds an idle connection and gives it back; the hosts in an order that no cache
/// foresees.
fn checkout_and_return(hosts: usize, times: usize) -> trunkline::Result<f64> {
    let pool = BarePool::new(hosts, None, None)?;
    let hosts = shuffled(hosts);
    for &host in &hosts {
        drop(now(pool.checkout(host)?)?);
    }
    turn_over(&pool, &hosts, times)
}

/// The same with one connection, while 100,000 requests wait for another host that is at its limit.
fn checkout_beside_waiters(times: usize) -> trunkline::Result<f64> {
    let pool = BarePool::new(2, None, Some(1))?;
    let _held = now(pool.checkout(1)?)?;
    let _waiting: VecDeque<Waiting> = (0..WAITERS).map(|_| queued(&pool, 1)).collect::<trunkline::Result<_>>()?;
    drop(now(pool.checkout(0)?)?);
    turn_over(&pool, &[0], times)
}

fn turn_over(pool: &BarePool, hosts: &[usize], times: usize) -> trunkline::Result<f64> {
    let mut rounds = hosts.iter().cycle();
    let mut turn = |times| {
        for _ in 0..times {
            let host = *rounds.next().expect("there is at least one host");
            drop(black_box(now(pool.checkout(host)?)?));
        }
        Ok::<_, trunkline::Error>(())
    };
    turn(times / 10)?;
    let begun = Instant::now();
    turn(times)?;
    Ok(each(begun.elapsed(), times))
}

/// A connection comes back, and the oldest of those that wait takes it. How many wait goes from
/// `waiters` and a batch down to `waiters`.
fn return_and_grant(waiters: usize, times: usize) -> trunkline::Result<f64> {
    let pool = BarePool::new(1, Some(1), None)?;
    let mut held = now(pool.checkout(0)?)?;
    let mut queue: VecDeque<Waiting> = (0..waiters).map(|_| queued(&pool, 0)).collect::<trunkline::Result<_>>()?;
    let mut spent = Duration::ZERO;
    for _ in 0..times / BATCH {
        for _ in 0..BATCH {
            queue.push_back(queued(&pool, 0)?);
        }
        let mut first: Vec<Waiting> = queue.drain(..BATCH).collect();
        let begun = Instant::now();
        for waiting in &mut first {
            drop(held);
            held = granted(waiting)?;
        }
        spent += begun.elapsed();
    }
    Ok(each(spent, times))
}

fn queued(pool: &BarePool, host: usize) -> trunkline::Result<Waiting> {
    let BareCheckout::Waiting(mut waiting) = pool.checkout(host)? else { panic!("it was to wait") };
    assert!(poll(&mut waiting).is_pending(), "it was to wait");
    Ok(waiting)
}

fn now(asked: BareCheckout) -> trunkline::Result<Leased> {
    match asked {
        BareCheckout::Leased(leased) => Ok(leased),
        BareCheckout::Waiting(mut dials) => granted(&mut dials),
    }
}

fn granted(waiting: &mut Waiting) -> trunkline::Result<Leased> {
    match poll(waiting) {
        Poll::Ready(leased) => leased,
        Poll::Pending => panic!("it was not to wait"),
    }
}

fn poll(waiting: &mut Waiting) -> Poll<trunkline::Result<Leased>> {
    Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
}

fn each(spent: Duration, times: usize) -> f64 {
    spent.as_secs_f64() * 1e9 / times as f64
}

/// 0 to n - 1 in an order that is the same each time.
fn shuffled(n: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..n).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for at in (1..n).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(at, (state % (at as u64 + 1)) as usize);
    }
    numbers
}
