//! One simulated life of a log.

use std::sync::Arc;

use cairn_codec::CodecRegistry;
use cairn_segment::mutation::Mutation;
use cairn_segment::{
    Draft, Error, Log, LogConfig, RecordDraft, RecordKind, VerifyOptions, verify_store,
};
use cairn_types::{Durability, StreamId};
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
}

/// Why a life ended badly.
pub type Outcome = Result<(), String>;

/// A log on a faulty disk with a list of what it must hold.
#[derive(Debug)]
pub struct Life {
    config: LifeConfig,
    disk: SimVfs,
    rng: SeededRng,
    /// Payload of every batch submitted, in order; a crash cuts it to what survived.
    batches: Vec<Vec<u8>>,
    /// Batches that are certain to be there.
    certain: usize,
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
            counter: 0,
        }
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
        let options = VerifyOptions { threads: 1, progress: None };
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
            if self.rng.below(3) == 0 {
                draft.push(record, b"second").expect("within limits");
            }
            match log.submit(&draft, &[]) {
                Ok(ticket) => {
                    self.batches.push(payload);
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
        }
    }

    /// Holds the log against the list.
    fn judge(&mut self, log: &Log, tally: &mut Tally) -> Outcome {
        tally.cuts += u64::from(log.recovery_report().cut_at.is_some());
        tally.copies += u64::from(log.recovery_report().copied_records > 0);
        let mut found = Vec::new();
        let mut scan = log.scan(log.start_lsn());
        loop {
            match scan.next_record() {
                Ok(Some(record)) => {
                    let payload = record.payload().ok_or("a payload is gone")?;
                    if payload == b"second" {
                        continue;
                    }
                    found.push(payload.to_vec());
                }
                Ok(None) => break,
                // A faulty disk may fail a read, and says so; nothing was wrongly answered.
                Err(_) if self.config.faults != SimConfig::default() => return Ok(()),
                Err(_) if self.disk.is_down() => return Ok(()),
                Err(error) => return Err(format!("reading failed: {error}")),
            }
        }
        if found.len() < self.certain {
            let (certain, found) = (self.certain, found.len());
            return Err(format!("{certain} batches were acknowledged, {found} are there"));
        }
        if found.len() > self.batches.len() || found != self.batches[..found.len()] {
            return Err("what is there is no prefix of what was written".into());
        }
        self.batches.truncate(found.len());
        // Recovery made what it served durable.
        self.certain = found.len();
        Ok(())
    }
}
