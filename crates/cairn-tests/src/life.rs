//! One simulated life of a log.

use std::collections::BTreeSet;
use std::sync::Arc;

use cairn_codec::{CodecRegistry, RecordView};
use cairn_segment::mutation::Mutation;
use cairn_segment::{
    CleanOptions, Draft, Error, Fate, Log, LogConfig, RecordDraft, RecordKind, VerifyOptions,
    verify_store,
};
use cairn_types::{Durability, Lsn, StreamId};
use cairn_vfs::{ManualClock, Rng, SeededRng, SimConfig, SimVfs, Vfs};

/// What kind of life.
#[derive(Debug, Clone, Copy)]
pub struct LifeConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// Crashes to live through.
    pub crashes: u32,
    /// Acknowledgement level.
    pub durability: Durability,
    /// Faults besides crashes.
    pub faults: SimConfig,
    /// A planted bug.
    pub mutation: Option<Mutation>,
    /// Judge wrongly: demand one batch more than was acknowledged. Such a life must fail, or
    /// the judge sees nothing.
    pub canary: bool,
}

/// What lives added up to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Crashes lived through.
    pub crashes: u64,
    /// Crashes within recovery.
    pub recovery_crashes: u64,
    /// Batches acknowledged.
    pub acknowledged: u64,
    /// Recoveries that cut a torn tail.
    pub cuts: u64,
    /// Recoveries that copied a tail.
    pub copies: u64,
    /// Appends refused for want of space.
    pub full: u64,
    /// Times a failed write or sync stopped the log.
    pub poisoned: u64,
    /// Segments that were cleaned.
    pub cleaned: u64,
    /// Crashes while the log was being cleaned.
    pub cleaning_crashes: u64,
}

/// Why a life ended badly.
pub type Outcome = Result<(), String>;

/// A log on a faulty disk with a list of what it must hold.
#[derive(Debug)]
pub struct Life {
    config: LifeConfig,
    disk: SimVfs,
    rng: SeededRng,
    /// Payloads of every batch submitted, in order; a crash cuts it to what survived.
    batches: Vec<Vec<Vec<u8>>>,
    /// Batches that are certain to be there.
    certain: usize,
    /// Records that were seen erased or dropped: they must stay so.
    gone: BTreeSet<u64>,
    /// Some cleaning was begun, so records that it may take may be gone.
    cleaning_begun: bool,
    counter: u64,
}

impl Life {
    /// A new life.
    #[must_use]
    pub fn new(config: LifeConfig) -> Self {
        Self {
            config,
            disk: SimVfs::new(config.seed, SimConfig::default()),
            rng: SeededRng::new(config.seed ^ 0x5eed),
            batches: Vec::new(),
            certain: 0,
            gone: BTreeSet::new(),
            cleaning_begun: false,
            counter: 0,
        }
    }

    /// The disk, for counting what it did.
    #[must_use]
    pub fn disk(&self) -> &SimVfs {
        &self.disk
    }

