//! Payloads of the system stream's records: topics and group offsets. Truth.
//!
//! Topic created: version 1, codec u8, codec level i32, topic id u32, first stream u32,
//! partitions u32, name. Topic dropped: version 1, topic id u32. Group offset: version 1,
//! topic id u32, partition u32, next offset u64, group name. Keyspace created: version 2,
//! stream u32, name. Keyspace dropped: version 2, stream u32. Topic with retention: version 3,
//! then as version 1 up to the partitions, then age in ms u64, bytes u64 (0 for none), flags u8
//! (1 = newest of each key, 2 = sealed by subject), name. Keyspace that is not kept for ever or
//! not plain: version 4, stream u32, flags u8 (1 = only the latest, 2 = sealed by subject), name.
//! Producer registered: version 1, id u64, epoch u32, name.
//! Stream trimmed: version 1, stream u32, first offset kept u64. Command applied: version 1,
//! position u64. All little-endian. Topics and
//! keyspaces share the record kinds; the version tells them apart.

use std::time::Duration;

use cairn_segment::Compression;
use cairn_types::{
    GroupName, KeyspaceName, Offset, Partition, ProducerId, ProducerName, StreamId, Topic,
};

use crate::TopicConfig;

const VERSION: u8 = 1;
const WITH_RETENTION: u8 = 3;
pub(crate) const KEYSPACE: u8 = 2;
/// A keyspace with flags.
pub(crate) const KEYSPACE_WITH_FLAGS: u8 = 4;
const LATEST_ONLY: u8 = 1;
const NEWEST_BY_KEY: u8 = 1;
const BY_SUBJECT: u8 = 2;

/// What the log keeps of a keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyspaceRetention {
    /// Every version of every key, also those that were compacted: a ledger.
    #[default]
    Forever,
    /// What can be read: once a compaction has hidden a version, its record may go.
    LatestOnly,
}

impl std::fmt::Display for KeyspaceRetention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Forever => "forever",
            Self::LatestOnly => "latest-only",
        })
    }
}

/// A topic as it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCreated {
    /// Number of the topic, never used again.
    pub id: u32,
    /// Stream of its first partition; the others follow.
    pub first_stream: StreamId,
    /// Its settings.
    pub config: TopicConfig,
    /// Its name.
    pub name: Topic,
}

impl TopicCreated {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let level: i32 = match self.config.compression {
            Compression::Zstd { level } => level,
            _ => 0,
        };
        let retention = self.config.has_retention() || self.config.by_subject;
        let version = if retention { WITH_RETENTION } else { VERSION };
        let mut out = vec![version, self.config.compression.id().get()];
        out.extend_from_slice(&level.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.first_stream.get().to_le_bytes());
        out.extend_from_slice(&self.config.partitions.to_le_bytes());
        if retention {
            let TopicConfig { max_age, max_len, .. } = self.config.as_recorded();
            let age = max_age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            out.extend_from_slice(&age.to_le_bytes());
            out.extend_from_slice(&max_len.unwrap_or(0).to_le_bytes());
            let flags = (self.config.latest_by_key, NEWEST_BY_KEY);
            let by_subject = (self.config.by_subject, BY_SUBJECT);
            out.push([flags, by_subject].iter().filter(|flag| flag.0).map(|flag| flag.1).sum());
        }
        out.extend_from_slice(self.name.as_str().as_bytes());
        out
    }

    /// Reads a payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (head, rest) = payload.split_first_chunk::<2>()?;
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let (first_stream, rest) = rest.split_first_chunk::<4>()?;
        let (partitions, rest) = rest.split_first_chunk::<4>()?;
        let compression = match head[1] {
            0 => Compression::None,
            1 => Compression::Lz4,
            2 => Compression::Zstd { level: i32::from_le_bytes(*level) },
            codec => Compression::Custom(codec),
        };
        let partitions = u32::from_le_bytes(*partitions);
        let mut config = TopicConfig { partitions, compression, ..TopicConfig::default() };
        let name = match head[0] {
            VERSION => rest,
            WITH_RETENTION => {
                let (age, rest) = rest.split_first_chunk::<8>()?;
                let (len, rest) = rest.split_first_chunk::<8>()?;
                let (flags, name) = rest.split_first_chunk::<1>()?;
                let age = u64::from_le_bytes(*age);
                config.max_age = (age > 0).then(|| Duration::from_millis(age));
                config.max_len = Some(u64::from_le_bytes(*len)).filter(|len| *len > 0);
                let [flags] = *flags;
                if flags & !(NEWEST_BY_KEY | BY_SUBJECT) != 0 {
                    return None;
                }
                config.latest_by_key = flags & NEWEST_BY_KEY != 0;
                config.by_subject = flags & BY_SUBJECT != 0;
                name
            }
            _ => return None,
        };
        Some(Self {
            id: u32::from_le_bytes(*id),
            first_stream: StreamId::new(u32::from_le_bytes(*first_stream)),
            config,
            name: Topic::from_bytes(name).ok()?,
        })
    }
}

