//! Which of a host's addresses answers first: "happy eyeballs" (RFC 8305), within the slots the
//! pool grants (P1).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// RFC 8305 section 5, "Connection Attempt Delay".
const DELAY: Duration = Duration::from_millis(250);

/// Leave to open a further socket for a dial that has one already.
pub(crate) trait Attempts: Send + Sync {
    /// Whether one more socket may be opened. Each `true` is followed by exactly one
    /// [`end`](Self::end).
    fn begin(&self) -> bool;

    /// A socket was dropped and its slot is free.
    fn end(&self);
}

/// No address answered, or none in time.
#[derive(Debug)]
pub(crate) struct Lost {
    /// The deadline passed; otherwise every address failed.
    pub(crate) timed_out: bool,
    /// What became of each address, in the order they were tried.
    pub(crate) tried: Vec<(SocketAddr, io::Error)>,
    /// Those the deadline left no time for.
    pub(crate) untried: Vec<SocketAddr>,
}

/// Connects to whichever address answers first.
///
/// Attempts start 250 ms apart, or as soon as all the running ones have failed. The first has the
/// slot the dial already owns; to run beside another one, each needs [`Attempts::begin`]. Where
/// that is refused they run one after the other, each for a fair share of the time that remains, so
/// that one dead address does not use it all.
///
/// # Cancel safety
///
/// Dropping it drops each socket and only then gives back its slot; the slot the dial owns stays
/// with the dial.
pub(crate) async fn race<S, C, F>(
    addresses: Vec<SocketAddr>,
    attempts: &dyn Attempts,
    deadline: Option<Instant>,
    connect: C,
) -> Result<S, Lost>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    let now = Instant::now();
    let mut race = Race {
        waiting: interleaved(addresses),
        running: Vec::new(),
        tried: Vec::new(),
        attempts,
        deadline,
        connect,
        next_start: now,
        patience: None,
    };
    loop {
        race.start_what_may(Instant::now());
        if race.running.is_empty() {
            return Err(race.lost(false));
        }
        match race.event().await {
            Event::Connected(index, socket) => {
                let winner = race.running.swap_remove(index);
                race.running.clear();
                // Only now, with every other socket gone, the winner can do with the dial's own slot.
                drop(winner);
                return Ok(socket);
            }
            Event::Failed(index, error) => race.failed(index, error),
            Event::Time if deadline.is_some_and(|deadline| deadline <= Instant::now()) => return Err(race.lost(true)),
            Event::Time => {}
        }
    }
}

/// RFC 8305 section 4: the families take turns, beginning with the one the resolver put first.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut turns = VecDeque::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return turns;
        }
        turns.extend(one);
        turns.extend(other);
    }
}

struct Race<'a, C, F> {
    waiting: VecDeque<SocketAddr>,
    running: Vec<Attempt<'a, F>>,
    tried: Vec<(SocketAddr, io::Error)>,
    attempts: &'a dyn Attempts,
    deadline: Option<Instant>,
    connect: C,
    /// When the next attempt may start beside the running ones.
    next_start: Instant,
    /// When the running attempt has had its share of the time, if the next one needs its slot.
    patience: Option<Instant>,
}

/// One attempt. The order of its fields is the order they are dropped in: first the socket, then
/// its slot.
struct Attempt<'a, F> {
    connecting: Pin<Box<F>>,
    address: SocketAddr,
    /// `None` for the slot of the dial itself: of the running attempts exactly one has that.
    slot: Option<Slot<'a>>,
}

struct Slot<'a>(&'a dyn Attempts);

