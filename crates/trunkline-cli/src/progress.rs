//! Progress bar on the last line of the terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::terminal::Terminal;

/// Numbers that the bar shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgressUpdate {
    pub(crate) done: u64,
    /// `None` for an input that was not read to its end.
    pub(crate) total: Option<u64>,
    /// Open connections.
    pub(crate) open: usize,
    /// Requests that wait for a connection.
    pub(crate) waiting: usize,
}

/// Bar on standard error, if that is a terminal.
pub(crate) struct Progress(Option<ProgressBar>);

const COUNT: &str = "{pos} pages · {rate} · {msg}";
const BAR: &str = "[{bar:30}] {pos}/{len} · {rate} · {msg}";

impl Progress {
    /// True if standard error is a terminal that can show a bar.
    pub(crate) fn is_wanted() -> bool {
        let attended = std::io::stderr().is_terminal();
        // A dumb terminal cannot return to the start of a line.
        attended && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
    }

    pub(crate) fn new() -> Self {
        let bar = || {
            let target = ProgressDrawTarget::term_like(Box::new(Terminal::stderr()));
            ProgressBar::with_draw_target(None, target).with_style(style(COUNT))
        };
        Self(Self::is_wanted().then(bar))
    }

    pub(crate) fn show(&self, update: ProgressUpdate) {
        let Some(bar) = &self.0 else { return };
        let ProgressUpdate { done, total, open, waiting } = update;
        bar.set_message(format!("{open} open, {waiting} waiting"));
        if total.is_some() != bar.length().is_some() {
            bar.set_style(style(if total.is_some() { BAR } else { COUNT }));
        }
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_position(done);
    }

    /// Hides the bar while `write` writes lines to the terminal.
    pub(crate) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates above are well formed");
    style.progress_chars("=> ").with_key("rate", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // An error of the formatter leaves the rate out.
        let _ = write!(text, "{:.0}/s", state.per_sec());
    })
}