/// How far a group has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// Number of the topic.
    pub topic_id: u32,
    /// The partition.
    pub partition: Partition,
    /// The next offset to read.
    pub next: Offset,
    /// The group.
    pub group: GroupName,
}

impl GroupOffset {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.topic_id.to_le_bytes());
        out.extend_from_slice(&self.partition.get().to_le_bytes());
        out.extend_from_slice(&self.next.get().to_le_bytes());
        out.extend_from_slice(self.group.as_str().as_bytes());
        out
    }

    /// Reads a payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (&[VERSION], rest) = payload.split_first_chunk::<1>()? else { return None };
        let (topic_id, rest) = rest.split_first_chunk::<4>()?;
        let (partition, rest) = rest.split_first_chunk::<4>()?;
        let (next, group) = rest.split_first_chunk::<8>()?;
        Some(Self {
            topic_id: u32::from_le_bytes(*topic_id),
            partition: Partition::new(u32::from_le_bytes(*partition)),
            next: Offset::new(u64::from_le_bytes(*next)),
            group: GroupName::from_bytes(group).ok()?,
        })
    }
}

/// The payload of a dropped topic's record.
#[must_use]
pub fn encode_dropped(topic_id: u32) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&topic_id.to_le_bytes());
    out
}

/// Reads the payload of a dropped topic's record.
#[must_use]
pub fn decode_dropped(payload: &[u8]) -> Option<u32> {
    match payload.split_first_chunk::<1>()? {
        (&[VERSION], id) => {
            Some(u32::from_le_bytes(*id.first_chunk::<4>().filter(|_| id.len() == 4)?))
        }
        _ => None,
    }
}

/// A producer as it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRegistered {
    /// Its number.
    pub id: ProducerId,
    /// Which registration of the name, from 0.
    pub epoch: u32,
    /// Its name.
    pub name: ProducerName,
}

impl ProducerRegistered {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.id.get().to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(self.name.as_str().as_bytes());
        out
    }

    /// Reads a payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (&[VERSION], rest) = payload.split_first_chunk::<1>()? else { return None };
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let (epoch, name) = rest.split_first_chunk::<4>()?;
        Some(Self {
            id: ProducerId::new(u64::from_le_bytes(*id)),
            epoch: u32::from_le_bytes(*epoch),
            name: ProducerName::from_bytes(name).ok()?,
        })
    }
}

/// The payload of a trimmed stream's record.
#[must_use]
pub fn encode_trimmed(stream: StreamId, begin: Offset) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&stream.get().to_le_bytes());
    out.extend_from_slice(&begin.get().to_le_bytes());
    out
}

/// Reads the payload of a trimmed stream's record.
#[must_use]
pub fn decode_trimmed(payload: &[u8]) -> Option<(StreamId, Offset)> {
    let (&[VERSION], rest) = payload.split_first_chunk::<1>()? else { return None };
    let (stream, begin) = rest.split_first_chunk::<4>()?;
    let begin = u64::from_le_bytes(<[u8; 8]>::try_from(begin).ok()?);
    Some((StreamId::new(u32::from_le_bytes(*stream)), Offset::new(begin)))
}

/// The payload that says which command's changes are in the same batch.
#[must_use]
pub fn encode_applied(position: u64) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&position.to_le_bytes());
    out
}

/// Reads the payload of an applied command's record.
#[must_use]
pub fn decode_applied(payload: &[u8]) -> Option<u64> {
    let (&[VERSION], rest) = payload.split_first_chunk::<1>()? else { return None };
    Some(u64::from_le_bytes(<[u8; 8]>::try_from(rest).ok()?))
}

/// A keyspace as it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyspaceCreated {
    /// Its stream, never used again.
    pub stream: StreamId,
    /// What the log keeps of it.
    pub retention: KeyspaceRetention,
    /// Its values are sealed by subject.
    pub by_subject: bool,
    /// Its name.
    pub name: KeyspaceName,
}

