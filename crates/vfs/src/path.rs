//! Rules for relative paths.

use crate::{Error, FaultKind, Op, Result};

/// Refuses everything but plain names joined by `/`.
///
/// # Errors
/// [`FaultKind::UnsafePath`] for an absolute or empty path, `.` and `..`, NUL.
pub fn check(op: Op, path: &str) -> Result<()> {
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if path.split('/').all(plain) {
        Ok(())
    } else {
        Err(Error::new(op, path.escape_debug().to_string(), FaultKind::UnsafePath))
    }
}

/// As [`check`], also accepting the empty path: the root.
///
/// # Errors
/// As [`check`].
pub fn check_dir(op: Op, path: &str) -> Result<()> {
    if path.is_empty() { Ok(()) } else { check(op, path) }
}

/// Directory and name of a path.
#[must_use]
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b"] {
            assert!(check(Op::Open, path).is_err(), "{path:?}");
        }
        assert!(check(Op::Open, "log/segment_000000.log").is_ok());
    }
}
