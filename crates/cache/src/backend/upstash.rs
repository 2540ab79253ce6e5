//! Upstash: Redis over HTTPS. Derived.
//!
//! Commands are JSON arrays of text; answers come with their strings in base64, so that any bytes
//! pass. Keys that are not UTF-8 go under a name of their own, and values that are not are kept
//! in base64 by their stamp. Redirects are not followed: they would carry the token away.

mod answer;
mod events;
mod http;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use self::http::Http;
use super::stamp::{SET_IF_NEWER, ttl_ms, written};
use super::{
    Answer, CacheBackend, Change, Reply, Script, Stamped, Subscription, Written, check_channel,
    check_key, check_value,
};
use crate::{Error, Result};

pub(crate) use answer::key_text;

/// Commands that go out at once.
const BATCH_MAX: usize = 128;
/// Keys that one step of a flush looks at.
const SCAN_COUNT: usize = 500;

/// How an [`UpstashCache`] behaves.
#[derive(Debug, Clone, Copy)]
pub struct UpstashConfig {
    /// How long a call may take, with all attempts and the pauses between them.
    pub timeout: Duration,
    /// Attempts of a call that may be repeated.
    pub attempts_max: u32,
}

impl Default for UpstashConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), attempts_max: 3 }
    }
}

/// A database at Upstash. Clones share the connections. Needs a tokio runtime.
#[derive(Debug, Clone)]
pub struct UpstashCache {
    http: Arc<Http>,
}

impl UpstashCache {
    /// A database by its REST address and token. Nothing is connected yet. Plain `http://` is
    /// taken for this machine only.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`]; [`Error::Unsupported`] when TLS cannot be set up.
    pub fn new(url: &str, token: &str, config: UpstashConfig) -> Result<Self> {
        Ok(Self { http: Arc::new(Http::new(url, token, config)?) })
    }

    async fn command(&self, command: Value, again: bool) -> Result<Reply> {
        let body = command.to_string().into_bytes();
        answer::one(&self.http.post(&[], body.into(), &[], again).await?)
    }

    async fn batch(&self, path: &str, commands: Vec<Value>) -> Result<Vec<Reply>> {
        let count = commands.len();
        let body = Value::Array(commands).to_string().into_bytes();
        let replies = answer::many(&self.http.post(&[path], body.into(), &[], true).await?)?;
        if replies.len() != count {
            return Err(Error::protocol("not as many answers as commands"));
        }
        Ok(replies)
    }

    async fn write(&self, key: &[u8], stamped: &Stamped, ttl: Duration) -> Result<Written> {
        check_key(key)?;
        check_value(stamped.value.as_deref().unwrap_or_default())?;
        written(&self.command(set_command(key, stamped, ttl), true).await?)
    }

    async fn apply_all(&self, changes: &[Change]) -> Result<()> {
        for some in changes.chunks(BATCH_MAX) {
            let mut commands = Vec::with_capacity(some.len());
            for change in some {
                check_key(&change.key)?;
                check_value(change.value.as_deref().unwrap_or_default())?;
                let stamped = Stamped { revision: change.revision, value: change.value.clone() };
                commands.push(set_command(&change.key, &stamped, change.ttl));
            }
            // In one step: what was committed together comes together.
            let replies = self.batch("multi-exec", commands).await?;
            replies.iter().try_for_each(|reply| written(reply).map(drop))?;
        }
        Ok(())
    }

    /// Text goes as text. Other bytes go as a body, with the key in the path; under a key that a
    /// path cannot carry, as digits that a script takes apart.
    async fn set(&self, key: &str, value: Bytes, ttl: Option<&str>) -> Result<()> {
        if let Ok(text) = std::str::from_utf8(&value) {
            let mut command = vec!["SET", key, text];
            command.extend(ttl.iter().flat_map(|ttl| ["PX", *ttl]));
            return self.command(json!(command), true).await.map(drop);
        }
        if fits_a_path(key) {
            let query: Vec<_> = ttl.iter().map(|ttl| ("PX", *ttl)).collect();
            let answer = self.http.post(&["set", key], value, &query, true).await?;
            return answer::one(&answer).map(drop);
        }
        let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let command = json!(["EVAL", SET_DIGITS, "1", key, digits, ttl.unwrap_or_default()]);
        self.command(command, true).await.map(drop)
    }