    /// Lives through all crashes.
    ///
    /// # Errors
    /// Says which promise was broken, with the seed.
    pub fn run(mut self, tally: &mut Tally) -> Outcome {
        for _ in 0..self.config.crashes {
            self.one_crash(tally).map_err(|why| format!("seed {}: {why}", self.config.seed))?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Log, Error> {
        let vfs: Arc<dyn Vfs> = Arc::new(self.disk.clone());
        let config = LogConfig {
            segment_size: 64 << 10,
            durability: self.config.durability,
            background: false,
            ..LogConfig::default()
        };
        let options = Log::options()
            .vfs(vfs)
            .clock(Arc::new(ManualClock::default()))
            .rng(Arc::new(SeededRng::new(self.rng.next_u64())))
            .config(config);
        match self.config.mutation {
            Some(mutation) => options.mutation(mutation).open(),
            None => options.open(),
        }
    }

    fn one_crash(&mut self, tally: &mut Tally) -> Outcome {
        // One in four crashes hits recovery or creation itself.
        let early = self.rng.below(4) == 0;
        self.disk.crash_after(1 + self.rng.below(if early { 20 } else { 150 }));
        match self.open() {
            Ok(log) => {
                self.disk.set_config(self.config.faults);
                self.judge(&log, tally)?;
                self.work(&log, tally);
                self.disk.set_config(SimConfig::default());
                self.crash(tally);
                drop(log);
            }
            Err(error) if self.disk.is_down() => {
                let _expected = error;
                tally.recovery_crashes += 1;
                self.crash(tally);
            }
            Err(error) => return Err(format!("recovery refused: {error}")),
        }
        let log = self.open().map_err(|error| format!("recovery refused: {error}"))?;
        self.judge(&log, tally)?;
        let head = log.head();
        self.disk.process_crash();
        drop(log);
        let log = self.open().map_err(|error| format!("second recovery refused: {error}"))?;
        if log.head() != head {
            return Err("recovering twice differs from once".into());
        }
        drop(log);
        let options = VerifyOptions { threads: 1, ..VerifyOptions::default() };
        let report = verify_store(&self.disk, &CodecRegistry::standard(), &options)
            .map_err(|error| format!("verification failed: {error}"))?;
        if report.is_intact() { Ok(()) } else { Err(format!("damage: {:?}", report.damage)) }
    }

    fn crash(&mut self, tally: &mut Tally) {
        tally.crashes += 1;
        if self.rng.below(3) == 0 {
            self.disk.process_crash();
        } else {
            self.disk.power_crash();
        }
    }

    /// Appends until the machine goes down or the log stops.
    fn work(&mut self, log: &Log, tally: &mut Tally) {
        for _ in 0..60 {
            let mut draft = Draft::new();
            self.counter += 1;
            let len = 8 + self.rng.below(if self.counter.is_multiple_of(5) { 6000 } else { 200 });
            let len = usize::try_from(len).expect("small");
            let mut payload = vec![self.counter.to_le_bytes()[0]; len];
            payload[..8].copy_from_slice(&self.counter.to_le_bytes());
            let record = RecordDraft::new(RecordKind::USER, StreamId::new(1));
            draft.push(record, &payload).expect("within limits");
            let mut payloads = vec![payload];
            if self.rng.below(3) == 0 {
                draft.push(record, b"second").expect("within limits");
                payloads.push(b"second".to_vec());
            }
            match log.submit(&draft, &[]) {
                Ok(ticket) => {
                    self.batches.push(payloads);
                    if log.wait(&ticket).is_ok() {
                        tally.acknowledged += 1;
                        if self.config.durability == Durability::Sync {
                            self.certain = self.batches.len();
                        }
                    }
                }
                Err(Error::NoSpace { .. }) => tally.full += 1,
                Err(_) => {
                    tally.poisoned += u64::from(!self.disk.is_down());
                    return;
                }
            }
            if self.rng.below(40) == 0 && log.roll().is_ok() {
                self.certain = self.batches.len();
            }
            if self.rng.below(80) == 0 {
                self.clean(log, tally);
            }
        }
    }

    /// Erases and drops records in complete segments.
    fn clean(&mut self, log: &Log, tally: &mut Tally) {
        self.cleaning_begun = true;
        let mut fate = |lsn: Lsn, _: &RecordView<'_>| fate_of(lsn.get());
        match log.clean(&mut fate, &CleanOptions::default()) {
            Ok(cleaned) => tally.cleaned += cleaned.replaced_count as u64,
            Err(_) => tally.cleaning_crashes += u64::from(self.disk.is_down()),
        }
    }

    /// Holds the log against the list.
    fn judge(&mut self, log: &Log, tally: &mut Tally) -> Outcome {
        tally.cuts += u64::from(log.recovery_report().cut_at.is_some());
        tally.copies += u64::from(log.recovery_report().copied_records > 0);
        let mut found: Vec<Option<Vec<u8>>> = Vec::new();
        let mut scan = log.scan(log.start_lsn());
        loop {
            match scan.next_record() {
                Ok(Some(record)) => found.push(record.payload().map(<[u8]>::to_vec)),
                Ok(None) => break,
                // A faulty disk may fail a read, and says so; nothing was wrongly answered.
                Err(_) if self.config.faults != SimConfig::default() => return Ok(()),
                Err(_) if self.disk.is_down() => return Ok(()),
                Err(error) => return Err(format!("reading failed: {error}")),
            }
        }
        let whole = self.compare(&found)?;
        if whole < self.certain + usize::from(self.config.canary) {
            let certain = self.certain;
            return Err(format!("{certain} batches were acknowledged, {whole} are there"));
        }
        self.batches.truncate(whole);
        // Recovery made what it served durable.
        self.certain = whole;
        Ok(())
    }

    /// Holds what was read against the list; how many whole batches it is.
    fn compare(&mut self, found: &[Option<Vec<u8>>]) -> Result<usize, String> {
        let no_prefix = || "what is there is no prefix of what was written".to_owned();
        let (mut lsn, mut whole) = (0, 0);
        while lsn < found.len() {
            for expected in self.batches.get(whole).ok_or_else(no_prefix)? {
                let number = lsn as u64;
                match found.get(lsn).ok_or_else(no_prefix)? {
                    Some(_) if self.gone.contains(&number) => {
                        return Err(format!("record {number} was erased and is back"));
                    }
                    Some(payload) if payload != expected => return Err(no_prefix()),
                    Some(_) => {}
                    None if self.cleaning_begun && fate_of(number) != Fate::Keep => {
                        self.gone.insert(number);
                    }
                    None => return Err(format!("the payload of record {number} is gone")),
                }
                lsn += 1;
            }
            whole += 1;
        }
        Ok(whole)
    }
}

/// What the cleaner does with a record.
fn fate_of(lsn: u64) -> Fate {
    match lsn % 7 {
        2 => Fate::Erase,
        5 => Fate::Drop,
        _ => Fate::Keep,
    }
}
