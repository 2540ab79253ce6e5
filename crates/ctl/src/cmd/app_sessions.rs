//! `session app`: sessions that an application keeps.

use std::io::Write;

use anyhow::{Context, Result};
use cairn_cache::{SessionConfig, SessionId, SessionManager};
use serde_json::{Value, json};

use super::auth::secrets;
use super::{line, open};
use crate::cli::Cli;
use crate::cli::lock::{AppSession, AppSessions};

/// Lists and ends sessions of any type: their data is JSON.
pub fn run(cli: &Cli, args: &AppSessions, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    engine.maintain()?;
    // Opening a manager would make a keyspace that is not there.
    engine.keyspace(&args.keyspace)?;
    let config = SessionConfig { keyspace: args.keyspace.clone(), ..SessionConfig::default() };
    let key = secrets::master_key(&cli.access)?;
    let sessions = SessionManager::<Value>::open(&engine, &key, config)?;
    let ended = match &args.command {
        AppSession::List { user } => {
            for session in sessions.list(user)? {
                let (id, issued, end) = (session.id, session.issued_at, session.expires_at);
                if cli.json {
                    let (issued_at, expires_at) = (issued.to_string(), end.to_string());
                    let object = json!({
                        "id": id.to_string(), "user": &*session.user, "issued_at": issued_at,
                        "expires_at": expires_at, "data": &*session.data,
                    });
                    line(out, object)?;
                } else {
                    line(out, format!("{id} from {issued} until {end} {}", session.data))?;
                }
            }
            None
        }
        AppSession::Revoke { id } => {
            let id =
                SessionId::parse(id).context("this is no session; `cairn session app list`")?;
            Some(u64::from(sessions.revoke_id(id)?))
        }
        AppSession::RevokeAll { user } => Some(sessions.revoke_all(user)?),
    };
    if let Some(ended) = ended {
        if cli.json {
            line(out, json!({ "ended": ended }))?;
        } else {
            line(out, format!("{ended} ended"))?;
        }
    }
    out.flush()?;
    Ok(engine.close()?)
}
