//! `cairn session` and `cairn login`.

use std::io::Write;

use anyhow::{Context, Result};
use cairndb::auth::SessionId;
use serde_json::json;

use super::{Desk, done, secrets, service};
use crate::cli::Cli;
use crate::cli::auth::{Login, Session};
use crate::cmd::line;

/// Runs `cairn session`.
pub fn run(cli: &Cli, command: &Session, out: &mut impl Write) -> Result<()> {
    let desk = Desk::open(cli)?;
    match command {
        // They are kept by somebody else and dispatched before.
        Session::App(_) => {}
        Session::Revoke { id } => {
            let id = SessionId::parse(id).context("this is no session; `cairn session list`")?;
            desk.handle.revoke_session(id)?;
        }
        Session::RevokeAll { user } => desk.handle.revoke_all_sessions(desk.user(user)?)?,
        Session::List { user } => {
            for session in desk.handle.list_sessions(desk.user(user)?)? {
                let (id, issued, end) = (session.id, session.issued_at, session.expires_at);
                if cli.json {
                    let (id, seen) = (id.to_string(), session.last_seen_at.to_string());
                    line(
                        out,
                        json!({
                            "id": id, "issued_at": issued.to_string(),
                            "expires_at": end.to_string(), "last_seen_at": seen,
                        }),
                    )?;
                } else {
                    line(out, format!("{id} from {issued} until {end}"))?;
                }
            }
            return desk.close();
        }
    }
    desk.close()?;
    done(cli, "ended", out)
}

/// Runs `cairn login`.
pub fn login(cli: &Cli, args: &Login, out: &mut impl Write) -> Result<()> {
    let (engine, service) = service(cli, crate::cmd::open_unchecked(cli)?)?;
    let password = secrets::password(&args.name, &args.password)?;
    let session = service.login(&args.name, &password, None);
    // Also a refused login is told in the audit topic.
    engine.close()?;
    let session = session?;
    let facts = json!({ "user": session.user.get(), "expires_at": session.expires_at.to_string() });
    secrets::show_once(cli, "session token", &session.token, &args.out, facts, out)
}
