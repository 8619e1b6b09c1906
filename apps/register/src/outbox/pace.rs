//! Retry schedule of mails, and the sending rate that SES allows.
//!
//! A failed or throttled mail is retried without an end: after 1 s, 2 s, 4 s and so on up to 1 h,
//! each pause shortened at random by up to a half ([`FIRST_RETRY`], [`LONGEST_RETRY`]). A mail that
//! SES refuses is never retried; one that a paused account holds up does not count as an attempt.
//! The functions are pure: the caller passes the time and the random number.

use std::time::Duration;

use tokio::time::Instant;

/// Pause before the second attempt to send a mail, before its random cut. Each further one doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Upper limit of the doubled pauses. The number of attempts has no limit.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// Pauses of the whole sender after SES throttles it: first and longest.
const FIRST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Pauses between two probes of a paused account: first and longest.
const FIRST_PROBE: Duration = Duration::from_secs(2);
const LONGEST_PROBE: Duration = Duration::from_secs(300);

/// Pause before the next attempt after `attempts` failures. `chance`, between 0 and 1, spreads the
/// retries of mails that failed together.
pub(super) fn retry_after(attempts: u32, chance: f64) -> Duration {
    growing(FIRST_RETRY, LONGEST_RETRY, attempts.saturating_sub(1), chance)
}

/// `first` doubled `doublings` times, at most `longest`; between a half and the whole of that.
fn growing(first: Duration, longest: Duration, doublings: u32, chance: f64) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest);
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// Sending rate that SES allows at present.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Throttled: end of the rest, and number of doublings.
    rest: Option<(Instant, u32)>,
    /// Account paused: time of the next probe, and number of failed probes.
    pause: Option<(Instant, u32)>,
}

/// Number of sends that may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// This number of sends, at least one.
    For(usize),
    /// None before then.
    From(Instant),
    /// None before a current send has ended.
    None,
}

impl Pace {
    /// Returns the sends that may start now, of `senders` at most, with `under_way` running.
    pub(super) fn room(&self, now: Instant, senders: usize, under_way: usize) -> Room {
        let free = senders.saturating_sub(under_way);
        match (self.pause, self.rest) {
            // One probe at a time.
            (Some(_), _) if under_way > 0 => Room::None,
            (Some((probe_at, _)), _) if now < probe_at => Room::From(probe_at),
            (Some(_), _) => Room::For(1),
            (None, Some((until, _))) if now < until => Room::From(until),
            _ if free == 0 => Room::None,
            _ => Room::For(free),
        }
    }

    /// Records an accepted mail. During a rest it was sent before the rest began, so the rest
    /// stays.
    pub(super) fn sent(&mut self, now: Instant) {
        self.pause = None;
        if let Some((until, times)) = self.rest
            && until <= now
        {
            self.rest = times.checked_sub(1).map(|times| (until, times));
        }
    }

    /// Records a throttled mail. Mails sent together and throttled together count once.
    pub(super) fn throttled(&mut self, now: Instant, chance: f64) {
        match self.rest {
            Some((until, _)) if now < until => {}
            rest => {
                let times = rest.map_or(0, |(_, times)| times.saturating_add(1));
                self.rest = Some((now + growing(FIRST_REST, LONGEST_REST, times, chance), times));
            }
        }
    }

    /// Records that SES takes no mail of this account. Returns true if the pause is new.
    pub(super) fn paused(&mut self, now: Instant, chance: f64) -> bool {
        match self.pause {
            // The mail was sent before the pause began.
            Some((probe_at, _)) if now < probe_at => false,
            pause => {
                let times = pause.map_or(0, |(_, times)| times.saturating_add(1));
                self.pause = Some((now + growing(FIRST_PROBE, LONGEST_PROBE, times, chance), times));
                pause.is_none()
            }
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_an_hour_and_are_spread() {
        let seconds: Vec<_> = (1..15).map(|attempts| retry_after(attempts, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(retry_after(4, 0.0), 4 * SECOND);
        assert_eq!(retry_after(4, 0.5), 6 * SECOND);
        assert_eq!(retry_after(0, 1.0), SECOND);
        assert_eq!(retry_after(u32::MAX, 1.0), LONGEST_RETRY);
    }

    #[test]
    fn there_is_room_for_those_that_are_not_under_way() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.room(now, 8, 0), Room::For(8));
        assert_eq!(pace.room(now, 8, 5), Room::For(3));
        assert_eq!(pace.room(now, 8, 8), Room::None);
    }

    #[test]
    fn throttling_lengthens_the_rest_and_each_mail_shortens_it() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for rest in [1, 2, 4, 8] {
            pace.throttled(now, 1.0);
            pace.throttled(now, 1.0);
            let until = now + FIRST_REST * rest;
            assert_eq!(pace.room(now, 8, 0), Room::From(until));
            assert_eq!(pace.room(until, 8, 0), Room::For(8));
            now = until;
        }
        for _ in 0..3 {
            pace.sent(now);
        }
        pace.throttled(now, 1.0);
        assert_eq!(pace.room(now, 8, 0), Room::From(now + 2 * FIRST_REST));
        now += 2 * FIRST_REST;
        for _ in 0..10 {
            pace.sent(now);
        }
        pace.throttled(now, 1.0);
        assert_eq!(pace.room(now, 8, 0), Room::From(now + FIRST_REST));
    }

    #[test]
    fn a_rest_is_not_cut_short_by_mails_that_were_under_way() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.throttled(now, 1.0);
        pace.sent(now);
        assert_eq!(pace.room(now, 8, 0), Room::From(now + FIRST_REST));
        pace.throttled(now + FIRST_REST, 1.0);
        assert_eq!(
            pace.room(now + FIRST_REST, 8, 0),
            Room::From(now + 3 * FIRST_REST),
            "it was too fast twice in a row"
        );
    }

    #[test]
    fn a_paused_account_is_probed_by_one_mail_at_a_time() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(pace.paused(now, 1.0));
        assert!(!pace.paused(now, 1.0));
        let probe = now + FIRST_PROBE;
        assert_eq!(pace.room(now, 8, 3), Room::None);
        assert_eq!(pace.room(now, 8, 0), Room::From(probe));
        assert_eq!(pace.room(probe, 8, 0), Room::For(1));
        assert_eq!(pace.room(probe, 8, 1), Room::None);
        assert!(!pace.paused(probe, 1.0));
        assert_eq!(pace.room(probe, 8, 0), Room::From(probe + 2 * FIRST_PROBE));
        pace.sent(probe);
        assert!(!pace.is_paused());
        assert_eq!(pace.room(probe, 8, 0), Room::For(8));
    }
}
