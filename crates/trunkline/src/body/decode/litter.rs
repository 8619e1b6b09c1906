//! Trailing bytes after the end of a coded stream: ignored up to a limit, as in browsers and gzip.

use super::Step;
use crate::error::BoxError;

/// As much as is ignored. The connection is free only behind it.
pub(super) const MOST: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Litter(usize);

impl Litter {
    pub(super) fn ignore(&mut self, input: &[u8]) -> Result<Step, BoxError> {
        self.0 += input.len();
        if self.0 > MOST {
            return Err(format!("more than {MOST} bytes follow its end").into());
        }
        Ok(Step { read: input.len(), written: 0 })
    }
}
