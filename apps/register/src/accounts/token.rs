//! Token of an activation link: drawn when the mail is sent, and known to its recipient only.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

/// Random token of 32 bytes. It cannot be guessed, so a plain SHA-256 is enough to store it.
#[derive(Debug)]
pub struct Token(SecretBox<[u8; 32]>);

impl Token {
    /// Draws a new token from the operating system.
    ///
    /// # Panics
    ///
    /// The operating system provides no random numbers. It would fail before anything else works.
    pub fn draw() -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| {
            getrandom::fill(bytes).expect("the operating system gives random numbers");
        }))
    }

    /// Parses the text that [`reveal`](Self::reveal) writes.
    ///
    /// # Errors
    ///
    /// The text is not 43 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let mut bytes = [0; 32];
        // 44 characters would decode to 33 bytes, which do not fit.
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) => Ok(Self(SecretBox::init_with(|| bytes))),
            _ => Err(InvalidToken),
        }
    }

    /// Text for a link: 43 characters of base64url.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret())
    }

    /// SHA-256 digest, which the database stores.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose_secret()).into()
    }
}

/// Error for a text that is not a token. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be the 43 characters from the link in the mail")
    }
}

impl std::error::Error for InvalidToken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_parsed_as_revealed() {
        let token = Token::draw();
        let text = token.reveal();
        assert_eq!(text.len(), 43);
        assert_eq!(Token::parse(&text).unwrap().digest(), token.digest());
        assert_ne!(Token::draw().digest(), token.digest());
    }

    #[test]
    fn any_other_text_is_no_token() {
        let text = Token::draw().reveal();
        let bits_left_over = format!("{}B", "A".repeat(42));
        for wrong in [
            "",
            "A",
            &text[..42],
            &format!("{text}A"),
            &format!("{text}="),
            &format!(" {text}"),
            &bits_left_over,
            &"A".repeat(1 << 20),
            "ü",
        ] {
            assert!(Token::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn debug_does_not_show_it() {
        let token = Token::draw();
        let shown = format!("{token:?}");
        assert!(!shown.contains(&token.reveal()) && !shown.contains(", "), "{shown}");
    }

    #[test]
    fn the_digest_is_sha_256() {
        let token = Token::parse(&"A".repeat(43)).unwrap();
        let hex: String = token.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
    }
}
