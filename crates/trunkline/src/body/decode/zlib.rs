//! gzip (RFC 1952), zlib (RFC 1950) and bare deflate (RFC 1951).

use flate2::{Decompress, FlushDecompress, Status};

use super::trailing::TrailingBytes;
use super::{Codec, Progress};
use crate::error::BoxError;

/// The first bytes of each member.
#[cfg(feature = "gzip")]
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The largest window: 32 KiB.
#[cfg(feature = "gzip")]
const WINDOW_BITS: u8 = 15;

#[cfg(feature = "gzip")]
pub(super) struct Gzip {
    member: Decompress,
    position: Position,
    trailing: TrailingBytes,
}

#[cfg(feature = "gzip")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Member,
    /// After a member: another may follow.
    Between,
    /// After the first byte of another member, or of trailing bytes.
    Begun,
    /// The bytes after the last member.
    Trailing,
}

#[cfg(feature = "gzip")]
impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            member: Decompress::new_gzip(WINDOW_BITS),
            position: Position::Member,
            trailing: TrailingBytes::default(),
        }
    }

    fn next_member(&mut self, output: &mut [u8]) -> Result<Progress, BoxError> {
        self.member = Decompress::new_gzip(WINDOW_BITS);
        self.position = Position::Member;
        // Its first byte may have been part of the previous input.
        inflate(&mut self.member, &MAGIC, output)?;
        Ok(Progress { read: 1, written: 0 })
    }
}

#[cfg(feature = "gzip")]
impl Codec for Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, BoxError> {
        if self.position == Position::Member {
            let (step, ended) = inflate(&mut self.member, input, output)?;
            if ended {
                self.position = Position::Between;
            }
            return Ok(step);
        }
        match (self.position, input.first()) {
            (_, None) => Ok(Progress::default()),
            (Position::Between, Some(&first)) if first == MAGIC[0] => {
                self.position = Position::Begun;
                Ok(Progress { read: 1, written: 0 })
            }
            (Position::Begun, Some(&second)) if second == MAGIC[1] => self.next_member(output),
            _ => {
                self.position = Position::Trailing;
                self.trailing.ignore(input)
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.position != Position::Member
    }
}

/// The method that zlib's first byte names in its lower half. A bare stream begins so only with
/// padding that no encoder writes.
#[cfg(feature = "deflate")]
const DEFLATE: u8 = 8;

#[cfg(feature = "deflate")]
#[derive(Default)]
pub(super) struct Deflate {
    /// None before the first byte, which tells zlib and deflate apart.
    stream: Option<Decompress>,
    ended: bool,
    trailing: TrailingBytes,
}

#[cfg(feature = "deflate")]
impl Codec for Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, BoxError> {
        if self.ended {
            return self.trailing.ignore(input);
        }
        let stream = match (&mut self.stream, input.first()) {
            (Some(stream), _) => stream,
            (none, Some(first)) => none.insert(Decompress::new(first & 0x0f == DEFLATE)),
            (None, None) => return Ok(Progress::default()),
        };
        let (step, ended) = inflate(stream, input, output)?;
        self.ended = ended;
        Ok(step)
    }

    fn is_complete(&self) -> bool {
        self.ended
    }
}

/// Inflates a piece of input. Returns the step, and true at the end of the stream.
fn inflate(stream: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(Progress, bool), BoxError> {
    let before = (stream.total_in(), stream.total_out());
    let status = stream.decompress(input, output, FlushDecompress::None)?;
    let since = |now: u64, then: u64| usize::try_from(now - then);
    let step = Progress { read: since(stream.total_in(), before.0)?, written: since(stream.total_out(), before.1)? };
    Ok((step, status == Status::StreamEnd))
}
