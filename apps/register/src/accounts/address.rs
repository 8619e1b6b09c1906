//! E-mail address, as typed and as a unique key.

use std::fmt;

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// Limits of a mailbox and its path, in bytes (RFC 5321 section 4.5.3.1, errata 1690).
const LONGEST: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;

/// E-mail address to which mail can be sent: `local-part@domain`, the local part in ASCII, the
/// domain in any script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    typed: String,
    /// Local part as typed, and domain as in the DNS.
    mailbox: String,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    ///
    /// The text is not an address; the message says why.
    pub fn parse(typed: &str) -> Result<Self, InvalidAddress> {
        if typed.is_empty() {
            return Err(InvalidAddress("must not be empty"));
        }
        if typed.trim() != typed {
            return Err(InvalidAddress("must not begin or end with a space"));
        }
        // Bounds the work of the checks below.
        if typed.len() > 4 * LONGEST {
            return Err(InvalidAddress("must not be longer than 254 characters"));
        }
        let (local, domain) = typed.rsplit_once('@').ok_or(InvalidAddress("must have an @, as in name@example.com"))?;
        check_local_part(local)?;
        let domain = domain_in_ascii(domain)?;
        let mailbox = format!("{local}@{domain}");
        if mailbox.len() > LONGEST {
            return Err(InvalidAddress("must not be longer than 254 characters"));
        }
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        EmailAddress::parse_with_options(&mailbox, options)
            .map_err(|_| InvalidAddress("must be an address, as in name@example.com"))?;
        Ok(Self { typed: typed.to_owned(), mailbox })
    }

    /// Address as typed.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// Unique key of the address: its mailbox in lower case. A server may distinguish local parts
    /// by case, but people do not.
    pub fn key(&self) -> String {
        self.mailbox.to_ascii_lowercase()
    }
}

fn check_local_part(local: &str) -> Result<(), InvalidAddress> {
    if local.is_empty() {
        return Err(InvalidAddress("must have a name before the @"));
    }
    if local.len() > LONGEST_LOCAL_PART {
        return Err(InvalidAddress("must not have more than 64 characters before the @"));
    }
    if !local.is_ascii() {
        // Other local parts need SMTPUTF8 (RFC 6531), which Amazon SES does not offer.
        return Err(InvalidAddress("must be of unaccented Latin letters, digits and signs before the @"));
    }
    // A quoted local part is another spelling of a plain one, or of a mailbox that does not exist.
    if local.contains(|char: char| char.is_whitespace() || char.is_control() || "\"(),:;<>@[\\]".contains(char)) {
        return Err(InvalidAddress("must not have spaces, quotes, brackets, or any of , : ; @ \\ before the last @"));
    }
    Ok(())
}

/// Domain as in the DNS: lower case and Punycode.
fn domain_in_ascii(domain: &str) -> Result<String, InvalidAddress> {
    if domain.starts_with('[') {
        return Err(InvalidAddress("must name a domain after the @, not an IP address"));
    }
    let ascii =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify);
    let ascii = ascii.map_err(|_| InvalidAddress("must have a valid domain after the @, as in name@example.com"))?;
    // No top level domain is a number (RFC 3696 section 2): that is an IP address.
    match ascii.rsplit_once('.') {
        Some((_, top)) if !top.bytes().all(|byte| byte.is_ascii_digit()) => Ok(ascii.into_owned()),
        Some(_) => Err(InvalidAddress("must name a domain after the @, not an IP address")),
        None => Err(InvalidAddress("must have a whole domain after the @, as in name@example.com")),
    }
}

/// Reason why a text is not an address, as a sentence that continues the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAddress(&'static str);

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(typed: &str) -> String {
        Address::parse(typed).unwrap_or_else(|error| panic!("{typed:?} {error}")).key()
    }

    #[test]
    fn an_address_keeps_its_spelling_and_its_key_ignores_case() {
        let address = Address::parse("Jane.Doe+News@Bücher.Example").unwrap();
        assert_eq!(address.as_typed(), "Jane.Doe+News@Bücher.Example");
        assert_eq!(address.key(), "jane.doe+news@xn--bcher-kva.example");
        assert_eq!(key("jane.doe+news@BÜCHER.example"), address.key());
        assert_eq!(key("jane.doe+news@xn--bcher-kva.EXAMPLE"), address.key());
        assert_ne!(key("jane.doe@bücher.example"), address.key());
    }

    #[test]
    fn deliverable_addresses_are_accepted() {
        for typed in [
            "a@b.co",
            "o'hara@example.com",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "x@r3---sn-4g5e.example.com",
            "x@sub.sub.sub.example.com",
            "x@例え.テスト",
            &format!("{}@example.com", "a".repeat(64)),
            &format!("a@{}.{}.{}.com", "b".repeat(63), "c".repeat(63), "d".repeat(63)),
        ] {
            assert_eq!(key(typed).matches('@').count(), 1);
        }
    }

    #[test]
    fn undeliverable_addresses_are_refused() {
        for typed in [
            "",
            "@",
            "jane",
            "jane@",
            "@example.com",
            "jane@localhost",
            "jane@example.com.",
            "jane@example..com",
            "jane@.example.com",
            "jane@-example.com",
            "jane@exa mple.com",
            "jane@example.com ",
            " jane@example.com",
            "ja ne@example.com",
            "jane@[192.0.2.1]",
            "jane@192.0.2.1",
            "Jane <jane@example.com>",
            "<jane@example.com>",
            "jane@example.com,joe@example.com",
            "jane@joe@example.com",
            "\"jane doe\"@example.com",
            "jane.@example.com",
            ".jane@example.com",
            "ja..ne@example.com",
            "jane(work)@example.com",
            "jane@example.com\r\nBcc: joe@example.com",
            "jane\0@example.com",
            "jane@exam\u{200b}ple.com\n",
            "jané@example.com",
            "jane@exa_mple.com",
            "jane@\u{ad}",
            &format!("{}@example.com", "a".repeat(65)),
            &format!("a@{}.com", "b".repeat(64)),
            &format!("{}@{}.{}.{}.com", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(63)),
            &"a".repeat(1_000_000),
            &format!("a@{}", "ü.".repeat(500_000)),
        ] {
            assert!(Address::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn an_error_names_the_fault() {
        let wrong = |typed| Address::parse(typed).unwrap_err().to_string();
        assert!(wrong("jané@example.com").contains("unaccented"));
        assert!(wrong("jane").contains("must have an @"));
        assert!(wrong("jane@example.com ").contains("end with a space"));
        assert!(wrong("jane@exa_mple.com").contains("a valid domain"));
        assert!(wrong("jane@[192.0.2.1]").contains("not an IP address"));
    }

    #[test]
    fn any_text_is_parsed_without_a_panic() {
        const PIECES: [&str; 24] = [
            "a", "Z", "0", ".", "..", "-", "@", "@@", "+", " ", "\t", "\r\n", "\0", "\"", "(", "<", "[", "]", "\\",
            "ü", "ß", "\u{200d}", "\u{301}", "例",
        ];
        for _ in 0..20_000 {
            let mut random = [0_u8; 16];
            getrandom::fill(&mut random).unwrap();
            let length = usize::from(random[0]) % random.len();
            let typed: String = random[..length].iter().map(|&byte| PIECES[usize::from(byte) % PIECES.len()]).collect();
            if let Ok(address) = Address::parse(&typed) {
                assert_eq!(Address::parse(&address.key()).unwrap().key(), address.key(), "{typed:?}");
                assert!(address.key().is_ascii() && address.key().len() <= LONGEST, "{typed:?}");
            }
        }
    }
}
