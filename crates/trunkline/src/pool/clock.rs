//! The time limits of one exchange, kept with a single timer that is only set once there is something to wait for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

#[derive(Debug)]
pub(crate) struct Clock {
    /// The request's end, whatever it is doing.
    deadline: Option<Instant>,
    /// How long the connection may be silent.
    silence: Option<Duration>,
    last_traffic: Instant,
    traffic: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(crate) fn new(deadline: Option<Instant>, silence: Option<Duration>) -> Self {
        Self { deadline, silence, last_traffic: Instant::now(), traffic: 0, timer: None }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The silence, if any, counts from now.
    pub(crate) fn restart(&mut self) {
        self.last_traffic = Instant::now();
        self.timer = None;
    }

    /// Ready once a limit has passed; the traffic count tells whether the connection was silent since the last call.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>, traffic: u64) -> Poll<Expired> {
        if traffic != self.traffic {
            self.traffic = traffic;
            self.last_traffic = Instant::now();
        }
        loop {
            let Some(due) = self.due() else { return Poll::Pending };
            // A timer set for an earlier moment than what is due now is asked again when it fires: cheaper than moving it for
            // every packet.
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
            std::task::ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(Expired::Deadline);
            }
            if let Some(silence) = self.silence
                && now.saturating_duration_since(self.last_traffic) >= silence
            {
                return Poll::Ready(Expired::Silence(silence));
            }
            let due = self.due().unwrap_or(now);
            timer_at(&mut self.timer, due);
        }
    }

    fn due(&self) -> Option<Instant> {
        let silent = self.silence.and_then(|silence| self.last_traffic.checked_add(silence));
        [self.deadline, silent].into_iter().flatten().min()
    }
}

fn timer_at(timer: &mut Option<Pin<Box<Sleep>>>, due: Instant) {
    if let Some(timer) = timer {
        timer.as_mut().reset(due.into());
    }
}

/// Which limit passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    Deadline,
    Silence(Duration),
}

impl Expired {
    pub(crate) fn words(self) -> String {
        match self {
            Self::Deadline => "the request's deadline passed (timeout `total`)".to_owned(),
            Self::Silence(silence) => format!("nothing came for {silence:?} (timeout `read`)"),
        }
    }
}
