//! `cairn apikey`.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use cairndb::auth::{ApiKeyId, ApiKeyInfo, ApiKeyRequest};
use serde_json::json;

use super::{Desk, done, permissions, secrets};
use crate::cli::Cli;
use crate::cli::auth::ApiKey;
use crate::cmd::line;

/// Runs the command.
pub fn run(cli: &Cli, command: &ApiKey, out: &mut impl Write) -> Result<()> {
    match command {
        ApiKey::Create { user, env, label, expires_in, scopes, out: to } => {
            let scopes =
                (!scopes.is_empty()).then(|| permissions::parse_all(scopes)).transpose()?;
            let request = ApiKeyRequest {
                environment: env.clone(),
                label: label.clone(),
                lifetime: expires_in.map(Duration::from_secs),
                scopes,
            };
            let desk = Desk::open(cli)?;
            let issued = desk.handle.issue_api_key(desk.user(user)?, &request)?;
            desk.close()?;
            let facts = json!({ "id": issued.id.to_string() });
            secrets::show_once(cli, "API key", &issued.key, to, facts, out)
        }
        ApiKey::Rotate { id, overlap, out: to } => {
            let id = parse(id)?;
            let desk = Desk::open(cli)?;
            let issued = desk.handle.rotate_api_key(id, Duration::from_secs(*overlap))?;
            desk.close()?;
            let facts = json!({ "id": issued.id.to_string() });
            secrets::show_once(cli, "API key", &issued.key, to, facts, out)
        }
        ApiKey::Revoke { id } => {
            let id = parse(id)?;
            let desk = Desk::open(cli)?;
            desk.handle.revoke_api_key(id)?;
            desk.close()?;
            done(cli, "revoked", out)
        }
        ApiKey::List { user } => {
            let desk = Desk::open(cli)?;
            let keys = desk.handle.list_api_keys(desk.user(user)?)?;
            desk.close()?;
            keys.iter().try_for_each(|key| print(cli, key, out))
        }
    }
}

fn parse(id: &str) -> Result<ApiKeyId> {
    ApiKeyId::parse(id).context("this is no public part of an API key; `cairn apikey list`")
}

fn print(cli: &Cli, key: &ApiKeyInfo, out: &mut impl Write) -> Result<()> {
    let time = |at: Option<cairndb::types::Timestamp>| at.map(|at| at.to_string());
    let scopes: Option<Vec<String>> =
        key.scopes.as_ref().map(|scopes| scopes.iter().map(permissions::show).collect());
    if cli.json {
        return line(
            out,
            json!({
                "id": key.id.to_string(), "owner": key.owner.get(), "env": key.environment,
                "label": key.label, "created_at": key.created_at.to_string(),
                "expires_at": time(key.expires_at), "last_used_at": time(key.last_used_at),
                "revoked_at": time(key.revoked_at), "scopes": scopes,
            }),
        );
    }
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "without end".into(),
    };
    let scopes = scopes.map_or_else(|| "as its owner".into(), |scopes| scopes.join(" "));
    line(out, format!("{} {:<8} {:<20} {state}; {scopes}", key.id, key.environment, key.label))
}
