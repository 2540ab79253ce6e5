//! The engine as its users hold it: opening, topics, maintenance.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cairn_auth::KeyProvider;
use cairn_mvcc::{Erased, Options, Store, ValueSealer};
use cairn_segment::{
    Draft, Dropped, Expect, Log, LogConfig, LogOptions, RecordDraft, RecordKind, Retention,
    VerifyOptions, VerifyReport,
};
use cairn_types::{Lsn, Offset, StreamId, Topic, limits};

use crate::auth::AuthState;
use crate::dedup::RecentIds;
use crate::erasure::{EventHeads, Progress};
use crate::membership::Groups;
use crate::metadata::{
    KeyspaceCreated, ProducerRegistered, TopicCreated, encode_applied, encode_dropped,
    encode_keyspace_dropped, encode_trimmed,
};
use crate::observe::Figures;
use crate::producer::Standings;
use crate::random::RandomPool;
use crate::space::SpaceCounts;
use crate::subjects::{SharedSubjects, ShredRecord, Shredded};
use crate::view::{TopicEntry, View};
use crate::{Error, Result, TopicConfig};

/// The command that a change comes from, by its position; its record goes into the same batch.
pub(crate) type Mark = Option<u64>;

/// Adds the record of the command that a batch comes from.
pub(crate) fn push_mark(draft: &mut Draft, mark: Mark) -> Result<()> {
    if let Some(position) = mark {
        let record = RecordDraft::new(RecordKind::APPLIED, StreamId::SYSTEM);
        draft.push(record, &encode_applied(position))?;
    }
    Ok(())
}

/// Adds the ends of the newest topic and stream when they are gone: numbers are given in order
/// and never again, so the newest must stay known.
fn push_numbers(view: &View, draft: &mut Draft) -> Result<()> {
    let dropped = RecordDraft::new(RecordKind::STREAM_DROPPED, StreamId::SYSTEM);
    let topic = view.next_topic_id - 1;
    if topic > 0 && !view.topics.values().any(|entry| entry.meta.id == topic) {
        draft.push(dropped, &encode_dropped(topic))?;
    }
    let newest = StreamId::new(view.next_stream - 1);
    if newest != StreamId::SYSTEM && !view.has_stream(newest) {
        draft.push(dropped, &encode_keyspace_dropped(newest))?;
    }
    Ok(())
}

/// Topics and events, keyspaces and keys, over one log. Clones share it; the last one to go closes
/// it.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: Log,
    /// Keys of all keyspaces.
    pub(crate) keys: Store,
    pub(crate) view: RwLock<View>,
    /// Windows of recent ids; the lock also orders appends that carry ids.
    pub(crate) recent: Mutex<HashMap<StreamId, RecentIds>>,
    /// Where producers stand; the lock also orders their appends.
    pub(crate) standings: Mutex<HashMap<StreamId, Standings>>,
    pub(crate) members: Mutex<Groups>,
    pub(crate) random: RandomPool,
    pub(crate) space: Mutex<SpaceCounts>,
    pub(crate) figures: Figures,
    /// Held while a command is applied: one at a time, in order.
    pub(crate) applying: Mutex<()>,
    /// Records whose payload nobody reads any more; the view notes them.
    pub(crate) erased: Arc<Erased>,
    /// What stays known of erased events; the view notes it.
    pub(crate) heads: Arc<EventHeads>,
    /// Keys of subjects, and what is sealed with them; the view notes the latter.
    pub(crate) subjects: SharedSubjects,
    /// How far erasures were carried out.
    pub(crate) erasing: Mutex<Progress>,
    /// Tree over the log, once somebody asks for a proof.
    pub(crate) proofs: crate::proof::Slot,
    /// Who may do what; empty until somebody asks for it.
    pub(crate) auth: AuthState,
}

