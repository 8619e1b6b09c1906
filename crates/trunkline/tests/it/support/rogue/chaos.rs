//! A server in changing moods, the same for the same seed.

use std::io;
use std::time::Duration;

use super::connection::{Connection, over, response};

/// A chaotic rogue's answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    Ok,
    /// Well, after 1–20 ms.
    SlowOk,
    /// Half of the head, then closes.
    HalfHead,
    /// A body shorter than its `Content-Length`, then closes.
    ShortBody,
    /// A body longer than its `Content-Length`, then closes.
    LongBody,
    /// A reset in the middle of the body.
    ResetInBody,
    /// A whole answer, with the request's bytes only half read or not at all; then it reads on.
    Early,
    /// Nothing for up to 200 ms, then closes.
    Silence,
    /// Two whole answers to one request.
    TwoAnswers,
    /// A head of more than 100 KiB.
    HugeHead,
    /// A chunk size that is no number, then closes.
    GarbageChunk,
    /// Well, then closes at once, unannounced.
    OkThenClose,
    /// Well, with `Connection: close`, then closes.
    AnnouncedClose,
}

impl Mood {
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::SlowOk,
        Self::HalfHead,
        Self::ShortBody,
        Self::LongBody,
        Self::ResetInBody,
        Self::Early,
        Self::Silence,
        Self::TwoAnswers,
        Self::HugeHead,
        Self::GarbageChunk,
        Self::OkThenClose,
        Self::AnnouncedClose,
    ];

    /// True if the answer is complete and valid. (Two answers hold a sound one, and a client may
    /// well refuse them.)
    pub fn is_sound(self) -> bool {
        matches!(self, Self::Ok | Self::SlowOk | Self::Early | Self::OkThenClose | Self::AnnouncedClose)
    }
}

/// The body of every sound answer.
pub const CHAOS_BODY: &[u8] = b"chaos, but well";

pub(super) async fn serve(connection: &mut Connection, seed: u64) -> io::Result<()> {
    loop {
        connection.await_request().await?;
        // From the place alone: how the connections' requests happen to interleave changes nothing.
        let place = (connection.number() as u64) << 32 | connection.requests();
        let mut random = Random::new(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Half of them good, else no connection would ever be used twice.
        let mood = if random.below(2) == 0 { Mood::Ok } else { random.of(&Mood::ALL) };
        if mood == Mood::Early {
            connection.send(&response(200, "", CHAOS_BODY)).await?;
        }
        connection.read_head().await?;
        connection.note_mood(mood);
        connection.read_body().await?;
        answer(connection, mood, &mut random).await?;
    }
}

async fn answer(connection: &mut Connection, mood: Mood, random: &mut Random) -> io::Result<()> {
    let good = response(200, "", CHAOS_BODY);
    match mood {
        Mood::Ok => connection.send(&good).await,
        Mood::SlowOk => {
            pause(1 + random.below(20)).await;
            connection.send(&good).await
        }
        Mood::HalfHead => close_after(connection, &good[..good.len() / 3]).await,
        Mood::ShortBody => close_after(connection, &good[..good.len() - 3]).await,
        Mood::LongBody => close_after(connection, &[&good[..], b"and more"].concat()).await,
        Mood::ResetInBody => {
            connection.send(&good[..good.len() - 3]).await?;
            pause(random.below(3)).await;
            connection.reset()
        }
        Mood::Early => Ok(()),
        Mood::Silence => {
            pause(random.below(201)).await;
            Err(over())
        }
        Mood::TwoAnswers => connection.send(&good.repeat(2)).await,
        Mood::HugeHead => {
            let line = format!("X-Huge: {}\r\n", "x".repeat(1000));
            connection.send(&response(200, &line.repeat(103), CHAOS_BODY)).await
        }
        Mood::GarbageChunk => {
            close_after(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n").await
        }
        Mood::OkThenClose => close_after(connection, &good).await,
        Mood::AnnouncedClose => close_after(connection, &response(200, "Connection: close\r\n", CHAOS_BODY)).await,
    }
}

async fn close_after(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    connection.send(bytes).await?;
    Err(over())
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Marsaglia's xorshift64, for tests that want chance which repeats.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero is its one fixed point; near seeds need some rounds to part.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    #[allow(clippy::should_implement_trait, reason = "no iterator: it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 up to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}
