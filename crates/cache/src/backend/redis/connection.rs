//! One connection to a server, made when it is needed and given up at the first sign of trouble.
//! Derived.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{Cmd, ConnectionAddr, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::convert::error_of;
use super::guard::{FaultSlot, Guarded};
use super::sentinel::{self, Sentinels};
use crate::backend::tls;
use crate::{Error, Result};

/// A name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    /// Reads `name`, `name:port`, `[address]` or `[address]:port`.
    pub(crate) fn parse(text: &str, port: u16) -> Option<Self> {
        let (name, rest) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(digits) => digits.parse().ok()?,
            None if rest.is_empty() => port,
            None => return None,
        };
        let is_fine = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        is_fine.then(|| Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

#[derive(Debug, Clone)]
enum Place {
    Server(Host),
    Sentinels(Sentinels),
}

/// Where a server is and how to get in.
#[derive(Clone)]
pub(crate) struct Address {
    place: Place,
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No user, no password.
        f.debug_struct("Address").field("target", &self.target()).finish_non_exhaustive()
    }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects, and puts the guard in front of what comes back.
pub(crate) async fn open_stream(
    host: &Host,
    tls: Option<&TlsConnector>,
    fault: FaultSlot,
) -> Result<Guarded<Box<dyn Stream>>> {
    let failed = |reason: String| Error::Connect { target: host.to_string(), reason };
    let tcp = TcpStream::connect((host.name.as_str(), host.port)).await;
    let tcp = tcp.map_err(|error| failed(error.to_string()))?;
    tcp.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(tls) => {
            let name = ServerName::try_from(host.name.clone());
            let name = name.map_err(|error| failed(error.to_string()))?;
            let stream = tls.connect(name, tcp).await;
            Box::new(stream.map_err(|error| failed(error.to_string()))?)
        }
    };
    Ok(Guarded::new(stream, fault))
}

/// No time limits of the client's: ours are around whole calls.
pub(crate) fn own_limits() -> redis::AsyncConnectionConfig {
    let config = redis::AsyncConnectionConfig::new();
    config.set_connection_timeout(None).set_response_timeout(None)
}

impl Address {
    /// Reads `redis://`, `rediss://`, and both with `-sentinel`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidUrl { reason: reason.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it has no scheme"))?;
        let (has_tls, by_sentinels) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis-sentinel" | "redis+sentinel" => (false, true),
            "rediss-sentinel" | "rediss+sentinel" => (true, true),
            "redis-cluster" | "rediss-cluster" | "redis+cluster" | "rediss+cluster" => {
                let what = format!("{scheme}:// : name one server, or a proxy that knows them all");
                return Err(Error::Unsupported { what });
            }
            _ => return Err(invalid("its scheme is none of redis, rediss and their -sentinel")),
        };
        let (sentinels, rest) = match by_sentinels {
            false => (None, rest.to_owned()),
            true => {
                let read = split_sentinels(rest);
                let how = "it is not redis-sentinel://[user:password@]host[:port],../name[/number]";
                let (sentinels, rest) = read.ok_or_else(|| invalid(how))?;
                (Some(sentinels), rest)
            }
        };
        let plain = format!("redis://{rest}");
        let info = redis::IntoConnectionInfo::into_connection_info(plain.as_str());
        // The client's own words may repeat the password.
        let info =
            info.map_err(|_| invalid("it is not redis://[user:password@]host[:port][/number]"))?;
        let ConnectionAddr::Tcp(name, port) = info.addr() else {
            return Err(invalid("it names no host"));
        };
        let server = Place::Server(Host { name: name.clone(), port: *port });
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        let tls = if has_tls { Some(TlsConnector::from(tls::shared_config()?)) } else { None };
        Ok(Self { place: sentinels.map_or(server, Place::Sentinels), login, tls })
    }

    pub(crate) fn target(&self) -> String {
        match &self.place {
            Place::Server(host) => host.to_string(),
            Place::Sentinels(sentinels) => sentinels.target(),
        }
    }

    async fn open(&self, fault: &FaultSlot) -> Result<Guarded<Box<dyn Stream>>> {
        let host = match &self.place {
            Place::Server(host) => host,
            Place::Sentinels(sentinels) => &sentinels.ask(self.tls.as_ref()).await?,
        };
        open_stream(host, self.tls.as_ref(), fault.clone()).await
    }

    /// A connection for messages.
    pub(crate) async fn open_pubsub(&self, channel: &str) -> Result<PubSub> {
        let fault = FaultSlot::default();
        let stream = self.open(&fault).await?;
        let failed = |error: RedisError| self.explain(&error, &fault);
        let mut messages = PubSub::new(&self.login, stream).await.map_err(failed)?;
        messages.subscribe(channel).await.map_err(failed)?;
        Ok(messages)
    }

    fn explain(&self, error: &RedisError, fault: &FaultSlot) -> Error {
        match *fault.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Error::protocol(fault),
            None => error_of(error, &self.target()),
        }
    }
}

