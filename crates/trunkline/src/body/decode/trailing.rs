//! Trailing bytes after the end of a coded stream: ignored up to a limit, as in browsers and gzip.

use super::Progress;
use crate::error::BoxError;

/// The limit on ignored bytes. The connection is free only after them.
pub(super) const LIMIT: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct TrailingBytes(usize);

impl TrailingBytes {
    /// Ignores input after the end.
    pub(super) fn ignore(&mut self, input: &[u8]) -> Result<Progress, BoxError> {
        self.0 += input.len();
        if self.0 > LIMIT {
            return Err(format!("more than {LIMIT} bytes follow its end").into());
        }
        Ok(Progress { read: input.len(), written: 0 })
    }
}
