//! Where master keys come from: files, the environment, and commands that ask a key service.

use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cairndb::auth::{CommandKey, GivenKey, KeyProvider, Secret};

use super::secrets;
use crate::cli::auth::Access;

const ENCRYPTION_KEY: &str = "CAIRN_ENCRYPTION_KEY";

/// Longest answer of a command that is read.
const ANSWER_LEN_MAX: u64 = 1024;

/// The keys that open an encrypted store: from files, from a command, from the environment.
pub fn encryption_keys(access: &Access) -> Result<Vec<GivenKey>> {
    let mut keys = Vec::new();
    for path in &access.encryption_key_file {
        keys.push(secrets::master_key_in(path)?);
    }
    if let Some(command) = &access.encryption_key_command {
        keys.push(master_key_of(command)?);
    }
    if keys.is_empty()
        && let Ok(text) = std::env::var(ENCRYPTION_KEY)
    {
        keys.push(GivenKey::from_text(&text)?);
    }
    Ok(keys)
}

/// The master key that a command prints.
pub fn master_key_of(command: &str) -> Result<GivenKey> {
    let asked = command.to_owned();
    let provider = CommandKey::new(move || ask(&asked).map_err(|error| format!("{error:#}")));
    Ok(GivenKey::from(provider.master_key()?))
}

/// Runs a command in a shell and reads what it prints. Its complaints go where ours go.
fn ask(command: &str) -> Result<Secret> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("the command that gives the key")?;
    let mut answer = Vec::new();
    let mut output = child.stdout.take().context("it has no output")?.take(ANSWER_LEN_MAX + 1);
    let read = output.read_to_end(&mut answer);
    let answer = Secret::from(answer);
    // A command that prints on is told so by a closed pipe.
    drop(output);
    let status = child.wait().context("the command that gives the key")?;
    read.context("its answer")?;
    if !status.success() {
        bail!("the command that gives the key failed: {status}");
    }
    Ok(answer)
}
