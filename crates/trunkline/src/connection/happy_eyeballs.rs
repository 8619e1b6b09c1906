//! Happy Eyeballs v2 (RFC 8305): staggered connection attempts to a host's addresses, the first to
//! succeed wins. The pool's connection limit holds for every attempt (rule P1).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// "Connection Attempt Delay" (RFC 8305 section 5): 250 ms, the recommended value.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Permits for parallel attempts: a dial needs one for each socket beyond its first.
pub(crate) trait Attempts: Send + Sync {
    /// Takes a permit and returns true, if the limit allows one more socket. Each `true` is
    /// followed by exactly one [`end`](Self::end).
    fn begin(&self) -> bool;

    /// Returns a permit, after its socket was dropped.
    fn end(&self);
}

/// Failure of all attempts: every address failed, or the deadline passed.
#[derive(Debug)]
pub(crate) struct ConnectFailure {
    /// True if the deadline passed; otherwise every address failed.
    pub(crate) timed_out: bool,
    /// The error of each address, in the order of the attempts.
    pub(crate) tried: Vec<(SocketAddr, io::Error)>,
    /// The addresses the deadline left no time for.
    pub(crate) untried: Vec<SocketAddr>,
}

/// Connects to the address that answers first.
///
/// Attempts start 250 ms apart, or as soon as all running attempts have failed. The first attempt
/// uses the slot of the dial; an attempt that runs beside another one needs a permit
/// ([`Attempts::begin`]). Without a permit the attempts run one after the other, each for an equal
/// share of the remaining time, so that one dead address does not use all of it.
///
/// # Cancel safety
///
/// Dropping the future drops each socket and then returns its permit. The slot of the dial stays
/// with the dial.
pub(crate) async fn connect_first<S, C, F>(
    addresses: Vec<SocketAddr>,
    permits: &dyn Attempts,
    deadline: Option<Instant>,
    connect: C,
) -> Result<S, ConnectFailure>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    let mut race = Race {
        untried: interleave_families(addresses),
        running: Vec::new(),
        failed: Vec::new(),
        permits,
        deadline,
        connect,
        next_start: Instant::now(),
        share_ends: None,
    };
    loop {
        race.start_due_attempt(Instant::now());
        if race.running.is_empty() {
            return Err(race.give_up(false));
        }
        match race.next_event().await {
            Event::Connected(index, socket) => {
                let winner = race.running.swap_remove(index);
                race.running.clear();
                // The winner's permit goes last: only with all other sockets closed does the dial's
                // own slot cover the winning socket.
                drop(winner);
                return Ok(socket);
            }
            Event::Failed(index, error) => race.record_failure(index, error),
            Event::Timer if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return Err(race.give_up(true));
            }
            Event::Timer => {}
        }
    }
}

/// Alternates the address families, beginning with the family of the resolver's first address
/// (RFC 8305 section 4).
fn interleave_families(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut interleaved = VecDeque::with_capacity(preferred.len() + other.len());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let pair = (preferred.next(), other.next());
        if pair == (None, None) {
            return interleaved;
        }
        interleaved.extend(pair.0);
        interleaved.extend(pair.1);
    }
}

struct Race<'a, C, F> {
    untried: VecDeque<SocketAddr>,
    /// In the order of their start.
    running: Vec<ConnectAttempt<'a, F>>,
    failed: Vec<(SocketAddr, io::Error)>,
    permits: &'a dyn Attempts,
    deadline: Option<Instant>,
    connect: C,
    /// Earliest start of the next attempt beside the running ones.
    next_start: Instant,
    /// End of the latest attempt's share of the time. After it, an attempt without a permit
    /// replaces the oldest running one.
    share_ends: Option<Instant>,
}

/// A running attempt. Fields drop in the order of their declaration: the socket, then its permit.
struct ConnectAttempt<'a, F> {
    connecting: Pin<Box<F>>,
    address: SocketAddr,
    /// `None` for the attempt in the dial's own slot: exactly one of the running attempts.
    permit: Option<AttemptPermit<'a>>,
}

struct AttemptPermit<'a>(&'a dyn Attempts);

impl<'a> AttemptPermit<'a> {
    fn acquire(permits: &'a dyn Attempts) -> Option<Self> {
        // Not `then_some`, which would build a permit in any case, and return it on drop.
        permits.begin().then(|| Self(permits))
    }
}

impl Drop for AttemptPermit<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

enum Event<S> {
    Connected(usize, S),
    Failed(usize, io::Error),
    Timer,
}