    async fn flush_all_of(&self, prefix: &[u8]) -> Result<u64> {
        let mut pattern = String::new();
        for letter in key_text(prefix).chars() {
            if "*?[]\\^-".contains(letter) {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('*');
        let (mut cursor, mut removed) = ("0".to_owned(), 0);
        loop {
            let scan = json!(["SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT.to_string()]);
            let reply = self.command(scan, true).await?;
            let Some([next, Reply::List(found)]) = reply.as_list() else {
                return Err(Error::protocol("no answer of SCAN"));
            };
            let next = next.as_int().ok_or_else(|| Error::protocol("no answer of SCAN"))?;
            let texts = found.iter().filter_map(Reply::as_bytes);
            let deletes: Vec<Value> =
                texts.map(|key| json!(["DEL", String::from_utf8_lossy(key)])).collect();
            for some in deletes.chunks(BATCH_MAX) {
                let counts = self.batch("pipeline", some.to_vec()).await?;
                removed += counts.iter().filter_map(count).sum::<u64>();
            }
            if next == 0 {
                return Ok(removed);
            }
            cursor = next.to_string();
        }
    }
}

/// `KEYS[1]`; `ARGV[1]` the value in hexadecimal digits, `ARGV[2]` milliseconds or nothing.
const SET_DIGITS: &str = "local value = string.gsub(ARGV[1], '..', function(digits)
  return string.char(tonumber(digits, 16))
end)
if ARGV[2] == '' then
  redis.call('SET', KEYS[1], value)
else
  redis.call('SET', KEYS[1], value, 'PX', ARGV[2])
end
return 1";

/// Addresses lose dots and controls.
fn fits_a_path(key: &str) -> bool {
    !key.chars().all(|letter| letter == '.') && !key.chars().any(char::is_control)
}

fn count(reply: &Reply) -> Option<u64> {
    u64::try_from(reply.as_int()?).ok()
}

fn set_command(key: &[u8], stamped: &Stamped, ttl: Duration) -> Value {
    let ttl = ttl_ms(ttl).to_string();
    json!(["EVAL", SET_IF_NEWER.lua, "1", key_text(key), stamped.encode_text(), ttl])
}

fn text(bytes: &[u8], what: &str) -> Result<String> {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    text.map_err(|_| Error::Unsupported { what: format!("{what} over REST that is not UTF-8") })
}

fn stamped(reply: &Reply) -> Option<Stamped> {
    reply.as_bytes().and_then(Stamped::decode)
}

impl CacheBackend for UpstashCache {
    fn describe(&self) -> String {
        format!("upstash at {}", self.http.target())
    }

    fn ping(&self) -> Answer<'_, ()> {
        Box::pin(async { self.command(json!(["PING"]), true).await.map(drop) })
    }

    fn time(&self) -> Answer<'_, i64> {
        Box::pin(async {
            let reply = self.command(json!(["TIME"]), true).await?;
            let time = reply.as_list().and_then(|parts| match parts {
                [seconds, micros] => {
                    seconds.as_int()?.checked_mul(1_000_000)?.checked_add(micros.as_int()?)
                }
                _ => None,
            });
            time.ok_or_else(|| Error::protocol("no answer of TIME"))
        })
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Stamped>> {
        Box::pin(async move {
            check_key(key)?;
            match self.command(json!(["GET", key_text(key)]), true).await {
                Ok(reply) => Ok(stamped(&reply)),
                // A key of another kind is somebody else's.
                Err(Error::Refused { message }) if message.contains("WRONGTYPE") => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn mget<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, Vec<Option<Stamped>>> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let mut command = vec![json!("MGET")];
            for key in keys {
                check_key(key)?;
                command.push(json!(key_text(key)));
            }
            match self.command(Value::Array(command), true).await?.as_list() {
                Some(replies) if replies.len() == keys.len() => {
                    Ok(replies.iter().map(stamped).collect())
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
        Box::pin(self.apply_all(changes))
    }

    fn expire<'a>(&'a self, key: &'a [u8], ttl: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            check_key(key)?;
            let ttl = if ttl.is_zero() { 0 } else { ttl_ms(ttl) };
            let command = json!(["PEXPIRE", key_text(key), ttl.to_string()]);
            Ok(self.command(command, true).await?.as_int() == Some(1))
        })
    }

    fn get_plain<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Box::pin(async move {
            check_key(key)?;
            let reply = self.command(json!(["GET", key_text(key)]), true).await?;
            Ok(reply.as_bytes().cloned())
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
            let (key, ttl) = (key_text(key), ttl.map(|ttl| ttl_ms(ttl).to_string()));
            self.set(&key, value, ttl.as_deref()).await
        })
    }

    fn remove<'a>(&'a self, keys: &'a [Bytes]) -> Answer<'a, u64> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(0);
            }
            let names = keys.iter().map(|key| json!(key_text(key)));
            let command = std::iter::once(json!("DEL")).chain(names).collect();
            let reply = self.command(Value::Array(command), true).await?;
            count(&reply).ok_or_else(|| Error::protocol("a number was expected"))
        })
    }

    fn flush<'a>(&'a self, prefix: &'a [u8]) -> Answer<'a, u64> {
        Box::pin(self.flush_all_of(prefix))
    }

    fn publish<'a>(&'a self, channel: &'a str, message: Bytes) -> Answer<'a, u64> {
        Box::pin(async move {
            check_channel(channel)?;
            check_value(&message)?;
            let message = text(&message, "a message")?;
            let reply = self.command(json!(["PUBLISH", channel, message]), false).await?;
            count(&reply).ok_or_else(|| Error::protocol("a number was expected"))
        })
    }

    fn subscribe<'a>(&'a self, channel: &'a str) -> Answer<'a, Subscription> {
        Box::pin(async move {
            check_channel(channel)?;
            let first = self.http.listen(channel).await?;
            let (subscription, to, ended) = Subscription::new();
            let (http, channel) = (self.http.clone(), channel.to_owned());
            tokio::spawn(events::run(first, http, channel, to, ended));
            Ok(subscription)
        })
    }

    fn script<'a>(
        &'a self,
        script: &'a Script,
        keys: &'a [Bytes],
        args: &'a [Bytes],
    ) -> Answer<'a, Reply> {
        Box::pin(async move {
            let mut command = vec![json!("EVAL"), json!(script.lua), json!(keys.len().to_string())];
            command.extend(keys.iter().map(|key| json!(key_text(key))));
            for arg in args {
                command.push(json!(text(arg, "an argument")?));
            }
            self.command(Value::Array(command), false).await
        })
    }
}
