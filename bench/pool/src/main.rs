//! Cost of the pool itself in nanoseconds, locks included: checkout and return of a connection, and
//! the grant to a waiter. Runs one round and prints one metric per line.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use trunkline::bench::{BareCheckout, BarePool, Leased, Waiting};

const HOSTS: usize = 10_000;
const WAITERS: usize = 100_000;
/// Number of operations between two readings of the clock.
const BATCH: usize = 100;

fn main() -> trunkline::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let times = if quick { 200_000 } else { 2_000_000 };
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers always builds");
    let _entered = runtime.enter();

    println!("one_host {}", checkout_and_return(1, times)?);
    println!("many_hosts {}", checkout_and_return(HOSTS, times)?);
    println!("beside_waiters {}", checkout_beside_waiters(times)?);
    println!("grant_to_few {}", return_and_grant(0, times / 10)?);
    println!("grant_to_many {}", return_and_grant(WAITERS, times / 10)?);
    Ok(())
}

/// Measures a request that checks an idle connection out and returns it. The order of the hosts is
/// shuffled, against cache prefetching.
fn checkout_and_return(hosts: usize, times: usize) -> trunkline::Result<f64> {
    let pool = BarePool::new(hosts, None, None)?;
    let hosts = shuffled(hosts);
    for &host in &hosts {
        drop(leased_now(pool.checkout(host)?)?);
    }
    check_out_repeatedly(&pool, &hosts, times)
}

/// Measures checkout and return while 100,000 requests wait for another host at its limit.
fn checkout_beside_waiters(times: usize) -> trunkline::Result<f64> {
    let pool = BarePool::new(2, None, Some(1))?;
    let _held = leased_now(pool.checkout(1)?)?;
    let _waiting: VecDeque<Waiting> = (0..WAITERS).map(|_| queued(&pool, 1)).collect::<trunkline::Result<_>>()?;
    drop(leased_now(pool.checkout(0)?)?);
    check_out_repeatedly(&pool, &[0], times)
}

fn check_out_repeatedly(pool: &BarePool, hosts: &[usize], times: usize) -> trunkline::Result<f64> {
    let mut next_host = hosts.iter().cycle();
    let mut repeat = |times| {
        for _ in 0..times {
            let host = *next_host.next().expect("there is at least one host");
            drop(black_box(leased_now(pool.checkout(host)?)?));
        }
        Ok::<_, trunkline::Error>(())
    };
    repeat(times / 10)?;
    let start = Instant::now();
    repeat(times)?;
    Ok(nanoseconds_each(start.elapsed(), times))
}

/// Measures the return of a connection and its grant to the oldest waiter, with `waiters` to
/// `waiters + BATCH` requests in the queue.
fn return_and_grant(waiters: usize, times: usize) -> trunkline::Result<f64> {
    let pool = BarePool::new(1, Some(1), None)?;
    let mut held = leased_now(pool.checkout(0)?)?;
    let mut queue: VecDeque<Waiting> = (0..waiters).map(|_| queued(&pool, 0)).collect::<trunkline::Result<_>>()?;
    let mut elapsed = Duration::ZERO;
    for _ in 0..times / BATCH {
        for _ in 0..BATCH {
            queue.push_back(queued(&pool, 0)?);
        }
        let mut first: Vec<Waiting> = queue.drain(..BATCH).collect();
        let start = Instant::now();
        for waiting in &mut first {
            drop(held);
            held = granted(waiting)?;
        }
        elapsed += start.elapsed();
    }
    Ok(nanoseconds_each(elapsed, times))
}

fn queued(pool: &BarePool, host: usize) -> trunkline::Result<Waiting> {
    let BareCheckout::Waiting(mut waiting) = pool.checkout(host)? else { panic!("expected a waiter") };
    assert!(poll(&mut waiting).is_pending(), "expected a waiter");
    Ok(waiting)
}

fn leased_now(asked: BareCheckout) -> trunkline::Result<Leased> {
    match asked {
        BareCheckout::Leased(leased) => Ok(leased),
        BareCheckout::Waiting(mut dials) => granted(&mut dials),
    }
}

fn granted(waiting: &mut Waiting) -> trunkline::Result<Leased> {
    match poll(waiting) {
        Poll::Ready(leased) => leased,
        Poll::Pending => panic!("expected a lease"),
    }
}

fn poll(waiting: &mut Waiting) -> Poll<trunkline::Result<Leased>> {
    Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
}

fn nanoseconds_each(elapsed: Duration, times: usize) -> f64 {
    elapsed.as_secs_f64() * 1e9 / times as f64
}

/// The numbers 0 to n - 1 in a fixed pseudo-random order.
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
