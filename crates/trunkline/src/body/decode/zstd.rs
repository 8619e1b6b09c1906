//! Zstandard (RFC 8878): one frame or several. What is no frame is an error.

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{Codec, Progress};
use crate::error::BoxError;

/// A frame says itself how much memory it wants. RFC 9659: in HTTP it is 8 MiB at most.
const WINDOW_LOG: u32 = 23;

pub(super) struct Zstd {
    context: DCtx<'static>,
    /// Between frames.
    complete: bool,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut context = DCtx::create();
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).expect("zstd takes 10 to 31");
        Self { context, complete: false }
    }
}

impl Codec for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, BoxError> {
        let (mut source, mut target) = (InBuffer::around(input), OutBuffer::around(output));
        let wanted = self.context.decompress_stream(&mut target, &mut source).map_err(get_error_name)?;
        let step = Progress { read: source.pos(), written: target.pos() };
        // Asked again at the end of a frame, it wants the next.
        if step.read > 0 || step.written > 0 {
            self.complete = wanted == 0;
        }
        Ok(step)
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}