/// How an engine is opened.
///
/// ```
/// use cairn_engine::Engine;
/// use cairn_mvcc::{LeaseRestart, Options};
/// use cairn_segment::{Log, LogConfig};
/// use cairn_types::Durability;
/// let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
/// let log = Log::options().vfs(std::sync::Arc::new(cairn_vfs::MemVfs::new())).config(config);
/// let keys = Options { lease_restart: LeaseRestart::Full, ..Options::default() };
/// let engine = Engine::options().log(log).keys(keys).open()?;
/// assert_eq!(engine.revision(), 1);
/// # Ok::<(), cairn_engine::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "nothing is opened until `open` is called"]
pub struct EngineOptions {
    log: LogOptions,
    keys: Options,
}

impl EngineOptions {
    /// The log's surroundings and settings.
    pub fn log(mut self, log: LogOptions) -> Self {
        self.log = log;
        self
    }

    /// Settings of the keys of all keyspaces: their index's budget of memory, leases, the rate of
    /// work in the background.
    pub fn keys(mut self, keys: Options) -> Self {
        self.keys = keys;
        self
    }

    /// Encrypts what is written from now on. The provider's master key wraps the store's data
    /// keys; give it whenever the store is opened, after [`log`](Self::log). Called several
    /// times, each key opens what it wrapped: the old and the new one while keys are rotated
    /// with [`rotate_encryption_key`](Engine::rotate_encryption_key).
    ///
    /// It is another wrapping than that of users and roles: each is rotated by itself.
    ///
    /// # Errors
    /// [`Error::Auth`] when the provider has no key or a weak one.
    pub fn encrypted_by(mut self, provider: &dyn KeyProvider) -> Result<Self> {
        self.log = self.log.sealing_key(crate::auth::encryption_key(provider)?.expose());
        Ok(self)
    }

    /// Opens the engine, creating the store when the directory is empty.
    ///
    /// # Errors
    /// As [`LogOptions::open`].
    pub fn open(self) -> Result<Engine> {
        Engine::over(self.log.open()?, self.keys)
    }

    /// Opens a store for reading only, also while another process writes it; see
    /// [`Engine::refresh`].
    ///
    /// # Errors
    /// As [`LogOptions::open_read_only`].
    pub fn open_read_only(self) -> Result<Engine> {
        Engine::over(self.log.open_read_only()?, self.keys)
    }
}

