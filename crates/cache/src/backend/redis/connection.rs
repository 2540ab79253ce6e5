//! One connection to a server, made when it is needed and given up at the first sign of trouble.
//! Derived.

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
use crate::backend::tls;
use crate::{Error, Result};

/// Where a server is and how to get in.
#[derive(Clone)]
pub(crate) struct Address {
    host: String,
    port: u16,
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No user, no password.
        f.debug_struct("Address").field("target", &self.target()).finish_non_exhaustive()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Address {
    /// Reads `redis://` and `rediss://`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidUrl { reason: reason.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it has no scheme"))?;
        let tls = match scheme {
            "redis" => None,
            "rediss" => Some(TlsConnector::from(tls::shared_config()?)),
            "redis-sentinel" | "rediss-sentinel" | "redis+sentinel" | "redis-cluster"
            | "rediss-cluster" | "redis+cluster" => {
                let what = format!("{scheme}:// : name one server, or a proxy that knows them all");
                return Err(Error::Unsupported { what });
            }
            _ => return Err(invalid("its scheme is not redis, rediss or https")),
        };
        let plain = format!("redis://{rest}");
        let info = redis::IntoConnectionInfo::into_connection_info(plain.as_str());
        // The client's own words may repeat the password.
        let info =
            info.map_err(|_| invalid("it is not redis://[user:password@]host[:port][/number]"))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(invalid("it names no host"));
        };
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(Self { host: host.clone(), port: *port, login, tls })
    }

    pub(crate) fn target(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn open(&self, fault: &FaultSlot) -> Result<Guarded<Box<dyn Stream>>> {
        let failed = |reason: String| Error::Connect { target: self.target(), reason };
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|error| failed(error.to_string()))?;
        tcp.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone());
                let name = name.map_err(|error| failed(error.to_string()))?;
                let stream = tls.connect(name, tcp).await;
                Box::new(stream.map_err(|error| failed(error.to_string()))?)
            }
        };
        Ok(Guarded::new(stream, fault.clone()))
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
        // The time limit is ours, around the whole call.
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let made =
            MultiplexedConnection::new_with_config(&self.address.login, stream, config).await;
        let (connection, driver) = made.map_err(|error| self.address.explain(&error, &fault))?;
        tokio::spawn(driver);
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
        if let (
            Some(id),
            Err(Error::Timeout { .. } | Error::Connect { .. } | Error::Protocol { .. }),
        ) = (used, &answer)
        {
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