impl<'a> Slot<'a> {
    fn begin(attempts: &'a dyn Attempts) -> Option<Self> {
        // Not `then_some`: a slot that was made would be given back.
        attempts.begin().then(|| Self(attempts))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

enum Event<S> {
    Connected(usize, S),
    Failed(usize, io::Error),
    Time,
}

impl<'a, S, C, F> Race<'a, C, F>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    fn start_what_may(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        if self.running.is_empty() {
            return self.start(now, None);
        }
        let impatient = self.patience.is_some_and(|patience| patience <= now);
        if now < self.next_start && !impatient {
            return;
        }
        if let Some(slot) = Slot::begin(self.attempts) {
            self.start(now, Some(slot));
        } else if impatient {
            let slot = self.give_up_oldest();
            self.start(now, slot);
        } else {
            self.next_start = now + DELAY;
        }
    }

    fn start(&mut self, now: Instant, slot: Option<Slot<'a>>) {
        let Some(address) = self.waiting.pop_front() else { return };
        let connecting = Box::pin((self.connect)(address));
        self.running.push(Attempt { connecting, address, slot });
        self.next_start = now + DELAY;
        let claims = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.patience = self.deadline.map(|deadline| now + deadline.saturating_duration_since(now) / claims);
    }

    async fn event(&mut self) -> Event<S> {
        let next =
            (!self.waiting.is_empty()).then(|| self.patience.map_or(self.next_start, |p| p.min(self.next_start)));
        let wake = next.into_iter().chain(self.deadline).min();
        let mut timer = pin!(async {
            match wake {
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
            timer.as_mut().poll(cx).map(|()| Event::Time)
        })
        .await
    }

    fn failed(&mut self, index: usize, error: io::Error) {
        let Attempt { connecting, address, slot } = self.running.remove(index);
        drop(connecting);
        // Slots are interchangeable: when the attempt in the dial's own slot ends, another one moves into
        // it.
        let freed = slot.or_else(|| self.running.first_mut().and_then(|heir| heir.slot.take()));
        drop(freed);
        tracing::debug!(target: "trunkline::connection", %address, %error, "no connection");
        self.tried.push((address, error));
    }

    /// Ends the attempt that has been running longest; its slot is the next one's.
    fn give_up_oldest(&mut self) -> Option<Slot<'a>> {
        let Attempt { connecting, address, slot } = self.running.remove(0);
        drop(connecting);
        self.tried.push((address, io::ErrorKind::TimedOut.into()));
        slot
    }

    fn lost(&mut self, timed_out: bool) -> Lost {
        for Attempt { connecting, address, slot } in self.running.drain(..) {
            drop(connecting);
            drop(slot);
            self.tried.push((address, io::ErrorKind::TimedOut.into()));
        }
        Lost { timed_out, tried: std::mem::take(&mut self.tried), untried: self.waiting.drain(..).collect() }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (address, error) in &self.tried {
            f.write_str(separator)?;
            match error.kind() {
                io::ErrorKind::ConnectionRefused => write!(f, "connection refused by {address}"),
                io::ErrorKind::TimedOut => write!(f, "no answer from {address}"),
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    write!(f, "no route to {address}")
                }
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

    /// Grants `free` slots beside the dial's own, and watches that sockets never outnumber slots.
    #[derive(Default)]
    struct Slots {
        free: AtomicUsize,
        begun: AtomicUsize,
        ended: AtomicUsize,
        sockets: AtomicUsize,
    }

    impl Slots {
        fn with(free: usize) -> Self {
            Self { free: free.into(), ..Self::default() }
        }

        /// Slots held, the dial's own included.
        fn held(&self) -> usize {
            1 + self.begun.load(Relaxed) - self.ended.load(Relaxed)
        }
    }

    impl Attempts for Slots {
        fn begin(&self) -> bool {
            let granted = self.free.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1)).is_ok();
            self.begun.fetch_add(granted.into(), Relaxed);
            granted
        }

        fn end(&self) {
            self.free.fetch_add(1, Relaxed);
            self.ended.fetch_add(1, Relaxed);
            assert!(self.sockets.load(Relaxed) <= self.held(), "a slot was given back before its socket was dropped");
        }
    }

    /// A socket, from the start of its attempt.
    struct Socket<'a>(&'a Slots);