impl Engine {
    /// Opens the store in a directory, creating both when absent.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::over(Log::open(dir)?, Options::default())
    }

    /// Opens the store in a directory with settings of the log.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_with(dir: impl AsRef<Path>, config: LogConfig) -> Result<Self> {
        let vfs = cairn_vfs::StdVfs::create(dir).map_err(cairn_segment::Error::from)?;
        let log = Log::options().vfs(Arc::new(vfs)).config(config).open()?;
        Self::over(log, Options::default())
    }

    /// Opens the store in a directory for reading only.
    ///
    /// # Errors
    /// As [`Log::open_read_only`].
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self> {
        Self::over(Log::open_read_only(dir)?, Options::default())
    }

    /// How to open an engine in other surroundings.
    pub fn options() -> EngineOptions {
        EngineOptions::default()
    }

    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_open", skip_all, err))]
    fn over(log: Log, options: Options) -> Result<Self> {
        let mut view = View::new();
        view.catch_up(&log)?;
        let (erased, heads) = (view.erased.clone(), view.heads.clone());
        let subjects = view.subjects.clone();
        subjects.attach(&log);
        let sealer = Some(subjects.clone() as Arc<dyn ValueSealer>);
        let keys = Store::open_erasing(log.clone(), options, erased.clone(), sealer)?;
        let erasing = Mutex::new(Progress::read(&*log.sealed_vfs(), &log.store_id()));
        let (view, recent) = (RwLock::new(view), Mutex::new(HashMap::new()));
        let standings = Mutex::new(HashMap::new());
        let members = Mutex::new(Groups::default());
        let random = RandomPool::default();
        let auth = AuthState::default();
        let space = Mutex::new(SpaceCounts::default());
        let shared = Shared {
            log,
            keys,
            view,
            recent,
            standings,
            members,
            random,
            space,
            figures: Figures::new(),
            applying: Mutex::new(()),
            erased,
            heads,
            subjects,
            erasing,
            proofs: crate::proof::Slot::default(),
            auth,
        };
        let engine = Self { shared: Arc::new(shared) };
        engine.forget_dropped()?;
        // What fails here (a full disk, say) is not read even so, and is tried again later.
        let _tried_again_by_maintain = (engine.finish_erasures(), engine.finish_shredding());
        engine.apply_key_retention()?;
        Ok(engine)
    }

    /// The log beneath.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// On an engine opened for reading only: takes in what another process has written since,
    /// and says whether there was anything.
    ///
    /// # Errors
    /// As [`Log::refresh`].
    pub fn refresh(&self) -> Result<bool> {
        let moved = self.shared.log.refresh()?;
        if moved {
            let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
            view.catch_up(&self.shared.log)?;
            drop(view);
            self.shared.keys.catch_up()?;
            self.shared.auth.records_moved();
            self.forget_dropped()?;
        }
        Ok(moved)
    }

    pub(crate) fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.shared.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn recent(&self) -> MutexGuard<'_, HashMap<StreamId, RecentIds>> {
        self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn entry(&self, topic: &str) -> Result<Arc<TopicEntry>> {
        let entry = self.view().topics.get(topic).cloned();
        match entry {
            Some(entry) => Ok(entry),
            None => Err(Error::NoTopic { topic: Topic::new(topic)? }),
        }
    }

    /// Creates a topic. Creating it again with the same settings changes nothing; says whether
    /// it is new.
    ///
    /// # Errors
    /// [`Error::TopicExists`] when it has other settings, [`Error::InvalidName`],
    /// [`Error::TooLarge`] for too many partitions.
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<bool> {
        self.create_topic_marked(Topic::new(name)?, config, None)
    }

    pub(crate) fn create_topic_marked(
        &self,
        name: Topic,
        config: TopicConfig,
        mark: Mark,
    ) -> Result<bool> {
        let (found, limit) = (config.partitions, limits::MAX_PARTITIONS);
        if found == 0 || found > limit {
            let (found, limit) = (u64::from(found), u64::from(limit));
            return Err(Error::TooLarge { what: "number of partitions", found, limit });
        }
        let config = config.as_recorded();
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = view.topics.get(&name) {
            let same = entry.meta.config == config;
            return if same { Ok(false) } else { Err(Error::TopicExists { topic: name }) };
        }
        let meta = TopicCreated {
            id: view.next_topic_id,
            first_stream: view.fresh_streams(config.partitions)?,
            config,
            name,
        };
        self.append_system(&mut view, RecordKind::STREAM_CREATED, &meta.encode(), mark)?;
        Ok(true)
    }

    /// Drops a topic: its events can no longer be read, and its offsets are never used again
    /// under this topic's number. Its bytes go with their segments.
    ///
    /// # Errors
    /// [`Error::NoTopic`].
    pub fn drop_topic(&self, name: &str) -> Result<()> {
        self.drop_topic_marked(name, None)
    }

    pub(crate) fn drop_topic_marked(&self, name: &str, mark: Mark) -> Result<()> {
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let id = match view.topics.get(name) {
            Some(entry) => entry.meta.id,
            None => return Err(Error::NoTopic { topic: Topic::new(name)? }),
        };
        self.append_system(&mut view, RecordKind::STREAM_DROPPED, &encode_dropped(id), mark)?;
        Ok(())
    }

    /// Appends a record to the system stream and applies it once it is as durable as the log's
    /// settings ask for; where it is. With a mark it carries the command that it comes from.
    pub(crate) fn append_system(
        &self,
        view: &mut View,
        kind: RecordKind,
        payload: &[u8],
        mark: Mark,
    ) -> Result<Lsn> {
        let mut draft = Draft::new();
        draft.push(RecordDraft::new(kind, StreamId::SYSTEM), payload)?;
        push_mark(&mut draft, mark)?;
        let appended = self.shared.log.append(&draft)?;
        let sequence = appended.sequences.get(draft.len() - 1).expect("as many as records");
        let lsn = appended.first_lsn;
        view.mark_applied(sequence);
        view.apply(lsn, kind, payload)
            .ok_or(Error::Damaged { lsn, cause: "not a valid system record" })?;
        Ok(lsn)
    }

    /// Names of all topics with their settings.
    #[must_use]
    pub fn topics(&self) -> Vec<(Topic, TopicConfig)> {
        let view = self.view();
        view.topics.iter().map(|(name, entry)| (name.clone(), entry.meta.config)).collect()
    }

    /// Verifies the whole store from its files.
    ///
    /// # Errors
    /// As [`Log::verify`].
    pub fn verify(&self, options: &VerifyOptions<'_>) -> Result<VerifyReport> {
        Ok(self.shared.log.verify(options)?)
    }

    /// Drops whole old segments; events in them can no longer be read. Topics and group offsets
    /// are written again first, so that their old records may go.
    ///
    /// # Errors
    /// As [`Log::retain`].
    pub fn retain(&self, retention: &Retention) -> Result<Dropped> {
        self.carry_topics_forward()?;
        let block = self.prepare_proofs_for_retention()?;
        // Versions that can be read, leases, and blocks of the graph live in their records.
        let needed = [retention.keep_from, self.shared.keys.oldest_needed(), block];
        let keep_from = needed.into_iter().flatten().min();
        Ok(self.shared.log.retain(&Retention { keep_from, ..*retention })?)
    }

    /// Writes all topics and group offsets again at the log's end, so that older copies may go.
    fn carry_topics_forward(&self) -> Result<()> {
        let _no_command = self.shared.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut draft = Draft::new();
        push_numbers(&view, &mut draft)?;
        push_mark(&mut draft, (view.command > 0).then_some(view.command))?;
        let created = RecordDraft::new(RecordKind::STREAM_CREATED, StreamId::SYSTEM);
        for entry in view.topics.values() {
            draft.push(created, &entry.meta.encode())?;
        }
        for (name, stream) in &view.keyspaces {
            let keyspace = KeyspaceCreated {
                stream: *stream,
                retention: view.retention(*stream),
                by_subject: view.subjects.has_stream(*stream),
                name: name.clone(),
            };
            draft.push(created, &keyspace.encode())?;
        }
        let producer = RecordDraft::new(RecordKind::PRODUCER, StreamId::SYSTEM);
        for (name, (id, epoch)) in &view.producers {
            let record = ProducerRegistered { id: *id, epoch: *epoch, name: name.clone() };
            draft.push(producer, &record.encode())?;
        }
        let erasure = RecordDraft::new(RecordKind::ERASURE, StreamId::SYSTEM);
        for Shredded { subject, reason, .. } in view.subjects.all_shredded() {
            draft.push(erasure, &ShredRecord { subject, reason }.encode())?;
        }
        let trimmed = RecordDraft::new(RecordKind::STREAM_TRIMMED, StreamId::SYSTEM);
        for (stream, begin) in &view.trimmed {
            draft.push(trimmed, &encode_trimmed(*stream, Offset::new(*begin)))?;
        }
        let offset = RecordDraft::new(RecordKind::GROUP_OFFSET, StreamId::SYSTEM);
        for (group, offsets) in &view.groups {
            for ((topic_id, partition), next) in offsets {
                let record = crate::metadata::GroupOffset {
                    topic_id: *topic_id,
                    partition: *partition,
                    next: *next,
                    group: group.clone(),
                };
                draft.push(offset, &record.encode())?;
            }
        }
        if !draft.is_empty() {
            let expect = Expect {
                stream: StreamId::SYSTEM,
                next_sequence: self.shared.log.next_sequence(StreamId::SYSTEM),
            };
            let appended = self.shared.log.append_expecting(&draft, &[expect])?;
            let last = appended.sequences.get(draft.len() - 1).expect("as many as records");
            view.mark_applied(last);
            self.shared.log.sync()?;
        }
        Ok(())
    }

    /// Closes the engine, see [`Log::close`]: the next opening has little to replay.
    ///
    /// # Errors
    /// As [`Log::close`].
    pub fn close(&self) -> Result<()> {
        self.shared.keys.flush_for_reopen()?;
        Ok(self.shared.log.close()?)
    }
}
