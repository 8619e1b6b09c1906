//! Where the password comes from: a file, the environment, or whoever sits at the terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};

use super::terminal::Restored;
use crate::ending::Unusable;

/// The largest file that is taken for one with a password.
const LARGEST: u64 = 64 * 1024;

/// A password, or that it is to be asked for. It has no `Debug`.
pub(super) enum Password {
    Given(String),
    Asked,
}

impl Password {
    /// # Errors
    ///
    /// The file cannot be read, or the environment has no such variable.
    pub(super) fn read(file: Option<&Path>, variable: Option<&str>) -> anyhow::Result<Self> {
        match (file, variable) {
            (Some(file), _) => {
                from_file(file).with_context(|| format!("cannot take the password from {file:?}")).map(Self::Given)
            }
            (None, Some(variable)) => from_environment(variable).map(Self::Given),
            (None, None) => Ok(Self::Asked),
        }
    }

    /// The password; `place` is what it is asked for.
    ///
    /// # Errors
    ///
    /// There is no terminal to ask on, or nothing was entered.
    ///
    /// # Cancel safety
    ///
    /// The terminal is as it was.
    pub(super) async fn get(self, place: &str) -> anyhow::Result<String> {
        match self {
            Self::Given(password) => Ok(password),
            Self::Asked => ask(format!("Password for {place}: ")).await,
        }
    }

    /// The form has no field for it.
    pub(super) fn not_wanted(self) -> anyhow::Result<()> {
        match self {
            Self::Given(_) => Err(Unusable::error("the form has no field for a password, and one was given")),
            Self::Asked => Ok(()),
        }
    }
}

fn from_file(path: &Path) -> anyhow::Result<String> {
    let reader: Box<dyn Read> = if path == Path::new("-") {
        ensure!(
            !io::stdin().is_terminal(),
            "standard input is the terminal, which would show it: leave the option out to be asked"
        );
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let mut text = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut text)?;
    ensure!(text.len() as u64 <= LARGEST, "it is larger than {} KiB, which no password is", LARGEST / 1024);
    let text = String::from_utf8(text).map_err(|_| anyhow!("it is not UTF-8 text"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    ensure!(!line.is_empty(), "it is empty");
    ensure!(!line.contains(['\n', '\r']), "it has several lines, and a password is one");
    Ok(line.to_owned())
}

/// Not even the name is told: it may be the password itself, by mistake.
fn from_environment(variable: &str) -> anyhow::Result<String> {
    let named = !variable.is_empty() && !variable.contains(['=', '\0']);
    let value = named.then(|| std::env::var_os(variable)).flatten();
    let Some(value) = value else {
        bail!(
            "--password-env wants the name of an environment variable that is set (not the password), and this is none"
        );
    };
    let value = value.into_string().map_err(|_| anyhow!("the variable of --password-env is not UTF-8 text"))?;
    ensure!(!value.is_empty(), "the variable of --password-env is empty");
    Ok(value)
}

/// Asks on the terminal itself, whatever standard input and output are.
async fn ask(prompt: String) -> anyhow::Result<String> {
    let terminal = Restored::on_drop();
    let asked = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt)).await?;
    drop(terminal);
    match asked {
        Ok(password) if password.is_empty() => Err(anyhow!("no password was entered")),
        Ok(password) => Ok(password),
        // Ctrl-C: the signal that it makes of it is on its way, and ends this.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => std::future::pending().await,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(anyhow!("no password was entered")),
        Err(error) => Err(Unusable::error(format!(
            "there is no terminal to ask for the password on ({error}): use --password-file or --password-env"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_password_for_its_only_line() {
        let path = std::env::temp_dir().join(format!("trunkline-password-{}", std::process::id()));
        for (content, password) in [
            ("s3cret", Some("s3cret")),
            (" s3 cret \n", Some(" s3 cret ")),
            ("s3cret\r\n", Some("s3cret")),
            ("", None),
            ("\n", None),
            ("one\ntwo\n", None),
            ("one\n\n", None),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).ok().as_deref(), password, "{content:?}");
        }
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        from_file(&path).unwrap_err();
        std::fs::write(&path, b"\xFF").unwrap();
        from_file(&path).unwrap_err();
        std::fs::remove_file(path).unwrap();
    }
}
