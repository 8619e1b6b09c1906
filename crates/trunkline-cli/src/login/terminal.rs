//! The terminal, as it was before a password was asked for.

/// Puts the terminal's settings back when it is dropped: a question that nobody waits for any more,
/// because a signal ends the program, leaves it without echo otherwise.
#[cfg(unix)]
pub(super) struct Restored(Option<(std::fs::File, rustix::termios::Termios)>);

#[cfg(unix)]
impl Restored {
    pub(super) fn on_drop() -> Self {
        let terminal = std::fs::File::open("/dev/tty").ok();
        Self(terminal.and_then(|file| rustix::termios::tcgetattr(&file).ok().map(|settings| (file, settings))))
    }
}

#[cfg(unix)]
impl Drop for Restored {
    fn drop(&mut self) {
        if let Some((file, settings)) = &self.0 {
            // If it has gone, there is nothing to put back.
            let _ = rustix::termios::tcsetattr(file, rustix::termios::OptionalActions::Now, settings);
        }
    }
}

/// Elsewhere the console does so by itself.
#[cfg(not(unix))]
pub(super) struct Restored;

#[cfg(not(unix))]
impl Restored {
    pub(super) fn on_drop() -> Self {
        Self
    }
}
