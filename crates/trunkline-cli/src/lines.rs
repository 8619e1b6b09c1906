//! Lines of an input file: skips blank lines and comments, and bounds the memory of a line.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};

/// Longest line that can be a URL, in bytes.
const LONGEST: usize = 64 * 1024;

/// Reader of lines. It holds one line at a time, and at most [`LONGEST`] bytes of it.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
    line: Vec<u8>,
}

/// Result of [`Lines::step`].
#[derive(Debug, PartialEq)]
pub(crate) enum LineRead {
    InputLine(InputLine),
    /// A blank line or a comment.
    Skipped,
    End,
}

/// A line without the white space around it.
#[derive(Debug, PartialEq)]
pub(crate) struct InputLine {
    /// Counted from 1, blank lines and comments included.
    pub(crate) number: u64,
    pub(crate) text: Result<String, LineError>,
}

/// Fault of a line that cannot be a URL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LineError {
    TooLong,
    NotUtf8,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(LONGEST, reader), number: 0, line: Vec::new() }
    }

    /// Number of the line that was read last, or is being read.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads one line.
    ///
    /// # Errors
    ///
    /// The input cannot be read.
    pub(crate) fn step(&mut self) -> io::Result<LineRead> {
        self.number += 1;
        self.line.clear();
        // One byte beyond the limit reveals a line that is too long; one more is for the line
        // break.
        let longest = LONGEST as u64 + 2;
        if self.reader.by_ref().take(longest).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(LineRead::End);
        }
        if self.line.len() as u64 == longest && self.line.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
        }
        let number = self.number;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = if number == 1 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
        let too_long = line.len() > LONGEST;
        let line = line.trim_ascii();
        if line.is_empty() && !too_long || line.first() == Some(&b'#') {
            return Ok(LineRead::Skipped);
        }
        let text = match std::str::from_utf8(line) {
            _ if too_long => Err(LineError::TooLong),
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(LineError::NotUtf8),
        };
        Ok(LineRead::InputLine(InputLine { number, text }))
    }

    /// True if a whole line is buffered, so that the next [`step`](Self::step) does not block.
    pub(crate) fn has_one_ready(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {} KiB, which no URL should be", LONGEST / 1024),
            Self::NotUtf8 => f.write_str("not UTF-8 text, which a URL has to be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<InputLine> {
        let mut lines = Lines::new(input);
        let steps = std::iter::from_fn(|| Some(lines.step().unwrap()).filter(|step| *step != LineRead::End));
        steps.filter_map(|step| if let LineRead::InputLine(line) = step { Some(line) } else { None }).collect()
    }

    fn good(number: u64, text: &str) -> InputLine {
        InputLine { number, text: Ok(text.to_owned()) }
    }

    #[test]
    fn blank_lines_and_comments_are_skipped_and_counted() {
        let read = lines(b"\xEF\xBB\xBFone\r\n\n  \t\n# note \xFF\n  two \nthree");
        assert_eq!(read, [good(1, "one"), good(5, "two"), good(6, "three")]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), []);
    }

    #[test]
    fn a_line_that_is_not_utf8_does_not_hide_the_next() {
        assert_eq!(lines(b"\xFF\xFE\ntwo\n"), [InputLine { number: 1, text: Err(LineError::NotUtf8) }, good(2, "two")]);
    }

    #[test]
    fn a_line_has_at_most_64_kib() {
        for (length, fits) in [(LONGEST, true), (LONGEST + 1, false), (LONGEST + 2, false), (3 * LONGEST, false)] {
            for (end, following) in [("\n", vec![]), ("\ntwo", vec![good(2, "two")])] {
                let read = lines(("x".repeat(length) + end).as_bytes());
                assert_eq!(read[0].text.is_ok(), fits, "{length}");
                assert_eq!(read[1..], following, "{length}");
            }
        }
        let blank = " ".repeat(2 * LONGEST);
        assert_eq!(lines(blank.as_bytes()), [InputLine { number: 1, text: Err(LineError::TooLong) }]);
    }
}