/// Takes an address of sentinels apart: them, and what is left for the servers they know, under a
/// name that stands for all of those.
fn split_sentinels(rest: &str) -> Option<(Sentinels, String)> {
    let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
    let at = if login.is_empty() { "" } else { "@" };
    let (hosts, path) = rest.split_once('/')?;
    let (name, number) = path.split_once('/').unwrap_or((path, ""));
    Some((Sentinels::parse(hosts, name)?, format!("{login}{at}servers/{number}")))
}

#[derive(Debug, Clone)]
struct Open {
    id: u64,
    connection: MultiplexedConnection,
    fault: FaultSlot,
}

/// The connection, if there is one, and how to make it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) address: Address,
    pub(crate) timeout: Duration,
    open: Mutex<(u64, Option<Open>)>,
    /// One at a time connects.
    connecting: tokio::sync::Mutex<()>,
}

impl Connection {
    pub(crate) fn new(address: Address, timeout: Duration) -> Arc<Self> {
        let (open, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { address, timeout, open, connecting })
    }

    fn current(&self) -> Option<Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn give_up(&self, id: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.1.as_ref().is_some_and(|open| open.id == id) {
            open.1 = None;
        }
    }

    async fn connected(&self) -> Result<Open> {
        if let Some(open) = self.current() {
            return Ok(open);
        }
        let _turn = self.connecting.lock().await;
        if let Some(open) = self.current() {
            return Ok(open);
        }
        let fault = FaultSlot::default();
        let stream = self.address.open(&fault).await?;
        let login = &self.address.login;
        let made = MultiplexedConnection::new_with_config(login, stream, own_limits()).await;
        let (mut connection, driver) =
            made.map_err(|error| self.address.explain(&error, &fault))?;
        tokio::spawn(driver);
        if matches!(self.address.place, Place::Sentinels(_)) {
            let target = || self.address.target();
            let checked = sentinel::check_role(&mut connection).await;
            checked.map_err(|reason| Error::Connect { target: target(), reason })?;
        }
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        slot.0 += 1;
        let open = Open { id: slot.0, connection, fault };
        slot.1 = Some(open.clone());
        Ok(open)
    }

    async fn once<T, F: Future<Output = redis::RedisResult<T>>>(
        &self,
        call: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T> {
        let mut used = None;
        let work = async {
            let open = self.connected().await?;
            used = Some(open.id);
            let answer = call(open.connection).await;
            answer.map_err(|error| self.address.explain(&error, &open.fault))
        };
        let answer = match tokio::time::timeout(self.timeout, work).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { limit: self.timeout }),
        };
        let is_over = match &answer {
            Err(Error::Timeout { .. } | Error::Connect { .. } | Error::Protocol { .. }) => true,
            // Another server takes the writes now.
            Err(Error::Refused { message }) => message.starts_with("READONLY"),
            _ => false,
        };
        if let (Some(id), true) = (used, is_over) {
            self.give_up(id);
        }
        answer
    }

    /// Makes a call. With `again` it is one that may be made twice: when an old connection turns
    /// out to be broken, a new one is tried.
    async fn call<T, F: Future<Output = redis::RedisResult<T>>>(
        &self,
        again: bool,
        call: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T> {
        let was_open = self.current().is_some();
        match self.once(&call).await {
            Err(Error::Connect { .. }) if again && was_open => self.once(&call).await,
            answer => answer,
        }
    }

    pub(crate) async fn command(&self, command: &Cmd, again: bool) -> Result<Value> {
        self.call(
            again,
            |mut connection| async move { connection.send_packed_command(command).await },
        )
        .await
    }

    /// The answers of many commands, errors among them.
    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Value>> {
        let count = commands.len();
        self.call(true, |mut connection| async move {
            connection.send_packed_commands(commands, 0, count).await
        })
        .await
    }
}
