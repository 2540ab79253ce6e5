//! Comma-separated rows (RFC 4180) from a stream: one row in memory at a time, of a bounded
//! length, with its position. Holds nothing but that row.
//!
//! Fields in quotes may hold commas, quotes (doubled) and line ends. Lines end with `\n` or
//! `\r\n`; empty ones are left out. A byte order mark at the beginning is left out, too.

use std::io::BufRead;

use crate::limits::{CSV_COLUMNS_MAX, CSV_RECORD_LEN_MAX};
use crate::{Error, Result};

/// Rows of a stream.
#[derive(Debug)]
pub struct CsvReader<R> {
    input: R,
    line: u64,
    next_line: u64,
    read_len: u64,
    text: Vec<u8>,
    ends: Vec<usize>,
    is_begun: bool,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct CsvRow<'a> {
    /// The line it begins on, from 1.
    pub line: u64,
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> CsvRow<'a> {
    /// How many fields it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no fields; no row that is read is so.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A field by index.
    ///
    /// # Errors
    /// [`Error::Row`] when there is none, or it is not UTF-8.
    pub fn field(&self, index: usize) -> Result<&'a str> {
        let bytes = self.ends.get(index).and_then(|end| {
            let start = index.checked_sub(1).and_then(|before| self.ends.get(before));
            self.text.get(start.copied().unwrap_or(0)..*end)
        });
        let bytes = bytes.ok_or_else(|| self.error(index, "the row ends before this column"))?;
        std::str::from_utf8(bytes).map_err(|_| self.error(index, "not UTF-8"))
    }

    /// What is wrong with a field.
    #[must_use]
    pub fn error(&self, index: usize, cause: impl Into<String>) -> Error {
        Error::Row { line: self.line, column: index as u64 + 1, cause: cause.into() }
    }
}

/// Where in a field the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted field: the end of the field, or a quote doubled.
    Closed,
}

impl<R: BufRead> CsvReader<R> {
    /// Reads a stream.
    #[must_use]
    pub const fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            next_line: 1,
            read_len: 0,
            text: Vec::new(),
            ends: Vec::new(),
            is_begun: false,
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn read_len(&self) -> u64 {
        self.read_len
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Row`] for quotes in the wrong places and rows that are too long;
    /// [`Error::Input`].
    pub fn next_row(&mut self) -> Result<Option<CsvRow<'_>>> {
        if !self.is_begun {
            self.is_begun = true;
            if self.input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
                self.input.consume(3);
                self.read_len += 3;
            }
        }
        while self.read_row()? {
            let is_blank = self.text.is_empty() && self.ends.len() == 1;
            if !is_blank {
                let (line, text, ends) = (self.line, &self.text[..], &self.ends[..]);
                return Ok(Some(CsvRow { line, text, ends }));
            }
        }
        Ok(None)
    }

    fn error(&self, cause: &str) -> Error {
        Error::Row { line: self.line, column: self.ends.len() as u64 + 1, cause: cause.to_owned() }
    }

    /// Reads up to the end of a row; says whether there was one.
    fn read_row(&mut self) -> Result<bool> {
        self.line = self.next_line;
        self.text.clear();
        self.ends.clear();
        let mut state = State::Start;
        let mut any = false;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                if state == State::Quoted {
                    return Err(self.error("the input ends within quotes"));
                }
                if any {
                    self.ends.push(self.text.len());
                }
                return Ok(any);
            }
            any = true;
            let mut used = 0;
            let mut outcome = Ok(false);
            for byte in buffer {
                used += 1;
                outcome =
                    Step { text: &mut self.text, ends: &mut self.ends }.take(*byte, &mut state);
                self.next_line += u64::from(*byte == b'\n');
                if !matches!(outcome, Ok(false)) {
                    break;
                }
            }
            self.input.consume(used);
            self.read_len += used as u64;
            match outcome {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(cause) => return Err(self.error(cause)),
            }
        }
    }
}

/// The row that is being read.
struct Step<'a> {
    text: &'a mut Vec<u8>,
    ends: &'a mut Vec<usize>,
}

impl Step<'_> {
    /// Takes one byte; says whether the row is at its end.
    fn take(&mut self, byte: u8, state: &mut State) -> std::result::Result<bool, &'static str> {
        if self.text.len() >= CSV_RECORD_LEN_MAX {
            return Err("the row is too long");
        }
        match (*state, byte) {
            (State::Quoted, b'"') => *state = State::Closed,
            (State::Quoted, byte) => self.text.push(byte),
            (State::Closed, b'"') => {
                self.text.push(b'"');
                *state = State::Quoted;
            }
            (State::Start, b'"') => *state = State::Quoted,
            (_, b',') => {
                if self.ends.len() + 1 >= CSV_COLUMNS_MAX {
                    return Err("the row has too many columns");
                }
                self.ends.push(self.text.len());
                *state = State::Start;
            }
            (_, b'\n') => {
                let start = self.ends.last().copied().unwrap_or(0);
                let is_plain = matches!(state, State::Plain);
                if is_plain && self.text.len() > start && self.text.last() == Some(&b'\r') {
                    self.text.pop();
                }
                self.ends.push(self.text.len());
                return Ok(true);
            }
            (State::Closed, b'\r') => {}
            (State::Closed, _) => return Err("text after the end of quotes"),
            (State::Plain, b'"') => return Err("a quote within a field that is not in quotes"),
            (State::Start | State::Plain, byte) => {
                self.text.push(byte);
                *state = State::Plain;
            }
        }
        Ok(false)
    }
}
