//! `cairn user`.

use std::io::Write;

use anyhow::{Context, Result};
use cairndb::auth::{Secret, UserId, UserInfo, Username};
use serde_json::{Map, Value, json};

use super::{Desk, done, secrets};
use crate::cli::Cli;
use crate::cli::auth::User;
use crate::cmd::line;
use crate::output::keys::insert;

/// Users read together.
const PAGE: usize = 256;

/// Runs the command.
pub fn run(cli: &Cli, command: &User, out: &mut impl Write) -> Result<()> {
    match command {
        User::Create { name, password, metadata_file } => {
            let metadata: Secret = match metadata_file {
                Some(path) => {
                    std::fs::read(path).with_context(|| path.display().to_string())?.into()
                }
                None => "".into(),
            };
            let desk = Desk::open(cli)?;
            let password = secrets::new_password(name, password)?;
            let id = desk.handle.create_user(&Username::new(name)?, &password, &metadata)?;
            desk.close()?;
            if cli.json {
                return line(out, json!({ "user": id.get(), "name": name }));
            }
            line(out, format!("user {id}"))
        }
        User::List => list(cli, out),
        User::Show { name, metadata } => show(cli, name, *metadata, out),
        User::Rename { name, new_name } => {
            let new_name = Username::new(new_name)?;
            change(cli, name, out, |desk, id| Ok(desk.handle.rename_user(id, &new_name)?))
        }
        User::Disable { name } => {
            change(cli, name, out, |desk, id| Ok(desk.handle.disable_user(id)?))
        }
        User::Enable { name } => {
            change(cli, name, out, |desk, id| Ok(desk.handle.enable_user(id)?))
        }
        User::Delete { name } => {
            change(cli, name, out, |desk, id| Ok(desk.handle.delete_user(id)?))
        }
        User::Password { name, password } => change(cli, name, out, |desk, id| {
            let password = secrets::new_password(name, password)?;
            Ok(desk.handle.set_password(id, &password)?)
        }),
    }
}

fn change(
    cli: &Cli,
    name: &str,
    out: &mut impl Write,
    act: impl FnOnce(&Desk, UserId) -> Result<()>,
) -> Result<()> {
    let desk = Desk::open(cli)?;
    act(&desk, desk.user(name)?)?;
    desk.close()?;
    done(cli, "done", out)
}

fn list(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let desk = Desk::open(cli)?;
    let mut after = None;
    loop {
        let page = desk.handle.list_users(after, PAGE)?;
        for user in &page {
            let roles = desk.handle.roles_of(user.id)?;
            let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
            print(cli, user, &roles, out)?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id),
            _ => return desk.close(),
        }
    }
}

fn show(cli: &Cli, name: &str, metadata: bool, out: &mut impl Write) -> Result<()> {
    let desk = Desk::open(cli)?;
    let user = desk.handle.user_info(desk.user(name)?)?;
    let roles: Vec<String> =
        desk.handle.roles_of(user.id)?.iter().map(ToString::to_string).collect();
    if cli.json {
        let mut object = value(&user, &roles);
        if metadata {
            insert(&mut object, "metadata", user.metadata.expose());
        }
        line(out, Value::Object(object))?;
        return desk.close();
    }
    print(cli, &user, &roles, out)?;
    if metadata {
        out.write_all(user.metadata.expose())?;
        writeln!(out)?;
    }
    desk.close()
}

/// What is told of a user as JSON.
fn value(user: &UserInfo, roles: &[String]) -> Map<String, Value> {
    let facts = [
        ("user", json!(user.id.get())),
        ("name", json!(user.name.as_str())),
        ("disabled", json!(user.disabled)),
        ("created_at", json!(user.created_at.to_string())),
        ("password_changed_at", json!(user.password_changed_at.to_string())),
        ("roles", json!(roles)),
    ];
    facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect()
}

fn print(cli: &Cli, user: &UserInfo, roles: &[String], out: &mut impl Write) -> Result<()> {
    if cli.json {
        return line(out, Value::Object(value(user, roles)));
    }
    let state = if user.disabled { " disabled" } else { "" };
    let (id, name, created) = (user.id, &user.name, user.created_at);
    line(out, format!("{id:>6} {name:<30} since {created}{state} {}", roles.join(" ")))
}
