//! Password as typed. It is never shown, and its memory is wiped on drop.

use std::fmt;

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// The most common passwords of at least 8 bytes, from leaked lists: one per line, in lower case.
const COMMONEST: &str = include_str!("commonest.txt");

/// Password that passed the checks.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// Accepts a password of 8 to 1024 bytes that is not one of the most common. All bytes count,
    /// spaces too.
    ///
    /// # Errors
    ///
    /// The password is refused. The error names the reason without the password, whose memory is
    /// wiped.
    pub fn parse(mut typed: String) -> Result<Self, InvalidPassword> {
        match check(&typed) {
            Ok(()) => Ok(Self(typed.into())),
            Err(wrong) => {
                typed.zeroize();
                Err(wrong)
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

fn check(typed: &str) -> Result<(), InvalidPassword> {
    match typed.len() {
        ..SHORTEST => Err(InvalidPassword("must be at least 8 bytes long")),
        SHORTEST..=LONGEST if is_common(typed) => {
            Err(InvalidPassword("must not be one of the commonest, which are tried first"))
        }
        SHORTEST..=LONGEST => Ok(()),
        _ => Err(InvalidPassword("must be at most 1024 bytes long")),
    }
}

/// True for a common password in any case, and for one repeated character.
fn is_common(typed: &str) -> bool {
    let mut chars = typed.chars();
    let first = chars.next();
    chars.all(|char| Some(char) == first) || COMMONEST.lines().any(|common| common.eq_ignore_ascii_case(typed))
}

/// Reason why a text is refused as a password, as a sentence that continues the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPassword(&'static str);

impl fmt::Display for InvalidPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidPassword {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_8_to_1024_bytes_are_accepted_unchanged() {
        for typed in ["8 bytes!", "пароль", "correct horse battery staple", &"ab".repeat(512), "\0\u{1}\n\t    "]
        {
            assert_eq!(Password::parse(typed.to_owned()).unwrap().bytes(), typed.as_bytes());
        }
        for typed in ["", "7 bytes", &"ab".repeat(513)] {
            assert!(Password::parse(typed.to_owned()).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn the_commonest_passwords_are_refused_in_any_case() {
        for typed in ["password", "Password1", "12345678", "QWERTYUIOP", "aaaaaaaaaaaa", "        ", "ééééé"] {
            let wrong = Password::parse(typed.to_owned()).unwrap_err().to_string();
            assert!(wrong.contains("commonest") && !wrong.contains(typed), "{typed:?}: {wrong}");
        }
    }

    #[test]
    fn the_list_has_valid_unique_passwords() {
        let mut lines: Vec<_> = COMMONEST.lines().collect();
        assert!(
            lines.iter().all(|line| line.len() >= SHORTEST && *line == line.to_lowercase() && *line == line.trim())
        );
        let count = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), count);
    }

    #[test]
    fn debug_does_not_show_it() {
        assert!(!format!("{:?}", Password::parse("correct horse".to_owned()).unwrap()).contains("correct"));
    }
}
