//! The `cairn` command line: a thin layer over the engine.
//!
//! Exit codes: 0 ok, 1 not found, 2 wrong usage, 3 damaged data, 4 unavailable (locked, full,
//! closed, or the disk failed), 5 not allowed.
#![forbid(unsafe_code)]

mod cli;
mod cmd;
mod exit;
mod output;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::from_process();
    match cmd::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if exit::passed(&error).is_some() => {
            ExitCode::from(exit::passed(&error).expect("it was just there"))
        }
        Err(error) => {
            anstream::eprintln!("cairn: {error:#}");
            ExitCode::from(exit::code(&error))
        }
    }
}
