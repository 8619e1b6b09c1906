//! Terminal on standard error: its width, and the bar's drawing target.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Drawing target of the bar. It leaves the cursor at the beginning of the line. indicatif leaves
/// it behind the end, where the `^C` that a terminal echoes would start a new line and leave the
/// bar on the line above.
#[derive(Debug)]
pub(crate) struct Terminal(Term);

/// Columns of standard error, if it is a terminal.
pub(crate) fn width() -> Option<usize> {
    columns(&Term::stderr())
}

/// Columns of standard output, if it is a terminal.
#[cfg(feature = "frontier")]
pub(crate) fn width_of_stdout() -> Option<usize> {
    columns(&Term::stdout())
}

fn columns(terminal: &Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| columns.into())
}

impl Terminal {
    pub(crate) fn stderr() -> Self {
        Self(Term::buffered_stderr())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}
