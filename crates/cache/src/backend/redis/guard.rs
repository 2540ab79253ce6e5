//! A guard in front of the client's parser: looks through every answer as it comes in, and breaks
//! the connection at the first byte that is no RESP2, or is more than we are ready to hold.
//! Derived.
//!
//! The guard copies nothing and allocates nothing but a stack of [`DEPTH_MAX`] numbers, so a
//! peer that claims a length of 2^62 costs as much as one that claims 5. The parser behind it makes
//! room for what is claimed, so claims are added up before it sees them: those of nested lists
//! count together, and a string counts with all that came before it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of one answer.
const REPLY_LEN_MAX: u64 = 64 << 20;
/// Most parts of one answer, those of its parts included.
const PARTS_MAX: u64 = 1 << 20;
/// How deep answers may be nested.
const DEPTH_MAX: usize = 8;
/// Longest line: a status, an error, a number.
const LINE_LEN_MAX: usize = 64 << 10;
/// Digits of a number with its sign.
const DIGITS_MAX: usize = 20;

/// Why a byte is refused.
pub(crate) type Fault = &'static str;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Kind,
    /// In the text of a status or error: bytes so far, whether the last was CR.
    Line {
        len: usize,
        cr: bool,
    },
    /// In a number: what it is for, its value, digits, its sign, whether the last byte was CR.
    Number {
        kind: u8,
        value: u64,
        digits: usize,
        minus: bool,
        cr: bool,
    },
    /// In a bulk string: bytes to come.
    Bulk(u64),
    /// In the two bytes after one: how many came.
    BulkEnd(u8),
}

/// Follows a stream of answers.
#[derive(Debug)]
pub(crate) struct Guard {
    at: At,
    /// Parts to come of each open list.
    open: Vec<u64>,
    /// Bytes of this answer so far.
    len: u64,
    /// Parts that the lists of this answer claim, whether they came or not.
    claimed: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { at: At::Kind, open: Vec::with_capacity(DEPTH_MAX), len: 0, claimed: 0 }
    }
}

impl Guard {
    /// Looks at the next bytes of the stream.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let At::Bulk(left) = self.at {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - take as u64;
                self.count(take as u64)?;
                self.at = if left == 0 { At::BulkEnd(0) } else { At::Bulk(left) };
                bytes = bytes.get(take..).unwrap_or_default();
                continue;
            }
            self.count(1)?;
            self.byte(byte)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Whether the stream is between two answers.
    #[cfg(test)]
    fn is_between(&self) -> bool {
        self.at == At::Kind && self.open.is_empty()
    }

    fn count(&mut self, bytes: u64) -> Result<(), Fault> {
        self.len += bytes;
        if self.len > REPLY_LEN_MAX { Err("an answer is too long") } else { Ok(()) }
    }

    fn byte(&mut self, byte: u8) -> Result<(), Fault> {
        match self.at {
            At::Kind => self.kind(byte),
            At::Line { cr: true, .. } if byte == b'\n' => self.part_done(),
            At::Line { cr: true, .. } => Err("a line ends without LF"),
            At::Line { len, .. } if len >= LINE_LEN_MAX => Err("a line is too long"),
            At::Line { len, .. } => {
                self.at = At::Line { len: len + 1, cr: byte == b'\r' };
                Ok(())
            }
            At::Number { .. } => self.number(byte),
            At::BulkEnd(0) if byte == b'\r' => {
                self.at = At::BulkEnd(1);
                Ok(())
            }
            At::BulkEnd(1) if byte == b'\n' => self.part_done(),
            At::Bulk(_) | At::BulkEnd(_) => Err("a string is longer than it says"),
        }
    }

    fn kind(&mut self, byte: u8) -> Result<(), Fault> {
        self.at = match byte {
            b'+' | b'-' => At::Line { len: 0, cr: false },
            b':' | b'$' | b'*' => {
                At::Number { kind: byte, value: 0, digits: 0, minus: false, cr: false }
            }
            _ => return Err("an answer of no known kind"),
        };
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Result<(), Fault> {
        let At::Number { kind, value, digits, minus, cr } = self.at else {
            return Err("not in a number");
        };
        self.at = match byte {
            b'\n' if cr => return self.number_done(kind, value, minus),
            _ if cr => return Err("a line ends without LF"),
            b'\r' if digits > 0 => At::Number { kind, value, digits, minus, cr: true },
            b'-' if digits == 0 && !minus => {
                At::Number { kind, value, digits, minus: true, cr: false }
            }
            b'0'..=b'9' if digits < DIGITS_MAX => {
                let value = value.checked_mul(10).and_then(|v| v.checked_add((byte - b'0').into()));
                let value = value.ok_or("a number is too large")?;
                At::Number { kind, value, digits: digits + 1, minus, cr: false }
            }
            _ => return Err("no number where there must be one"),
        };
        Ok(())
    }

    fn number_done(&mut self, kind: u8, value: u64, minus: bool) -> Result<(), Fault> {
        // -1 stands for nothing.
        let is_nil = minus && value == 1;
        match kind {
            b':' if value > i64::MAX as u64 + u64::from(minus) => Err("a number is too large"),
            b':' => self.part_done(),
            _ if is_nil => self.part_done(),
            _ if minus => Err("a length below zero"),
            b'$' if value > REPLY_LEN_MAX => Err("a string is too long"),
            b'$' if self.len.saturating_add(value) > REPLY_LEN_MAX => Err("an answer is too long"),
            b'$' => {
                self.at = if value == 0 { At::BulkEnd(0) } else { At::Bulk(value) };
                Ok(())
            }
            _ if value > PARTS_MAX => Err("a list is too long"),
            _ if self.claimed + value > PARTS_MAX => Err("an answer has too many parts"),
            _ if value == 0 => self.part_done(),
            _ if self.open.len() >= DEPTH_MAX => Err("lists are nested too deep"),
            _ => {
                self.claimed += value;
                self.open.push(value);
                self.at = At::Kind;
                Ok(())
            }
        }
    }

    fn part_done(&mut self) -> Result<(), Fault> {
        self.at = At::Kind;
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return Ok(());
            }
            self.open.pop();
        }
        (self.len, self.claimed) = (0, 0);
        Ok(())
    }
}

/// Where a guard says what it refused.
pub(crate) type FaultSlot = Arc<Mutex<Option<Fault>>>;

/// A stream whose incoming bytes are looked at.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    guard: Guard,
    fault: FaultSlot,
}

impl<S> Guarded<S> {
    pub(crate) fn new(stream: S, fault: FaultSlot) -> Self {
        Self { stream, guard: Guard::default(), fault }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = &read {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if let Err(fault) = self.guard.feed(new) {
                *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                buffer.set_filled(before);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
