//! The words after a command: options, numbers, one name. Whatever is left over is refused.

use std::fmt;

/// The caller asked for something that does not exist; the usage is printed and the code is 2.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongUsage(String);

impl WrongUsage {
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub fn missing(what: &str) -> Self {
        Self(format!("{what} is needed"))
    }
}

impl fmt::Display for WrongUsage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// What has not been understood yet.
#[derive(Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Takes a switch such as `--bless-format`.
    pub fn flag(&mut self, name: &str) -> bool {
        let place = self.0.iter().position(|word| word == name);
        place.map(|index| self.0.remove(index)).is_some()
    }

    /// Takes `--name N`, wherever it stands.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, WrongUsage> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse();
        number.map(Some).map_err(|_| WrongUsage(format!("{name}: `{text}` is not a number")))
    }

    /// Takes `--name WORD`, wherever it stands.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, WrongUsage> {
        let Some(index) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        self.0.remove(index);
        if index == self.0.len() {
            return Err(WrongUsage::missing(&format!("a word after {name}")));
        }
        Ok(Some(self.0.remove(index)))
    }

    /// Takes the first word that is not an option.
    pub fn word(&mut self) -> Option<String> {
        let place = self.0.iter().position(|word| !word.starts_with('-'));
        place.map(|index| self.0.remove(index))
    }

    /// Takes everything, to hand it to another program.
    pub fn rest(self) -> Vec<String> {
        self.0
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), WrongUsage> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(WrongUsage(format!("`{word}` was not understood"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_found_in_any_order() {
        for line in ["decode --seconds 3", "--seconds 3 decode"] {
            let mut arguments = of(line);
            assert_eq!(arguments.number("--seconds"), Ok(Some(3)), "{line}");
            assert_eq!(arguments.word().as_deref(), Some("decode"), "{line}");
            assert_eq!(arguments.finish(), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(of("--fast").finish().is_err());
        assert!(of("--seconds").number("--seconds").is_err());
        assert!(of("--seconds soon").number("--seconds").is_err());
        assert_eq!(of("").number("--seconds"), Ok(None));
        assert_eq!(of("--lane keys").text("--lane"), Ok(Some("keys".to_owned())));
        assert!(of("--bless-format").flag("--bless-format"));
    }
}
