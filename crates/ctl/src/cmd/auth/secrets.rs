//! Where secrets come from and where they go: never from an argument, never to a place that
//! others can read, and out only once.

use std::fs::OpenOptions;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cairndb::auth::{GivenKey, MasterKey, Secret};
use cairndb::vfs::{OsRng, Rng, SilentTerminal};
use serde_json::{Value, json};

pub use super::sources::master_key_of;
use crate::cli::Cli;
use crate::cli::auth::{Access, Out, Password};
use crate::cmd::line;

/// Longest secret that is read.
const SECRET_LEN_MAX: u64 = 4096;
const MASTER_KEY: &str = "CAIRN_MASTER_KEY";
const CREDENTIAL: &str = "CAIRN_CREDENTIAL";

/// The master key: from its file, else from the environment.
pub fn master_key(access: &Access) -> Result<GivenKey> {
    if let Some(path) = &access.master_key_file {
        return master_key_in(path);
    }
    if let Some(command) = &access.master_key_command {
        return master_key_of(command);
    }
    match std::env::var(MASTER_KEY) {
        Ok(text) => Ok(GivenKey::from_text(&text)?),
        Err(_) => bail!(
            "the master key is needed: --master-key-file, --master-key-command, their variables, or {MASTER_KEY} (`cairn auth new-key` makes one)"
        ),
    }
}

/// The master key in a file.
pub fn master_key_in(path: &Path) -> Result<GivenKey> {
    let content = read_file(path)?;
    Ok(GivenKey::from(MasterKey::from_content(content.expose())?))
}

/// A new master key as text.
pub fn new_master_key() -> Secret {
    let mut bytes = [0_u8; 32];
    OsRng.fill(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.into()
}

/// The caller's API key or session token: from its file, else from the environment.
pub fn credential(access: &Access) -> Result<Secret> {
    if let Some(path) = &access.credential_file {
        return Ok(trimmed(&read_file(path)?));
    }
    match std::env::var(CREDENTIAL) {
        Ok(text) => Ok(text.trim().into()),
        Err(_) => Err(cairndb::engine::Error::Denied {
            what: format!(
                "auth is enabled; give an API key or a session's token by --credential-file, CAIRN_CREDENTIAL_FILE or {CREDENTIAL}"
            ),
        }
        .into()),
    }
}

fn read_file(path: &Path) -> Result<Secret> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut content = Vec::new();
    file.take(SECRET_LEN_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > SECRET_LEN_MAX {
        bail!("{} is too long for a secret", path.display());
    }
    Ok(content.into())
}

/// Without the line's end that editors and `echo` leave.
fn trimmed(secret: &Secret) -> Secret {
    let bytes = secret.expose();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes).into()
}

/// A password that is to be checked.
pub fn password(name: &str, source: &Password) -> Result<Secret> {
    given(source)?.map_or_else(|| asked(&format!("password of {name}: ")), Ok)
}

/// A password that is to be set; asked for twice on a terminal.
pub fn new_password(name: &str, source: &Password) -> Result<Secret> {
    if let Some(password) = given(source)? {
        return Ok(password);
    }
    let first = asked(&format!("new password of {name}: "))?;
    if std::io::stdin().is_terminal() && asked("again: ")? != first {
        bail!("the two are not the same");
    }
    Ok(first)
}

fn given(source: &Password) -> Result<Option<Secret>> {
    match source.password_file.as_deref() {
        None => Ok(None),
        Some(path) if path == Path::new("-") => read_line().map(Some),
        Some(path) => Ok(Some(trimmed(&read_file(path)?))),
    }
}

/// Asks on the terminal without showing what is typed; reads a line when there is none.
fn asked(prompt: &str) -> Result<Secret> {
    if !std::io::stdin().is_terminal() {
        return read_line();
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{prompt}")?;
    stderr.flush()?;
    let secret = {
        let _silent = SilentTerminal::begin()?;
        read_line()
    };
    writeln!(stderr)?;
    secret
}

fn read_line() -> Result<Secret> {
    let mut text = Vec::new();
    let got = std::io::stdin().lock().take(SECRET_LEN_MAX).read_until(b'\n', &mut text)?;
    if got == 0 {
        bail!("the input ended before a password came");
    }
    Ok(trimmed(&text.into()))
}

/// Hands out a secret that cannot be shown again: to a new file that only its owner may read,
/// or to the output with a word of warning.
pub fn show_once(
    cli: &Cli,
    what: &str,
    secret: &Secret,
    to: &Out,
    mut facts: Value,
    out: &mut impl Write,
) -> Result<()> {
    let text = secret.expose_str().context("a secret made here is text")?;
    if let Some(path) = &to.out {
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        let mut file = options.open(path).with_context(|| path.display().to_string())?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        if cli.json {
            facts["file"] = json!(path.display().to_string());
            return line(out, facts);
        }
        return line(out, format!("{what} written to {}", path.display()));
    }
    if cli.json {
        facts["secret"] = json!(text);
        facts["shown_once"] = json!(true);
        return line(out, facts);
    }
    line(out, text)?;
    out.flush()?;
    anstream::eprintln!("cairn: this {what} is shown once and cannot be shown again; keep it now");
    Ok(())
}