impl<'a, S, C, F> Race<'a, C, F>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    /// Starts the next attempt if its time has come and the limit allows it.
    fn start_due_attempt(&mut self, now: Instant) {
        if self.untried.is_empty() {
            return;
        }
        if self.running.is_empty() {
            return self.start(now, None);
        }
        let share_over = self.share_ends.is_some_and(|end| end <= now);
        if now < self.next_start && !share_over {
            return;
        }
        if let Some(permit) = AttemptPermit::acquire(self.permits) {
            self.start(now, Some(permit));
        } else if share_over {
            let permit = self.abandon_oldest();
            self.start(now, permit);
        } else {
            self.next_start = now + ATTEMPT_DELAY;
        }
    }

    fn start(&mut self, now: Instant, permit: Option<AttemptPermit<'a>>) {
        let Some(address) = self.untried.pop_front() else { return };
        let connecting = Box::pin((self.connect)(address));
        self.running.push(ConnectAttempt { connecting, address, permit });
        self.next_start = now + ATTEMPT_DELAY;
        let shares = u32::try_from(self.untried.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.share_ends = self.deadline.map(|deadline| now + deadline.saturating_duration_since(now) / shares);
    }

    /// Waits for a result of a running attempt, for the time of the next start, or for the
    /// deadline.
    async fn next_event(&mut self) -> Event<S> {
        let next_start =
            (!self.untried.is_empty()).then(|| self.share_ends.map_or(self.next_start, |end| end.min(self.next_start)));
        let wake_up = next_start.into_iter().chain(self.deadline).min();
        let mut timer = pin!(async {
            match wake_up {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        });
        std::future::poll_fn(|cx| {
            for (index, attempt) in self.running.iter_mut().enumerate() {
                match attempt.connecting.as_mut().poll(cx) {
                    Poll::Ready(Ok(socket)) => return Poll::Ready(Event::Connected(index, socket)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Event::Failed(index, error)),
                    Poll::Pending => {}
                }
            }
            timer.as_mut().poll(cx).map(|()| Event::Timer)
        })
        .await
    }

    fn record_failure(&mut self, index: usize, error: io::Error) {
        let ConnectAttempt { connecting, address, permit } = self.running.remove(index);
        drop(connecting);
        // If the attempt in the dial's own slot ends, another attempt takes that slot over and
        // returns its permit.
        let returned = permit.or_else(|| self.running.first_mut().and_then(|successor| successor.permit.take()));
        drop(returned);
        tracing::debug!(target: "trunkline::connection", %address, %error, "connection attempt failed");
        self.failed.push((address, error));
    }

    /// Drops the attempt that has run longest, and hands its permit to the next one.
    fn abandon_oldest(&mut self) -> Option<AttemptPermit<'a>> {
        let ConnectAttempt { connecting, address, permit } = self.running.remove(0);
        drop(connecting);
        self.failed.push((address, io::ErrorKind::TimedOut.into()));
        permit
    }

    fn give_up(&mut self, timed_out: bool) -> ConnectFailure {
        for ConnectAttempt { connecting, address, permit } in self.running.drain(..) {
            drop(connecting);
            drop(permit);
            self.failed.push((address, io::ErrorKind::TimedOut.into()));
        }
        let (tried, untried) = (std::mem::take(&mut self.failed), self.untried.drain(..).collect());
        ConnectFailure { timed_out, tried, untried }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let last = self.tried.len().saturating_sub(1);
        for (index, (address, error)) in self.tried.iter().enumerate() {
            f.write_str(separator)?;
            match error.kind() {
                io::ErrorKind::ConnectionRefused => write!(f, "connection refused by {address}"),
                io::ErrorKind::TimedOut => write!(f, "no answer from {address}"),
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    write!(f, "no route to {address}")
                }
                // The last error is the source: its text follows.
                _ if index == last => write!(f, "{address}: {}", error.kind()),
                _ => write!(f, "{address}: {error}"),
            }?;
            separator = "; ";
        }
        for address in &self.untried {
            write!(f, "{separator}{address} not tried")?;
            separator = "; ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::time::sleep;

    use super::*;

    /// Grants `free` permits beside the dial's own slot, and asserts that sockets never outnumber
    /// permits.
    #[derive(Default)]
    struct Permits {
        free: AtomicUsize,
        begun: AtomicUsize,
        ended: AtomicUsize,
        sockets: AtomicUsize,
    }

    impl Permits {
        fn with(free: usize) -> Self {
            Self { free: free.into(), ..Self::default() }
        }

        /// The permits in use, and the dial's own slot.
        fn held(&self) -> usize {
            1 + self.begun.load(Relaxed) - self.ended.load(Relaxed)
        }
    }

    impl Attempts for Permits {
        fn begin(&self) -> bool {
            let granted = self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1)).is_ok();
            self.begun.fetch_add(granted.into(), Relaxed);
            granted
        }

        fn end(&self) {
            self.free.fetch_add(1, Relaxed);
            self.ended.fetch_add(1, Relaxed);
            assert!(self.sockets.load(Relaxed) <= self.held(), "a permit was returned before its socket was dropped");
        }
    }

    /// A socket, from the start of its attempt.
    struct FakeSocket<'a>(&'a Permits);

    impl<'a> FakeSocket<'a> {
        fn open(permits: &'a Permits) -> Self {
            assert!(permits.sockets.fetch_add(1, Relaxed) < permits.held(), "a socket without a permit");
            Self(permits)
        }
    }

    impl Drop for FakeSocket<'_> {
        fn drop(&mut self) {
            self.0.sockets.fetch_sub(1, Relaxed);
        }
    }

    #[derive(Clone, Copy)]
    enum Behavior {
        Answers(u64),
        Refuses(u64),
        Hangs,
    }
    use Behavior::{Answers, Hangs, Refuses};

    type AttemptLog = Rc<RefCell<Vec<(u64, String)>>>;

    /// Connects to the scripted addresses; `log` records the start of each attempt.
    async fn run<'a>(
        script: &[(&str, Behavior)],
        permits: &'a Permits,
        deadline: Option<u64>,
        log: AttemptLog,
    ) -> Result<(SocketAddr, FakeSocket<'a>), ConnectFailure> {
        let start = Instant::now();
        let plan: HashMap<SocketAddr, Behavior> =
            script.iter().map(|(address, behavior)| (address.parse().unwrap(), *behavior)).collect();
        let addresses = script.iter().map(|(address, _)| address.parse().unwrap()).collect();
        let deadline = deadline.map(|ms| start + Duration::from_millis(ms));
        connect_first(addresses, permits, deadline, |address| {
            log.borrow_mut().push((start.elapsed().as_millis() as u64, address.to_string()));
            let behavior = plan[&address];
            async move {
                let socket = FakeSocket::open(permits);
                match behavior {
                    Answers(ms) => {
                        sleep(Duration::from_millis(ms)).await;
                        Ok((address, socket))
                    }
                    Refuses(ms) => {
                        sleep(Duration::from_millis(ms)).await;
                        Err(io::ErrorKind::ConnectionRefused.into())
                    }
                    Hangs => std::future::pending().await,
                }
            }
        })
        .await
    }

    fn tried(log: &AttemptLog) -> Vec<(u64, String)> {
        log.borrow().clone()
    }

    fn at(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(ms, address)| (*ms, (*address).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn families_take_turns_250_ms_apart() {
        let (permits, log) = (Permits::with(9), AttemptLog::default());
        let script = [
            ("[::1]:1", Hangs),
            ("[::2]:1", Hangs),
            ("[::3]:1", Hangs),
            ("1.1.1.1:1", Hangs),
            ("1.1.1.2:1", Answers(10)),
        ];
        let (winner, _socket) = run(&script, &permits, Some(60_000), log.clone()).await.unwrap();
        assert_eq!(winner.to_string(), "1.1.1.2:1");
        let order = [(0, "[::1]:1"), (250, "1.1.1.1:1"), (500, "[::2]:1"), (750, "1.1.1.2:1")];
        assert_eq!(tried(&log), at(&order));
        assert_eq!((permits.held(), permits.sockets.load(Relaxed)), (1, 1), "only the winner's is left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_address_can_still_win() {
        let (permits, log) = (Permits::with(9), AttemptLog::default());
        let script = [("1.1.1.1:1", Answers(400)), ("1.1.1.2:1", Answers(400))];
        let (winner, _socket) = run(&script, &permits, None, log).await.unwrap();
        assert_eq!(winner.to_string(), "1.1.1.1:1");
        assert_eq!((permits.held(), permits.begun.load(Relaxed)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_attempt_starts_when_all_running_ones_failed() {
        let (permits, log) = (Permits::with(0), AttemptLog::default());
        let script = [("1.1.1.1:1", Refuses(5)), ("1.1.1.2:1", Refuses(5)), ("1.1.1.3:1", Answers(5))];
        run(&script, &permits, None, log.clone()).await.unwrap();
        assert_eq!(tried(&log), at(&[(0, "1.1.1.1:1"), (5, "1.1.1.2:1"), (10, "1.1.1.3:1")]));
        assert_eq!(permits.begun.load(Relaxed), 0, "sequential attempts need no permit");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_returns_its_permit_while_others_run() {
        let (permits, log) = (Permits::with(1), AttemptLog::default());
        // The first fails while the second runs: the second takes over the dial's own slot, and its
        // permit goes to the third.
        let script = [("1.1.1.1:1", Refuses(300)), ("1.1.1.2:1", Hangs), ("1.1.1.3:1", Answers(10))];
        run(&script, &permits, None, log.clone()).await.unwrap();
        assert_eq!(tried(&log), at(&[(0, "1.1.1.1:1"), (250, "1.1.1.2:1"), (500, "1.1.1.3:1")]));
        assert_eq!((permits.begun.load(Relaxed), permits.ended.load(Relaxed)), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_permit_each_address_gets_its_share_of_the_time() {
        let (permits, log) = (Permits::with(0), AttemptLog::default());
        let script =
            [("1.1.1.1:1", Hangs), ("1.1.1.2:1", Refuses(3_000)), ("1.1.1.3:1", Hangs), ("1.1.1.4:1", Answers(1))];
        let (winner, _socket) = run(&script, &permits, Some(12_000), log.clone()).await.unwrap();
        assert_eq!(winner.to_string(), "1.1.1.4:1");
        // 12 s / 4; refused after 3 s, as early as its share; (12 - 6) / 2.
        assert_eq!(
            tried(&log),
            at(&[(0, "1.1.1.1:1"), (3_000, "1.1.1.2:1"), (6_000, "1.1.1.3:1"), (9_000, "1.1.1.4:1")])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_returned_later_is_used() {
        let (permits, log) = (Permits::with(0), AttemptLog::default());
        let script = [("1.1.1.1:1", Hangs), ("1.1.1.2:1", Answers(1))];
        let freeing = async {
            sleep(Duration::from_millis(600)).await;
            permits.free.store(1, Relaxed);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            won = run(&script, &permits, Some(60_000), log.clone()) => drop(won.unwrap()),
            () = freeing => {}
        }
        assert_eq!(tried(&log), at(&[(0, "1.1.1.1:1"), (750, "1.1.1.2:1")]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_of_all_names_each_address_with_its_error() {
        let (permits, log) = (Permits::with(1), AttemptLog::default());
        let script = [("127.0.0.1:9", Refuses(1)), ("[::1]:9", Refuses(1))];
        let failure = run(&script, &permits, None, log).await.map(drop).unwrap_err();
        assert!(!failure.timed_out);
        assert_eq!(failure.to_string(), "connection refused by 127.0.0.1:9; connection refused by [::1]:9");
        assert_eq!((permits.held(), permits.sockets.load(Relaxed)), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_passed_deadline_lists_the_tried_addresses() {
        let (permits, log) = (Permits::with(1), AttemptLog::default());
        let script = [("1.1.1.1:1", Refuses(10)), ("1.1.1.2:1", Hangs), ("1.1.1.3:1", Hangs)];
        let start = Instant::now();
        let failure = run(&script, &permits, Some(1_000), log).await.map(drop).unwrap_err();
        assert!(failure.timed_out && start.elapsed() <= Duration::from_millis(1_002));
        assert_eq!(
            failure.to_string(),
            "connection refused by 1.1.1.1:1; no answer from 1.1.1.2:1; no answer from 1.1.1.3:1"
        );
        assert_eq!((permits.held(), permits.sockets.load(Relaxed)), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_address_list_is_a_failure() {
        let failure = run(&[], &Permits::with(0), None, AttemptLog::default()).await.map(drop).unwrap_err();
        assert!(!failure.timed_out && failure.tried.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_at_any_instant_leaks_no_permit_and_no_socket() {
        let script =
            [("1.1.1.1:1", Refuses(260)), ("1.1.1.2:1", Hangs), ("[::1]:1", Refuses(100)), ("[::2]:1", Answers(400))];
        for free in 0..4 {
            for cut in (0..2_000).step_by(10) {
                let permits = Permits::with(free);
                let race = run(&script, &permits, Some(1_500), AttemptLog::default());
                let _ = tokio::time::timeout(Duration::from_millis(cut), race).await;
                assert_eq!((permits.held(), permits.sockets.load(Relaxed)), (1, 0), "{free} permits, cut at {cut} ms");
            }
        }
    }
}
