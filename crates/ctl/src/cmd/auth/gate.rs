//! The gate: once auth is enabled, a command opens the store only for somebody who may do what
//! the command does.
//!
//! It keeps honest people honest. Whoever can read the files can read them with other programs;
//! `docs/security.md` says what that means.

use std::sync::Arc;

use anyhow::{Context, Result};
use cairndb::auth::{Action, AdminArea, Argon2idHasher, HashParams, Resource};
use cairndb::engine::auth::{AuthOptions, Guarded, Service, keys_of};
use cairndb::prelude::*;
use cairndb::types::KeyspaceName;

use super::secrets;
use crate::cli::key::Key;
use crate::cli::keys::{Keyspaces, Selection, Space};
use crate::cli::{Cli, Command, Topics};
use crate::cmd::keys::range_of;

type Asked = Vec<(Action, Resource)>;

/// What the gate let through, to be asked again by commands that go on for long.
pub struct Pass(Option<(Guarded, Asked)>);

impl Pass {
    /// Whether the caller may still do what it asked for: permissions as the engine knows them
    /// now, and the end of the key or session.
    pub fn still_holds(&self) -> Result<()> {
        let Some((handle, asked)) = &self.0 else { return Ok(()) };
        for (action, resource) in asked {
            handle.check(*action, resource).context("the permission ended")?;
        }
        Ok(())
    }
}

/// Hands the engine on when its store has no auth or the caller may do what it asks for.
pub fn pass(cli: &Cli, engine: Engine) -> Result<Engine> {
    Ok(pass_with(cli, engine)?.0)
}

/// As [`pass`], with what can be asked again.
pub fn pass_with(cli: &Cli, engine: Engine) -> Result<(Engine, Pass)> {
    if !engine.auth_enabled()? {
        return Ok((engine, Pass(None)));
    }
    let Some(asked) = asked(cli, &engine)? else { return Ok((engine, Pass(None))) };
    match check(cli, engine, &asked) {
        Err(error) if is_refusal(&error) => {
            // What is read beside a writer cannot tell the audit topic. When nobody writes the
            // store, it is opened for writing to do so.
            if let Ok(writer) = crate::cmd::open_unchecked(cli) {
                let _told = check(cli, writer, &asked).and_then(|(engine, _)| Ok(engine.close()?));
            }
            Err(error)
        }
        passed => passed.map(|(engine, handle)| (engine, Pass(Some((handle, asked))))),
    }
}

fn is_refusal(error: &anyhow::Error) -> bool {
    crate::exit::code(error) == 5
}

fn check(cli: &Cli, engine: Engine, asked: &Asked) -> Result<(Engine, Guarded)> {
    // Only logins compare passwords, so the costs of hashing do not matter here.
    let hasher = Arc::new(Argon2idHasher::new(HashParams::FLOOR)?);
    let options = AuthOptions { hasher, ..AuthOptions::default() };
    let key = secrets::master_key(&cli.access)?;
    let (engine, service) = engine.into_auth_service_with(&key, options)?;
    let handle = handle(cli, &engine, &service)?;
    for (action, resource) in asked {
        handle.check(*action, resource)?;
    }
    Ok((engine, handle))
}

/// The engine for the caller: by its credential when auth is enabled.
pub fn handle(cli: &Cli, engine: &Engine, service: &Service) -> Result<Guarded> {
    if !engine.auth_enabled()? {
        return Ok(engine.as_anonymous());
    }
    let credential = secrets::credential(&cli.access)?;
    // An API key is told by its form; everything else is taken for a session's token.
    let is_key = credential.expose().starts_with(b"cairn_");
    // Trying both would tell the audit topic of a refusal at every command with a key.
    let principal = if is_key {
        service.verify_api_key(&credential)
    } else {
        service.validate_session(&credential)
    };
    Ok(engine.as_principal(principal.context("the credential does not count")?)?)
}

