//! `cairn role`.

use std::io::Write;

use anyhow::Result;
use cairndb::auth::RoleName;
use serde_json::json;

use super::{Desk, done, permissions};
use crate::cli::Cli;
use crate::cli::auth::Role;
use crate::cmd::line;

/// Roles read together.
const PAGE: usize = 256;

/// Runs the command.
pub fn run(cli: &Cli, command: &Role, out: &mut impl Write) -> Result<()> {
    match command {
        Role::Create { name, permissions } => {
            let (name, allowed) = (RoleName::new(name)?, permissions::parse_all(permissions)?);
            change(cli, out, |desk| Ok(desk.handle.create_role(&name, &allowed)?))
        }
        Role::Set { name, permissions } => {
            let (name, allowed) = (RoleName::new(name)?, permissions::parse_all(permissions)?);
            change(cli, out, |desk| Ok(desk.handle.set_role_permissions(&name, &allowed)?))
        }
        Role::Delete { name } => {
            let name = RoleName::new(name)?;
            change(cli, out, |desk| Ok(desk.handle.delete_role(&name)?))
        }
        Role::Grant { user, role } => {
            let role = RoleName::new(role)?;
            change(cli, out, |desk| Ok(desk.handle.grant_role(desk.user(user)?, &role)?))
        }
        Role::Revoke { user, role } => {
            let role = RoleName::new(role)?;
            change(cli, out, |desk| Ok(desk.handle.revoke_role(desk.user(user)?, &role)?))
        }
        Role::List => list(cli, out),
        Role::Show { name } => show(cli, &RoleName::new(name)?, out),
    }
}

fn change(cli: &Cli, out: &mut impl Write, act: impl FnOnce(&Desk) -> Result<()>) -> Result<()> {
    let desk = Desk::open(cli)?;
    act(&desk)?;
    desk.close()?;
    done(cli, "done", out)
}

fn list(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let desk = Desk::open(cli)?;
    let mut after = None;
    loop {
        let page = desk.handle.list_roles(after.as_ref(), PAGE)?;
        for name in &page {
            if cli.json {
                line(out, json!({ "role": name.as_str() }))?;
            } else {
                line(out, name)?;
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.clone()),
            _ => return desk.close(),
        }
    }
}

fn show(cli: &Cli, name: &RoleName, out: &mut impl Write) -> Result<()> {
    let desk = Desk::open(cli)?;
    let role = desk.handle.role_info(name)?;
    let shown: Vec<String> = role.permissions.iter().map(permissions::show).collect();
    desk.close()?;
    if cli.json {
        return line(out, json!({ "role": name.as_str(), "permissions": shown }));
    }
    shown.iter().try_for_each(|permission| line(out, permission))
}