impl KeyspaceCreated {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let latest_only = match self.retention {
            KeyspaceRetention::Forever => 0,
            KeyspaceRetention::LatestOnly => LATEST_ONLY,
        };
        let flags = latest_only | if self.by_subject { BY_SUBJECT } else { 0 };
        let mut out = vec![if flags == 0 { KEYSPACE } else { KEYSPACE_WITH_FLAGS }];
        out.extend_from_slice(&self.stream.get().to_le_bytes());
        if flags != 0 {
            out.push(flags);
        }
        out.extend_from_slice(self.name.as_str().as_bytes());
        out
    }

    /// Reads a payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (version, rest) = payload.split_first()?;
        let (stream, rest) = rest.split_first_chunk::<4>()?;
        let stream = StreamId::new(u32::from_le_bytes(*stream));
        let (flags, name) = match *version {
            KEYSPACE => (0, rest),
            KEYSPACE_WITH_FLAGS => rest.split_first().map(|(flags, name)| (*flags, name))?,
            _ => return None,
        };
        if flags & !(LATEST_ONLY | BY_SUBJECT) != 0 {
            return None;
        }
        let retention = match flags & LATEST_ONLY {
            0 => KeyspaceRetention::Forever,
            _ => KeyspaceRetention::LatestOnly,
        };
        let by_subject = flags & BY_SUBJECT != 0;
        Some(Self { stream, retention, by_subject, name: KeyspaceName::from_bytes(name).ok()? })
    }
}

/// The payload of a dropped keyspace's record.
#[must_use]
pub fn encode_keyspace_dropped(stream: StreamId) -> Vec<u8> {
    let mut out = vec![KEYSPACE];
    out.extend_from_slice(&stream.get().to_le_bytes());
    out
}

/// Reads the payload of a dropped keyspace's record.
#[must_use]
pub fn decode_keyspace_dropped(payload: &[u8]) -> Option<StreamId> {
    let (&[KEYSPACE], rest) = payload.split_first_chunk::<1>()? else { return None };
    Some(StreamId::new(u32::from_le_bytes(<[u8; 4]>::try_from(rest).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_survive_a_round_trip() {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd { level: 7 }] {
            let created = TopicCreated {
                id: 3,
                first_stream: StreamId::new(9),
                config: TopicConfig { partitions: 4, compression, ..TopicConfig::default() },
                name: Topic::new("orders").expect("valid"),
            };
            assert_eq!(TopicCreated::decode(&created.encode()), Some(created));
        }
        let offset = GroupOffset {
            topic_id: 3,
            partition: Partition::new(1),
            next: Offset::new(77),
            group: GroupName::new("billing").expect("valid"),
        };
        assert_eq!(GroupOffset::decode(&offset.encode()), Some(offset));
        assert_eq!(decode_dropped(&encode_dropped(5)), Some(5));
        let kept = TopicCreated {
            id: 3,
            first_stream: StreamId::new(9),
            config: TopicConfig {
                max_age: Some(Duration::from_secs(60)),
                max_len: Some(1 << 20),
                latest_by_key: true,
                by_subject: true,
                ..TopicConfig::default()
            },
            name: Topic::new("orders").expect("valid"),
        };
        assert_eq!(TopicCreated::decode(&kept.encode()), Some(kept));
        let producer = ProducerRegistered {
            id: ProducerId::new(4),
            epoch: 2,
            name: ProducerName::new("importer").expect("valid"),
        };
        assert_eq!(ProducerRegistered::decode(&producer.encode()), Some(producer));
        let trimmed = (StreamId::new(5), Offset::new(77));
        assert_eq!(decode_trimmed(&encode_trimmed(trimmed.0, trimmed.1)), Some(trimmed));
        assert_eq!(decode_applied(&encode_applied(9)), Some(9));
        let name = KeyspaceName::new("users").expect("valid");
        let (stream, retention) = (StreamId::new(8), KeyspaceRetention::Forever);
        let keyspace = KeyspaceCreated { stream, retention, by_subject: false, name };
        assert_eq!(KeyspaceCreated::decode(&keyspace.encode()), Some(keyspace.clone()));
        assert_eq!(keyspace.encode(), b"\x02\x08\0\0\0users", "as before there was a retention");
        for (retention, by_subject) in [
            (KeyspaceRetention::LatestOnly, false),
            (KeyspaceRetention::LatestOnly, true),
            (KeyspaceRetention::Forever, true),
        ] {
            let flagged = KeyspaceCreated { retention, by_subject, ..keyspace.clone() };
            assert_eq!(KeyspaceCreated::decode(&flagged.encode()), Some(flagged.clone()));
        }
        assert_eq!(KeyspaceCreated::decode(b"\x04\x08\0\0\0\x04users"), None, "an unknown flag");
        assert_eq!(TopicCreated::decode(&keyspace.encode()), None);
        let dropped = encode_keyspace_dropped(keyspace.stream);
        assert_eq!(decode_keyspace_dropped(&dropped), Some(keyspace.stream));
        assert_eq!(decode_dropped(&dropped), None);
    }
}
