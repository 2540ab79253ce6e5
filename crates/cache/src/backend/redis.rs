//! Redis. Derived.
//!
//! The client library is wrapped whole: no type of it is seen outside. Every answer passes the
//! guard before the library's parser sees it; every call has a time limit that includes
//! connecting.

mod connection;
mod convert;
mod guard;
mod listen;
mod sentinel;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};

use self::connection::{Address, Connection};
use self::convert::reply_of;
use super::stamp::{SET_IF_NEWER, ttl_ms, written};
use super::{
    Answer, CacheBackend, Change, Reply, Script, Stamped, Subscription, Written, check_channel,
    check_key, check_value,
};
use crate::{Error, Result};

/// Commands that go out at once.
const PIPELINE_MAX: usize = 256;
/// Keys that one step of a flush looks at.
const SCAN_COUNT: usize = 500;

/// How a [`RedisCache`] behaves.
#[derive(Debug, Clone, Copy)]
pub struct RedisConfig {
    /// How long a call may take, connecting included.
    pub timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(250) }
    }
}

/// A Redis server. Clones share the connection. Needs a tokio runtime with time and I/O.
#[derive(Debug, Clone)]
pub struct RedisCache {
    connection: Arc<Connection>,
}

impl RedisCache {
    /// A server at `redis://[user:password@]host[:port][/number]`, or `rediss://` for TLS with
    /// the authorities that the system trusts. Nothing is connected yet.
    ///
    /// `redis-sentinel://[user:password@]host[:port],host[:port]/name[/number]` stands for the
    /// server that takes the writes of a group, which the sentinels are asked for before every
    /// connection; `rediss-sentinel://` speaks TLS with sentinels and servers. User and password
    /// are those of the servers; sentinels that want some are not supported.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`]; [`Error::Unsupported`] for addresses of clusters.
    pub fn new(url: &str, config: RedisConfig) -> Result<Self> {
        Ok(Self { connection: Connection::new(Address::parse(url)?, config.timeout) })
    }

    async fn reply(&self, command: &Cmd, again: bool) -> Result<Reply> {
        reply_of(self.connection.command(command, again).await?)
    }

    async fn eval(
        &self,
        script: &Script,
        keys: &[Bytes],
        args: &[Bytes],
        again: bool,
    ) -> Result<Reply> {
        let hash = redis::Script::new(script.lua);
        let by_hash = eval_command("EVALSHA", hash.get_hash(), keys, args);
        match self.reply(&by_hash, again).await {
            // A server that was started again knows no scripts.
            Err(Error::Refused { message }) if message.starts_with("NOSCRIPT") => {
                self.reply(&eval_command("EVAL", script.lua, keys, args), again).await
            }
            answer => answer,
        }
    }

    async fn write(&self, key: &[u8], stamped: &Stamped, ttl: Duration) -> Result<Written> {
        check_key(key)?;
        check_value(stamped.value.as_deref().unwrap_or_default())?;
        let keys = [Bytes::copy_from_slice(key)];
        written(&self.eval(&SET_IF_NEWER, &keys, &set_args(stamped, ttl), true).await?)
    }

    async fn apply_some(&self, changes: &[Change], by_hash: bool) -> Result<()> {
        let hash = redis::Script::new(SET_IF_NEWER.lua);
        let mut pipeline = Pipeline::with_capacity(changes.len());
        for change in changes {
            check_key(&change.key)?;
            check_value(change.value.as_deref().unwrap_or_default())?;
            let stamped = Stamped { revision: change.revision, value: change.value.clone() };
            let args = set_args(&stamped, change.ttl);
            let keys = [change.key.clone()];
            pipeline.add_command(if by_hash {
                eval_command("EVALSHA", hash.get_hash(), &keys, &args)
            } else {
                eval_command("EVAL", SET_IF_NEWER.lua, &keys, &args)
            });
        }
        let answers = self.connection.pipeline(&pipeline).await?;
        if answers.len() != changes.len() {
            return Err(Error::protocol("not as many answers as commands"));
        }
        answers.into_iter().try_for_each(|answer| written(&reply_of(answer)?).map(drop))
    }

    async fn flush_all_of(&self, prefix: &[u8]) -> Result<u64> {
        let mut pattern = Vec::with_capacity(prefix.len() + 1);
        for byte in prefix {
            if b"*?[]\\^-".contains(byte) {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        pattern.push(b'*');
        let (mut cursor, mut removed) = (Bytes::from_static(b"0"), 0);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor[..]).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let answer = self.reply(&scan, true).await?;
            let Some([Reply::Bytes(next), Reply::List(found)]) = answer.as_list() else {
                return Err(Error::protocol("no answer of SCAN"));
            };
            let keys: Vec<Bytes> = found.iter().filter_map(Reply::as_bytes).cloned().collect();
            removed += self.remove_all(&keys).await?;
            cursor = next.clone();
            if cursor == "0" {
                return Ok(removed);
            }
        }
    }

    async fn remove_all(&self, keys: &[Bytes]) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        let mut command = redis::cmd("DEL");
        keys.iter().for_each(|key| {
            command.arg(&key[..]);
        });
        let count = self.reply(&command, true).await?.as_int();
        count.and_then(|count| u64::try_from(count).ok()).ok_or_else(no_number)
    }
}

fn no_number() -> Error {
    Error::protocol("a number was expected")
}