/// What a command needs; `None` for what works on files alone or checks for itself.
fn asked(cli: &Cli, engine: &Engine) -> Result<Option<Asked>> {
    use Action::{Manage, Read, Write};
    let admin = |action, area| vec![(action, Resource::Admin(area))];
    let asked = match &cli.command {
        Command::Import(args) => topic_for_writing(engine, &args.topic)?,
        Command::Append(args) => topic_for_writing(engine, &args.topic)?,
        Command::Read(args) => vec![(Read, topic(&args.topic)?)],
        Command::Tail(args) => vec![(Read, topic(&args.topic)?)],
        Command::Export { topic: name } => vec![(Read, topic(name)?)],
        Command::Audit(_) => vec![(Read, topic(cairndb::engine::auth::AUDIT_TOPIC)?)],
        Command::Topics { command: None | Some(Topics::List) } | Command::Groups => {
            admin(Read, AdminArea::Status)
        }
        Command::Topics {
            command:
                Some(
                    Topics::Create { topic: name, .. }
                    | Topics::Set { topic: name, .. }
                    | Topics::Drop { topic: name },
                ),
        } => vec![(Manage, topic(name)?)],
        Command::Put(args) => {
            let keys = match args.key.as_str() {
                "-" => Resource::Keyspace(KeyspaceName::new(&args.space.keyspace)?),
                key => range(&args.space, &Range::key(key.to_owned()))?,
            };
            let mut asked = vec![(Write, keys.clone())];
            asked.extend(args.prev.then_some((Read, keys)));
            asked.extend(creation(engine, &args.space)?);
            asked
        }
        Command::Get(args) => vec![(Read, selected(&args.space, &args.key, &args.selection)?)],
        Command::Del(args) => {
            let keys = selected(&args.space, &args.key, &args.selection)?;
            let mut asked = vec![(Write, keys.clone())];
            asked.extend(args.prev.then_some((Read, keys)));
            asked
        }
        Command::Scan(args) => {
            let keys = match (&args.prefix, &args.start, &args.end) {
                (Some(prefix), ..) => Range::prefix(prefix.clone()),
                (None, None, _) => Range::all(),
                (None, Some(start), None) => Range::from_key(start.clone()),
                (None, Some(start), Some(end)) => Range::between(start.clone(), end.clone()),
            };
            vec![(Read, range(&args.space, &keys)?)]
        }
        Command::Count(args) => {
            let keys = args.prefix.as_ref().map_or(Range::all(), |p| Range::prefix(p.clone()));
            vec![(Read, range(&args.space, &keys)?)]
        }
        Command::History(args) => vec![(Read, range(&args.space, &Range::key(args.key.clone()))?)],
        Command::Watch(args) => match &args.key {
            Some(key) => vec![(Read, selected(&args.space, key, &args.selection)?)],
            None => vec![(Read, range(&args.space, &Range::all())?)],
        },
        Command::Lock(args) => {
            let resource = Resource::Keyspace(KeyspaceName::new(&args.keyspace)?);
            let missing = engine.keyspace(&args.keyspace).is_err();
            let action = if args.command.is_empty() { Read } else { Write };
            let mut asked = vec![(action, resource.clone())];
            asked.extend((missing && action == Write).then_some((Manage, resource)));
            asked
        }
        Command::Keyspaces { command: None | Some(Keyspaces::List) } => {
            admin(Read, AdminArea::Status)
        }
        Command::Keyspaces {
            command:
                Some(
                    Keyspaces::Create { name, .. }
                    | Keyspaces::Set { name, .. }
                    | Keyspaces::Drop { name },
                ),
        } => vec![(Manage, Resource::Keyspace(KeyspaceName::new(name)?))],
        Command::Backup { .. } | Command::Snapshot(_) => admin(Read, AdminArea::Backup),
        Command::Key(Key::Status) => admin(Read, AdminArea::Keys),
        Command::Key(_) => admin(Manage, AdminArea::Keys),
        Command::Stats | Command::Head => admin(Read, AdminArea::Status),
        // They print no content, work on files, or on stores of their own.
        Command::Verify(_)
        | Command::VerifyProof(_)
        | Command::Doctor
        | Command::Repair { .. }
        | Command::Restore(_)
        | Command::Tour
        | Command::Shell
        | Command::Bench(_)
        | Command::Completions { .. }
        | Command::Man => return Ok(None),
        // Whatever was not thought of here needs every kind of administration.
        _ => vec![
            (Manage, Resource::Admin(AdminArea::Maintenance)),
            (Manage, Resource::Admin(AdminArea::Users)),
            (Manage, Resource::Admin(AdminArea::Roles)),
        ],
    };
    Ok(Some(asked))
}

fn topic(name: &str) -> Result<Resource> {
    Ok(Resource::Topic(Topic::new(name)?))
}

/// Writing to a topic; creating it too when it is not there.
fn topic_for_writing(engine: &Engine, name: &str) -> Result<Asked> {
    let resource = topic(name)?;
    let mut asked = vec![(Action::Write, resource.clone())];
    if !engine.topics().iter().any(|(known, _)| known.as_str() == name) {
        asked.push((Action::Manage, resource));
    }
    Ok(asked)
}

/// Creating the default keyspace, when a put will.
fn creation(engine: &Engine, space: &Space) -> Result<Option<(Action, Resource)>> {
    let missing = space.keyspace == "default" && engine.keyspace(&space.keyspace).is_err();
    let name = KeyspaceName::new(&space.keyspace)?;
    Ok(missing.then_some((Action::Manage, Resource::Keyspace(name))))
}

fn range(space: &Space, range: &Range) -> Result<Resource> {
    Ok(keys_of(&KeyspaceName::new(&space.keyspace)?, range)?)
}

fn selected(space: &Space, key: &str, selection: &Selection) -> Result<Resource> {
    range(space, &range_of(key, selection))
}
