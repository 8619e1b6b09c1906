//! Brotli (RFC 7932), with windows of at most 16 MiB: "large window" Brotli is another format.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::trailing::TrailingBytes;
use super::{Codec, Progress};
use crate::error::BoxError;

pub(super) struct Br {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
    trailing: TrailingBytes,
}

impl Br {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self {
            state: BrotliState::new_strict(alloc(), alloc(), alloc()),
            ended: false,
            trailing: TrailingBytes::default(),
        }
    }
}

impl Codec for Br {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, BoxError> {
        if self.ended {
            return self.trailing.ignore(input);
        }
        let mut step = Progress::default();
        let (mut unread, mut room, mut total) = (input.len(), output.len(), 0);
        let result = BrotliDecompressStream(
            &mut unread,
            &mut step.read,
            input,
            &mut room,
            &mut step.written,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err("malformed brotli".into()),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(step)
    }

    fn is_complete(&self) -> bool {
        self.ended
    }
}
