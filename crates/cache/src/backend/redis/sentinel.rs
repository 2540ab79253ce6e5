//! Sentinels: whoever knows which of several servers takes writes at the moment. Asked before every
//! connection; nothing of their answers is kept. Derived.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisConnectionInfo, Value};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::connection::{Host, open_stream, own_limits};
use super::guard::FaultSlot;
use crate::{Error, Result};

/// Longest name of a group of servers.
const NAME_LEN_MAX: usize = 255;
/// Most sentinels of one address.
const SENTINELS_MAX: usize = 32;
const PORT: u16 = 26379;

/// Where sentinels are, and the group of servers that is meant.
#[derive(Debug, Clone)]
pub(crate) struct Sentinels {
    hosts: Vec<Host>,
    name: String,
}

impl Sentinels {
    /// Reads `host[:port],host[:port]` and the name after them.
    pub(crate) fn parse(hosts: &str, name: &str) -> Option<Self> {
        let is_fine = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > NAME_LEN_MAX || !is_fine(name) {
            return None;
        }
        let hosts: Vec<Host> =
            hosts.split(',').map(|host| Host::parse(host, PORT)).collect::<Option<_>>()?;
        (hosts.len() <= SENTINELS_MAX).then(|| Self { hosts, name: name.to_owned() })
    }

    /// What it is in messages.
    pub(crate) fn target(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        format!("{} of sentinels {}", self.name, hosts.join(","))
    }

    /// The server that takes writes, by the first sentinel that knows. All are asked at once, so
    /// that those that are gone cost no time.
    pub(crate) async fn ask(&self, tls: Option<&TlsConnector>) -> Result<Host> {
        let mut asking = JoinSet::new();
        for host in &self.hosts {
            let (host, name, tls) = (host.clone(), self.name.clone(), tls.cloned());
            asking.spawn(async move { ask_one(&host, &name, tls.as_ref()).await });
        }
        let mut reason = "no sentinel answers".to_owned();
        while let Some(answer) = asking.join_next().await {
            match answer {
                Ok(Ok(host)) => return Ok(host),
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => {}
            }
        }
        Err(Error::Connect { target: self.target(), reason })
    }
}

async fn ask_one(host: &Host, name: &str, tls: Option<&TlsConnector>) -> Result<Host> {
    let failed = |reason: String| Error::Connect { target: host.to_string(), reason };
    let stream = open_stream(host, tls, FaultSlot::default()).await?;
    let nobody = RedisConnectionInfo::default().set_skip_set_lib_name();
    let made = MultiplexedConnection::new_with_config(&nobody, stream, own_limits()).await;
    let (mut connection, driver) = made.map_err(|error| failed(error.to_string()))?;
    // It ends with the connection.
    tokio::spawn(driver);
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let answer = ask_for(&mut connection, &command).await.map_err(failed)?;
    let Value::Array(parts) = answer else {
        return Err(failed(format!("it knows no servers named {name}")));
    };
    let text = |value: Option<&Value>| match value {
        Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        _ => None,
    };
    let port = text(parts.get(1)).and_then(|port| port.parse().ok());
    match (text(parts.first()), port) {
        (Some(name), Some(port)) => Ok(Host { name, port }),
        _ => Err(Error::protocol("no answer of SENTINEL")),
    }
}

async fn ask_for(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> std::result::Result<Value, String> {
    connection.send_packed_command(command).await.map_err(|error| error.to_string())
}

/// Refuses a server that is no longer, or not yet, the one that takes writes: sentinels may be
/// late.
pub(crate) async fn check_role(connection: &mut MultiplexedConnection) -> Result<(), String> {
    match ask_for(connection, &redis::cmd("ROLE")).await? {
        Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master") => {
            Ok(())
        }
        _ => Err("the sentinels name a server that takes no writes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sentinels_are_read_or_refused() {
        let read = Sentinels::parse("a,b:7,[::1],[::1]:8", "main").expect("an address");
        let ports: Vec<u16> = read.hosts.iter().map(|host| host.port).collect();
        assert_eq!(ports, [PORT, 7, PORT, 8]);
        assert_eq!(read.target(), "main of sentinels a:26379,b:7,::1:26379,::1:8");
        for (hosts, name) in
            [("", "m"), ("a,", "m"), ("a:x", "m"), ("a:70000", "m"), ("a", ""), ("a", "m n")]
        {
            assert!(Sentinels::parse(hosts, name).is_none(), "{hosts} {name}");
        }
        assert!(Sentinels::parse("a", &"n".repeat(256)).is_none());
        assert!(Sentinels::parse(&["a"; 33].join(","), "m").is_none());
    }
}
