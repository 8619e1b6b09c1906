//! gzip (RFC 1952): one member or several, each with its checksum.

use flate2::Decompress;

use super::inflate::inflate;
use super::litter::Litter;
use super::{Codec, Step};
use crate::error::BoxError;

/// The first bytes of each member.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The largest window there is: 32 KiB.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip {
    member: Decompress,
    place: Place,
    litter: Litter,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Member,
    /// Behind a member: another may follow.
    Between,
    /// The first byte of another has come, or of what is none.
    Begun,
    /// The bytes after the last member.
    Behind,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { member: Decompress::new_gzip(WINDOW_BITS), place: Place::Member, litter: Litter::default() }
    }

    fn next_member(&mut self, output: &mut [u8]) -> Result<Step, BoxError> {
        self.member = Decompress::new_gzip(WINDOW_BITS);
        self.place = Place::Member;
        // Its first byte may have come with the input before this one.
        inflate(&mut self.member, &MAGIC, output)?;
        Ok(Step { read: 1, written: 0 })
    }
}

impl Codec for Gzip {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, BoxError> {
        if self.place == Place::Member {
            let (step, ended) = inflate(&mut self.member, input, output)?;
            if ended {
                self.place = Place::Between;
            }
            return Ok(step);
        }
        match (self.place, input.first()) {
            (_, None) => Ok(Step::default()),
            (Place::Between, Some(&first)) if first == MAGIC[0] => {
                self.place = Place::Begun;
                Ok(Step { read: 1, written: 0 })
            }
            (Place::Begun, Some(&second)) if second == MAGIC[1] => self.next_member(output),
            _ => {
                self.place = Place::Behind;
                self.litter.ignore(input)
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.place != Place::Member
    }
}