    impl<'a> Socket<'a> {
        fn open(slots: &'a Slots) -> Self {
            assert!(slots.sockets.fetch_add(1, Relaxed) < slots.held(), "a socket without a slot");
            Self(slots)
        }
    }

    impl Drop for Socket<'_> {
        fn drop(&mut self) {
            self.0.sockets.fetch_sub(1, Relaxed);
        }
    }

    #[derive(Clone, Copy)]
    enum Does {
        Answers(u64),
        Refuses(u64),
        Hangs,
    }
    use Does::{Answers, Hangs, Refuses};

    type Log = Rc<RefCell<Vec<(u64, String)>>>;

    /// Races the scripted addresses; `log` gets when each was tried.
    async fn run<'a>(
        script: &[(&str, Does)],
        slots: &'a Slots,
        deadline: Option<u64>,
        log: Log,
    ) -> Result<(SocketAddr, Socket<'a>), Lost> {
        let start = Instant::now();
        let plan: HashMap<SocketAddr, Does> = script.iter().map(|(a, does)| (a.parse().unwrap(), *does)).collect();
        let addresses = script.iter().map(|(address, _)| address.parse().unwrap()).collect();
        let deadline = deadline.map(|ms| start + Duration::from_millis(ms));
        race(addresses, slots, deadline, |address| {
            log.borrow_mut().push((start.elapsed().as_millis() as u64, address.to_string()));
            let does = plan[&address];
            async move {
                let socket = Socket::open(slots);
                match does {
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

    fn tried(log: &Log) -> Vec<(u64, String)> {
        log.borrow().clone()
    }

    fn at(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(ms, address)| (*ms, (*address).to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn families_take_turns_250_ms_apart() {
        let (slots, log) = (Slots::with(9), Log::default());
        let script = [
            ("[::1]:1", Hangs),
            ("[::2]:1", Hangs),
            ("[::3]:1", Hangs),
            ("1.1.1.1:1", Hangs),
            ("1.1.1.2:1", Answers(10)),
        ];
        let (winner, _socket) = run(&script, &slots, Some(60_000), log.clone()).await.unwrap();
        assert_eq!(winner.to_string(), "1.1.1.2:1");
        let order = [(0, "[::1]:1"), (250, "1.1.1.1:1"), (500, "[::2]:1"), (750, "1.1.1.2:1")];
        assert_eq!(tried(&log), at(&order));
        assert_eq!((slots.held(), slots.sockets.load(Relaxed)), (1, 1), "the winner's alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_address_can_still_win() {
        let (slots, log) = (Slots::with(9), Log::default());
        let script = [("1.1.1.1:1", Answers(400)), ("1.1.1.2:1", Answers(400))];
        let (winner, _socket) = run(&script, &slots, None, log).await.unwrap();
        assert_eq!(winner.to_string(), "1.1.1.1:1");
        assert_eq!((slots.held(), slots.begun.load(Relaxed)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_starts_at_once_when_all_have_failed() {
        let (slots, log) = (Slots::with(0), Log::default());
        let script = [("1.1.1.1:1", Refuses(5)), ("1.1.1.2:1", Refuses(5)), ("1.1.1.3:1", Answers(5))];
        run(&script, &slots, None, log.clone()).await.unwrap();
        assert_eq!(tried(&log), at(&[(0, "1.1.1.1:1"), (5, "1.1.1.2:1"), (10, "1.1.1.3:1")]));
        assert_eq!(slots.begun.load(Relaxed), 0, "one after the other needs no second slot");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_gives_its_slot_back_while_others_run() {
        let (slots, log) = (Slots::with(1), Log::default());
        // The first fails while the second runs: the second takes over the dial's own slot, and its own
        // serves the third.
        let script = [("1.1.1.1:1", Refuses(300)), ("1.1.1.2:1", Hangs), ("1.1.1.3:1", Answers(10))];
        run(&script, &slots, None, log.clone()).await.unwrap();
        assert_eq!(tried(&log), at(&[(0, "1.1.1.1:1"), (250, "1.1.1.2:1"), (500, "1.1.1.3:1")]));
        assert_eq!((slots.begun.load(Relaxed), slots.ended.load(Relaxed)), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_second_slot_each_address_gets_its_share_of_the_time() {
        let (slots, log) = (Slots::with(0), Log::default());
        let script =
            [("1.1.1.1:1", Hangs), ("1.1.1.2:1", Refuses(3_000)), ("1.1.1.3:1", Hangs), ("1.1.1.4:1", Answers(1))];
        let (winner, _socket) = run(&script, &slots, Some(12_000), log.clone()).await.unwrap();
        assert_eq!(winner.to_string(), "1.1.1.4:1");
        // 12 s / 4; refused after 3 s, as early as its share; (12 - 6) / 2.
        assert_eq!(
            tried(&log),
            at(&[(0, "1.1.1.1:1"), (3_000, "1.1.1.2:1"), (6_000, "1.1.1.3:1"), (9_000, "1.1.1.4:1")])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_comes_free_later_is_used() {
        let (slots, log) = (Slots::with(0), Log::default());
        let script = [("1.1.1.1:1", Hangs), ("1.1.1.2:1", Answers(1))];
        let freed = async {
            sleep(Duration::from_millis(600)).await;
            slots.free.store(1, Relaxed);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            won = run(&script, &slots, Some(60_000), log.clone()) => drop(won.unwrap()),
            () = freed => {}
        }
        assert_eq!(tried(&log), at(&[(0, "1.1.1.1:1"), (750, "1.1.1.2:1")]));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_each_address_is_named_with_its_reason() {
        let (slots, log) = (Slots::with(1), Log::default());
        let script = [("127.0.0.1:9", Refuses(1)), ("[::1]:9", Refuses(1))];
        let lost = run(&script, &slots, None, log).await.map(drop).unwrap_err();
        assert!(!lost.timed_out);
        assert_eq!(lost.to_string(), "connection refused by 127.0.0.1:9; connection refused by [::1]:9");
        assert_eq!((slots.held(), slots.sockets.load(Relaxed)), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_passed_deadline_tells_what_was_tried() {
        let (slots, log) = (Slots::with(1), Log::default());
        let script = [("1.1.1.1:1", Refuses(10)), ("1.1.1.2:1", Hangs), ("1.1.1.3:1", Hangs)];
        let start = Instant::now();
        let lost = run(&script, &slots, Some(1_000), log).await.map(drop).unwrap_err();
        assert!(lost.timed_out && start.elapsed() <= Duration::from_millis(1_002));
        assert_eq!(
            lost.to_string(),
            "connection refused by 1.1.1.1:1; no answer from 1.1.1.2:1; no answer from 1.1.1.3:1"
        );
        assert_eq!((slots.held(), slots.sockets.load(Relaxed)), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_to_try_is_a_failure() {
        let lost = run(&[], &Slots::with(0), None, Log::default()).await.map(drop).unwrap_err();
        assert!(!lost.timed_out && lost.tried.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_at_any_instant_no_slot_and_no_socket_is_left() {
        let script =
            [("1.1.1.1:1", Refuses(260)), ("1.1.1.2:1", Hangs), ("[::1]:1", Refuses(100)), ("[::2]:1", Answers(400))];
        for free in 0..4 {
            for cut in (0..2_000).step_by(10) {
                let slots = Slots::with(free);
                let race = run(&script, &slots, Some(1_500), Log::default());
                let _ = tokio::time::timeout(Duration::from_millis(cut), race).await;
                assert_eq!((slots.held(), slots.sockets.load(Relaxed)), (1, 0), "{free} slots, cut at {cut} ms");
            }
        }
    }
}
