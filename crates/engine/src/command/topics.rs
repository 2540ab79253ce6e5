//! Topics and events on the wire; the table is in the module above.

use std::time::Duration;

use cairn_segment::Compression;
use cairn_types::{EventData, EventId, Headers, KeyspaceName, Partition, Timestamp, Topic, limits};

use super::EventCommand;
use super::wire::{Reader, Writer};
use crate::TopicConfig;

impl Writer {
    pub(super) fn config(&mut self, config: &TopicConfig) -> &mut Self {
        self.number(config.partitions.into()).u8(config.compression.id().get());
        if let Compression::Zstd { level } = config.compression {
            self.signed(level.into());
        }
        let age = config.max_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self.option(age, |out, age| {
            out.number(age);
        })
        .option(config.max_len, |out, len| {
            out.number(len);
        })
        .u8(u8::from(config.latest_by_key) | u8::from(config.by_subject) << 1)
    }

    pub(super) fn event(&mut self, event: &EventCommand) -> &mut Self {
        let kind = match &event.data {
            EventData::Binary(_) => 0,
            EventData::Json(_) => 1,
            EventData::Text(_) => 2,
        };
        self.number(event.partition.get().into())
            .fixed(&event.id.to_bytes())
            .fixed(&event.timestamp.as_micros().to_le_bytes())
            .option(event.key.as_ref(), |out, key| {
                out.part(key);
            })
            .number(event.headers.len() as u64);
        for (name, value) in event.headers.iter() {
            self.name(name).part(value);
        }
        self.u8(kind).part(event.data.as_bytes())
    }
}

impl Reader<'_> {
    pub(super) fn topic(&mut self) -> Option<Topic> {
        Topic::from_bytes(self.part()?).ok()
    }

    pub(super) fn keyspace(&mut self) -> Option<KeyspaceName> {
        KeyspaceName::from_bytes(self.part()?).ok()
    }

    pub(super) fn partition(&mut self) -> Option<Partition> {
        self.u32().map(Partition::new)
    }

    pub(super) fn config(&mut self) -> Option<TopicConfig> {
        let partitions = self.u32()?;
        let compression = match self.u8()? {
            0 => Compression::None,
            1 => Compression::Lz4,
            2 => Compression::Zstd { level: i32::try_from(self.signed()?).ok()? },
            codec => Compression::Custom(codec),
        };
        let max_age = self.option(Self::number)?.map(Duration::from_millis);
        let max_len = self.option(Self::number)?;
        let flags = self.u8()?;
        if flags > 3 {
            return None;
        }
        let (latest_by_key, by_subject) = (flags & 1 != 0, flags & 2 != 0);
        Some(TopicConfig { partitions, compression, max_age, max_len, latest_by_key, by_subject })
    }

    pub(super) fn event(&mut self) -> Option<EventCommand> {
        let partition = self.partition()?;
        let id = EventId::from_bytes(self.fixed()?);
        let timestamp = Timestamp::from_micros(i64::from_le_bytes(self.fixed()?));
        let key = self.option(Self::bytes)?;
        if key.as_ref().is_some_and(|key| key.len() > limits::MAX_KEY_LEN) {
            return None;
        }
        let count = self.number()?;
        if count > limits::MAX_HEADERS as u64 {
            return None;
        }
        let mut headers = Headers::new();
        for _ in 0..count {
            let name = std::str::from_utf8(self.part()?).ok()?.to_owned();
            headers.push(name, self.bytes()?);
        }
        let kind = self.u8()?;
        let data = self.bytes()?;
        let data = match kind {
            0 => EventData::Binary(data),
            1 => EventData::Json(data),
            2 => EventData::text_from_bytes(data).ok()?,
            _ => return None,
        };
        Some(EventCommand { partition, id, timestamp, key, headers, data })
    }
}
