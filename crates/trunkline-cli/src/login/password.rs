//! Password from a file, from the environment, or from a prompt on the terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};

use super::terminal::TerminalGuard;
use crate::exit::UsageError;

/// Largest password file, in bytes.
const LARGEST: u64 = 64 * 1024;

/// A password, or the choice to prompt for it. It has no `Debug`, which would show the password.
pub(super) enum Password {
    Known(String),
    Prompt,
}

impl Password {
    /// # Errors
    ///
    /// The file cannot be read, or the environment has no such variable.
    pub(super) fn read(file: Option<&Path>, variable: Option<&str>) -> anyhow::Result<Self> {
        match (file, variable) {
            (Some(file), _) => {
                from_file(file).with_context(|| format!("cannot take the password from {file:?}")).map(Self::Known)
            }
            (None, Some(variable)) => from_environment(variable).map(Self::Known),
            (None, None) => Ok(Self::Prompt),
        }
    }

    /// Returns the password. A prompt names `place`.
    ///
    /// # Errors
    ///
    /// There is no terminal for the prompt, or nothing was entered.
    ///
    /// # Cancel safety
    ///
    /// The terminal's settings are restored.
    pub(super) async fn get(self, place: &str) -> anyhow::Result<String> {
        match self {
            Self::Known(password) => Ok(password),
            Self::Prompt => ask(format!("Password for {place}: ")).await,
        }
    }

    /// Checks that no password was given for a form without a field for it.
    ///
    /// # Errors
    ///
    /// A password was given.
    pub(super) fn ensure_none(self) -> anyhow::Result<()> {
        match self {
            Self::Known(_) => Err(UsageError::with_message("the form has no field for a password, and one was given")),
            Self::Prompt => Ok(()),
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
    ensure!(!line.contains(['\n', '\r']), "it has several lines, and a password has one");
    Ok(line.to_owned())
}

/// Reads the variable. No message repeats the name: it may be the password itself, by mistake.
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

/// Prompts on the terminal itself, even if standard input and output are redirected.
async fn ask(prompt: String) -> anyhow::Result<String> {
    let terminal = TerminalGuard::on_drop();
    let asked = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt)).await?;
    drop(terminal);
    match asked {
        Ok(password) if password.is_empty() => Err(anyhow!("no password was entered")),
        Ok(password) => Ok(password),
        // Ctrl-C: its signal arrives next and ends the command.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => std::future::pending().await,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(anyhow!("no password was entered")),
        Err(error) => Err(UsageError::with_message(format!(
            "there is no terminal to prompt for the password ({error}): use --password-file or --password-env"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_has_one_line() {
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
