//! Users, roles, keys, sessions, and the gate that every other command passes.

pub mod api_keys;
pub mod follow;
pub mod gate;
mod permissions;
pub mod roles;
pub mod secrets;
pub mod sessions;
pub mod sources;
pub mod users;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use cairndb::auth::{Permission, RoleName, UserId, Username};
use cairndb::engine::auth::{AUDIT_TOPIC, Guarded, Service};
use cairndb::prelude::*;
use serde_json::json;

use super::line;
use crate::cli::Cli;
use crate::cli::auth::Auth;
use crate::exit::NotFound;

/// Name of the role that `auth enable` makes.
const ADMIN_ROLE: &str = "admin";

/// A store open for somebody, for administration.
struct Desk {
    engine: Engine,
    handle: Guarded,
}

impl Desk {
    /// Opens the store for writing with the master key and the caller's credential.
    fn open(cli: &Cli) -> Result<Self> {
        let (engine, service) = service(cli, super::open_unchecked(cli)?)?;
        let handle = gate::handle(cli, &engine, &service)?;
        Ok(Self { engine, handle })
    }

    /// The number of a user by name.
    fn user(&self, name: &str) -> Result<UserId> {
        let found = self.handle.find_user(&Username::new(name)?)?;
        found.ok_or_else(|| NotFound(format!("there is no user {name}")).into())
    }

    fn close(self) -> Result<()> {
        Ok(self.engine.close()?)
    }
}

/// Opens the service with the master key.
fn service(cli: &Cli, engine: Engine) -> Result<(Engine, Arc<Service>)> {
    let key = secrets::master_key(&cli.access)?;
    engine.into_auth_service(&key).context("opening users and roles")
}

/// Runs `cairn auth`.
pub fn auth(cli: &Cli, command: &Auth, out: &mut impl Write) -> Result<()> {
    match command {
        Auth::NewKey(to) => {
            let key = secrets::new_master_key();
            secrets::show_once(cli, "master key", &key, to, json!({}), out)
        }
        Auth::Enable { admin, password } => enable(cli, admin, password, out),
        Auth::Status => {
            let engine = super::open_read_only_unchecked(cli, &cli.store)?;
            let enabled = engine.auth_enabled()?;
            if cli.json {
                return line(out, json!({ "enabled": enabled }));
            }
            line(out, if enabled { "enabled" } else { "not enabled: everybody may everything" })
        }
        Auth::RotateKey { new_key_file } => {
            let new = secrets::master_key_in(new_key_file)?;
            let desk = Desk::open(cli)?;
            desk.handle.rotate_master_key(&new)?;
            desk.close()?;
            done(cli, "the new master key opens the store from now on", out)
        }
    }
}

fn enable(
    cli: &Cli,
    admin: &str,
    password: &crate::cli::auth::Password,
    out: &mut impl Write,
) -> Result<()> {
    let (engine, service) = service(cli, super::open_unchecked(cli)?)?;
    if engine.auth_enabled()? {
        bail!("auth is enabled already");
    }
    if !service.has_administrator()? {
        let name = Username::new(admin)?;
        let role = RoleName::new(ADMIN_ROLE)?;
        // Each step may have been done by an attempt that was interrupted.
        let id = match service.find_user(&name)? {
            Some(id) => id,
            None => {
                let password = secrets::new_password(admin, password)?;
                service.create_user(&name, &password, &"".into())?
            }
        };
        match service.create_role(&role, &Permission::everything()) {
            Ok(()) | Err(cairndb::auth::Error::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        service.grant_role(id, &role)?;
    }
    engine.enable_auth()?;
    engine.close()?;
    let text = format!("auth is enabled; who does what is told in the topic {AUDIT_TOPIC}");
    done(cli, &text, out)
}

/// Says that something was done.
fn done(cli: &Cli, text: &str, out: &mut impl Write) -> Result<()> {
    if cli.json { line(out, json!({ "done": true })) } else { line(out, text) }
}
