//! The data: the same for every log, and of no use to a compressor.

/// Different payloads that are appended in turn.
const COUNT: usize = 1000;

/// A supply of payloads of one length.
#[derive(Debug, Clone)]
pub struct Payloads(Vec<Vec<u8>>);

impl Payloads {
    /// Random bytes from a fixed seed.
    pub fn new(len: usize, count: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let count = count.max(COUNT);
        Self((0..count).map(|_| (0..len).map(|_| next()).collect()).collect())
    }

    /// One payload; they repeat.
    pub fn one(&self, index: u64) -> &[u8] {
        &self.0[usize::try_from(index % self.0.len() as u64).expect("less than the count")]
    }

    /// So many payloads for a batch.
    pub fn batch(&self, count: usize) -> &[Vec<u8>] {
        &self.0[..count]
    }

    /// Writes consecutive numbers, from `first` on, into the payloads of a batch.
    pub fn number(&mut self, first: u64) {
        for (number, payload) in (first..).zip(&mut self.0) {
            payload[..8].copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// Checks that a read returns numbered payloads, whole and in order, while touching each.
#[derive(Debug)]
pub struct Checker {
    next: u64,
    len: usize,
    pub count: u64,
    wrong: u64,
    /// Keeps the last byte of each payload from being optimised away.
    touched: u8,
}

impl Checker {
    /// Expects payloads of `len` bytes numbered from `first` on.
    pub fn new(first: u64, len: usize) -> Self {
        Self { next: first, len, count: 0, wrong: 0, touched: 0 }
    }

    /// Takes the next payload.
    pub fn take(&mut self, payload: &[u8]) {
        let number = payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        if number != Some(self.next) || payload.len() != self.len {
            self.wrong += 1;
        }
        self.touched ^= payload.last().copied().unwrap_or(0);
        self.next += 1;
        self.count += 1;
    }

    /// Whether exactly these payloads came.
    pub fn finish(&self, count: u64) -> anyhow::Result<()> {
        std::hint::black_box(self.touched);
        anyhow::ensure!(self.count == count, "{} of {count} records readable", self.count);
        anyhow::ensure!(self.wrong == 0, "{} of {count} records are wrong", self.wrong);
        Ok(())
    }
}
