//! `shell`: commands one after another, with history and completion.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Result;
use clap::FromArgMatches;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Context, Editor, Helper, Highlighter, Hinter, Validator};

use crate::cli::{Cli, Command};

/// Completes the first word of a line.
#[derive(Helper, Highlighter, Hinter, Validator)]
struct Commands {
    names: Vec<String>,
}

impl Completer for Commands {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..position).unwrap_or_default();
        if typed.contains(' ') {
            return Ok((position, Vec::new()));
        }
        let fits = self.names.iter().filter(|name| name.starts_with(typed));
        let pair = |name: &String| Pair { display: name.clone(), replacement: format!("{name} ") };
        Ok((0, fits.map(pair).collect()))
    }
}

/// Reads commands until the input ends. A command that fails does not end the shell.
pub fn run(cli: &Cli, out: &mut impl Write) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        for text in std::io::stdin().lock().lines() {
            one(cli, &text?, out)?;
        }
        return Ok(());
    }
    let names = Cli::grammar().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let mut editor: Editor<Commands, DefaultHistory> = Editor::new()?;
    editor.set_helper(Some(Commands { names }));
    writeln!(out, "{}: `help` lists the commands, `exit` or ctrl-d ends", cli.store.display())?;
    loop {
        match editor.readline("cairn> ") {
            Ok(text) => {
                editor.add_history_entry(&text)?;
                if matches!(text.trim(), "exit" | "quit") {
                    return Ok(());
                }
                one(cli, &text, out)?;
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs one line; what goes wrong is printed.
fn one(shell: &Cli, text: &str, out: &mut impl Write) -> Result<()> {
    let words = match words(text) {
        Ok(words) if words.is_empty() => return Ok(()),
        Ok(words) => words,
        Err(why) => {
            anstream::eprintln!("cairn: {why}");
            return Ok(());
        }
    };
    let line = std::iter::once("cairn".to_owned()).chain(words);
    let parsed = Cli::grammar().try_get_matches_from(line);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(Cli { command: Command::Shell, .. }) => {
            anstream::eprintln!("cairn: this is the shell");
        }
        Ok(parsed) => {
            let cli = Cli {
                store: shell.store.clone(),
                json: shell.json || parsed.json,
                durability: shell.durability,
                quota_bytes: shell.quota_bytes,
                min_free_bytes: shell.min_free_bytes,
                access: shell.access.clone(),
                command: parsed.command,
            };
            if let Err(error) = super::run_into(&cli, out) {
                out.flush()?;
                anstream::eprintln!("cairn: {error:#}");
            }
        }
        // Help, too, comes this way.
        Err(error) => error.print()?,
    }
    Ok(out.flush()?)
}

/// Splits a line into words; single and double quotes hold spaces.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            words(r#"put "a key" 'it''s' """#),
            Ok(vec!["put".into(), "a key".into(), "its".into(), String::new()])
        );
        assert_eq!(words("  "), Ok(vec![]));
        assert!(words("put 'open").is_err());
    }
}
