//! Starting other programs; the output goes where ours goes.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The cargo that started us, so that its pinned toolchain is kept.
pub fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    // What cargo says of this program is not for the build scripts of others: some look at it,
    // and would build again whatever was built without us.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// Runs cargo with these arguments, which must succeed.
pub fn run_cargo(arguments: &[&str]) -> Result<()> {
    run(cargo().args(arguments))
}

/// Runs a program, which must succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Whether a program answers to these arguments; used to find optional tools.
pub fn answers(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        let value = value.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        words.push(format!("{}='{value}'", name.to_string_lossy()));
    }
    let program = command.get_program().to_string_lossy();
    words.push(program.rsplit('/').next().unwrap_or(&program).to_owned());
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// A file that is not in every checkout.
pub fn needs(path: &str, what: &str) -> Result<()> {
    if !std::path::Path::new(path).exists() {
        bail!("{path} is missing: {what}");
    }
    Ok(())
}
