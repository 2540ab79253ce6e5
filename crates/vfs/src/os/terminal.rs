//! A terminal that does not show what is typed. Neither truth nor derived: a setting of the
//! terminal for as long as a value lives.

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use crate::{Error, Op, Result};

/// Keeps the terminal of standard input from showing what is typed until it is dropped.
///
/// Whoever is killed meanwhile leaves the terminal silent; `stty echo` helps.
#[derive(Debug)]
pub struct SilentTerminal(Termios);

impl SilentTerminal {
    /// Stops the showing, and forgets what was typed ahead.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn begin() -> Result<Self> {
        let failed = |error: rustix::io::Errno| Error::from_io(Op::Open, "terminal", error.into());
        let before = termios::tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for SilentTerminal {
    fn drop(&mut self) {
        let _best = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
