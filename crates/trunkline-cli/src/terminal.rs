//! The terminal that standard error may be.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Where the bar is drawn. It leaves the cursor at the beginning of its line: behind its end, where
/// indicatif leaves it, the `^C` that a terminal shows would begin a line of its own, and the bar
/// would stay on the one above.
#[derive(Debug)]
pub(crate) struct Terminal(Term);

/// How many columns it has, if it is one.
pub(crate) fn width() -> Option<usize> {
    columns(&Term::stderr())
}

/// The same of standard output.
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