fn set_args(stamped: &Stamped, ttl: Duration) -> [Bytes; 2] {
    [stamped.encode().into(), ttl_ms(ttl).to_string().into()]
}

fn eval_command(name: &str, script: &str, keys: &[Bytes], args: &[Bytes]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len());
    for part in keys.iter().chain(args) {
        command.arg(&part[..]);
    }
    command
}

fn stamped(value: Value) -> Result<Option<Stamped>> {
    match reply_of(value) {
        Ok(reply) => Ok(reply.as_bytes().and_then(Stamped::decode)),
        // A key of another kind is somebody else's.
        Err(Error::Refused { message }) if message.starts_with("WRONGTYPE") => Ok(None),
        Err(error) => Err(error),
    }
}

fn seconds_and_micros(reply: &Reply) -> Option<i64> {
    let [seconds, micros] = reply.as_list()? else { return None };
    seconds.as_int()?.checked_mul(1_000_000)?.checked_add(micros.as_int()?)
}

impl CacheBackend for RedisCache {
    fn describe(&self) -> String {
        format!("redis at {}", self.connection.address.target())
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async { self.reply(&redis::cmd("PING"), true).await.map(drop) })
    }

    fn time(&self) -> Answer<'_, i64> {
        Box::pin(async {
            let reply = self.reply(&redis::cmd("TIME"), true).await?;
            seconds_and_micros(&reply).ok_or_else(|| Error::protocol("no answer of TIME"))
        })
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Stamped>> {
        Box::pin(async move {
            check_key(key)?;
            let mut command = redis::cmd("GET");
            command.arg(key);
            match self.connection.command(&command, true).await {
                Err(Error::Refused { message }) if message.starts_with("WRONGTYPE") => Ok(None),
                answer => stamped(answer?),
            }
        })
    }

    fn mget<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, Vec<Option<Stamped>>> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let mut command = redis::cmd("MGET");
            for key in keys {
                check_key(key)?;
                command.arg(&key[..]);
            }
            match self.connection.command(&command, true).await? {
                Value::Array(values) if values.len() == keys.len() => {
                    values.into_iter().map(stamped).collect()
                }
                _ => Err(Error::protocol("no answer of MGET")),
            }
        })
    }

    fn set_if_newer<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        revision: u64,
        ttl: Duration,
    ) -> Answer<'a, Written> {
        Box::pin(
            async move { self.write(key, &Stamped { revision, value: Some(value) }, ttl).await },
        )
    }

    fn delete<'a>(&'a self, key: &'a [u8], revision: u64, ttl: Duration) -> Answer<'a, Written> {
        Box::pin(async move { self.write(key, &Stamped { revision, value: None }, ttl).await })
    }

    fn apply<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()> {
        Box::pin(async move {
            for some in changes.chunks(PIPELINE_MAX) {
                match self.apply_some(some, true).await {
                    Err(Error::Refused { message }) if message.starts_with("NOSCRIPT") => {
                        self.apply_some(some, false).await?;
                    }
                    answer => answer?,
                }
            }
            Ok(())
        })
    }

    fn expire<'a>(&'a self, key: &'a [u8], ttl: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            check_key(key)?;
            let mut command = redis::cmd("PEXPIRE");
            command.arg(key).arg(if ttl.is_zero() { 0 } else { ttl_ms(ttl) });
            Ok(self.reply(&command, true).await?.as_int() == Some(1))
        })
    }

    fn get_plain<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            check_key(key)?;
            let mut command = redis::cmd("GET");
            command.arg(key);
            Ok(self.reply(&command, true).await?.as_bytes().cloned())
        })
    }

    fn set_plain<'a>(
        &'a self,
        key: &'a [u8],
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            check_key(key)?;
            check_value(&value)?;
            let mut command = redis::cmd("SET");
            command.arg(key).arg(&value[..]);
            if let Some(ttl) = ttl {
                command.arg("PX").arg(ttl_ms(ttl));
            }
            self.reply(&command, true).await.map(drop)
        })
    }

    fn remove<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, u64> {
        Box::pin(self.remove_all(keys))
    }

    fn flush<'a>(&'a self, prefix: &'a [u8]) -> Answer<'a, u64> {
        Box::pin(self.flush_all_of(prefix))
    }

    fn publish<'a>(&'a self, channel: &'a str, message: Bytes) -> Answer<'a, u64> {
        Box::pin(async move {
            check_channel(channel)?;
            check_value(&message)?;
            let mut command = redis::cmd("PUBLISH");
            command.arg(channel).arg(&message[..]);
            let count = self.reply(&command, false).await?.as_int();
            count.and_then(|count| u64::try_from(count).ok()).ok_or_else(no_number)
        })
    }

    fn subscribe<'a>(&'a self, channel: &'a str) -> Answer<'a, Subscription> {
        Box::pin(async move {
            check_channel(channel)?;
            let (address, limit) = (self.connection.address.clone(), self.connection.timeout);
            let first = listen::connect(&address, channel, limit).await?;
            let (subscription, to, ended) = Subscription::new();
            tokio::spawn(listen::run(first, address, channel.to_owned(), limit, to, ended));
            Ok(subscription)
        })
    }

    fn script<'a>(
        &'a self,
        script: &'a Script,
        keys: &'a [Bytes],
        args: &'a [Bytes],
    ) -> Answer<'a, Reply> {
        Box::pin(self.eval(script, keys, args, false))
    }
}
