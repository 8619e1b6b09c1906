//! deflate: zlib's format (RFC 1950), as the standard wants it, or the bare one (RFC 1951), as some
//! servers have it.

use flate2::Decompress;

use super::inflate::inflate;
use super::litter::Litter;
use super::{Codec, Step};
use crate::error::BoxError;

/// The method that zlib's first byte names in its lower half. A bare stream begins so only with
/// padding that no encoder writes.
const DEFLATE: u8 = 8;

#[derive(Default)]
pub(super) struct Deflate {
    /// Made when its first byte tells which of the two it is.
    stream: Option<Decompress>,
    ended: bool,
    litter: Litter,
}

impl Codec for Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, BoxError> {
        if self.ended {
            return self.litter.ignore(input);
        }
        let stream = match (&mut self.stream, input.first()) {
            (Some(stream), _) => stream,
            (none, Some(first)) => none.insert(Decompress::new(first & 0x0f == DEFLATE)),
            (None, None) => return Ok(Step::default()),
        };
        let (step, ended) = inflate(stream, input, output)?;
        self.ended = ended;
        Ok(step)
    }

    fn is_complete(&self) -> bool {
        self.ended
    }
}
