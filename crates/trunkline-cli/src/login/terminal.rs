//! Guard that restores the terminal's settings after a password prompt.

/// Restores the terminal's settings when dropped. A prompt that a signal interrupts would leave the
/// terminal without echo otherwise.
#[cfg(unix)]
pub(super) struct TerminalGuard(Option<(std::fs::File, rustix::termios::Termios)>);

#[cfg(unix)]
impl TerminalGuard {
    pub(super) fn on_drop() -> Self {
        let terminal = std::fs::File::open("/dev/tty").ok();
        Self(terminal.and_then(|file| rustix::termios::tcgetattr(&file).ok().map(|settings| (file, settings))))
    }
}

#[cfg(unix)]
impl Drop for TerminalGuard {
    fn drop(&mut self) {
        if let Some((file, settings)) = &self.0 {
            // It fails if the terminal is gone.
            let _ = rustix::termios::tcsetattr(file, rustix::termios::OptionalActions::Now, settings);
        }
    }
}

/// Other systems restore the console themselves.
#[cfg(not(unix))]
pub(super) struct TerminalGuard;

#[cfg(not(unix))]
impl TerminalGuard {
    pub(super) fn on_drop() -> Self {
        Self
    }
}
