//! A step of zlib's, which gzip and deflate have in common.

use flate2::{Decompress, FlushDecompress, Status};

use super::Step;
use crate::error::BoxError;

/// Inflates a piece of input. Returns the step, and true at the end of the stream.
pub(super) fn inflate(stream: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(Step, bool), BoxError> {
    let before = (stream.total_in(), stream.total_out());
    let status = stream.decompress(input, output, FlushDecompress::None)?;
    let since = |now: u64, then: u64| usize::try_from(now - then);
    let step = Step { read: since(stream.total_in(), before.0)?, written: since(stream.total_out(), before.1)? };
    Ok((step, status == Status::StreamEnd))
}
