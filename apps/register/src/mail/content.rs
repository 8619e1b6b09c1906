//! Content of the mails: one text template and one HTML template with the same words.

use std::time::Duration;

use anyhow::{Context as _, Result};
use askama::Template;
use url::Url;
use uuid::Uuid;

use super::Mail;

#[derive(Template)]
#[template(path = "mail/activation.txt")]
struct ActivationText<'a> {
    site: &'a str,
    link: &'a str,
    expires_in: &'a str,
}

#[derive(Template)]
#[template(path = "mail/activation.html")]
struct ActivationHtml<'a> {
    subject: &'a str,
    site: &'a str,
    link: &'a str,
    expires_in: &'a str,
}

#[derive(Template)]
#[template(path = "mail/already_registered.txt")]
struct AlreadyRegisteredText<'a> {
    site: &'a str,
    sign_up_url: &'a str,
}

#[derive(Template)]
#[template(path = "mail/already_registered.html")]
struct AlreadyRegisteredHtml<'a> {
    subject: &'a str,
    site: &'a str,
    sign_up_url: &'a str,
}

/// Mail with the link that activates a new account.
///
/// # Errors
///
/// The link is not a URL with a host. The error does not show it.
pub fn activation(id: Uuid, to: &str, link: &str, expires_in: Duration) -> Result<Mail> {
    let site = &site(link).context("the activation link")?;
    let subject = "Activate your account";
    let expires_in = &in_words(expires_in);
    Ok(Mail {
        id,
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: ActivationText { site, link, expires_in }.render()?,
        html: ActivationHtml { subject, site, link, expires_in }.render()?,
    })
}

/// Mail for an address that is registered again although its account is active.
///
/// # Errors
///
/// The URL is invalid or has no host.
pub fn already_registered(id: Uuid, to: &str, sign_up_url: &str) -> Result<Mail> {
    let site = &site(sign_up_url).context("the address of the sign-up page")?;
    let subject = "You already have an account";
    Ok(Mail {
        id,
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: AlreadyRegisteredText { site, sign_up_url }.render()?,
        html: AlreadyRegisteredHtml { subject, site, sign_up_url }.render()?,
    })
}

/// Name of the service in its mails: its host, with the port unless it is the scheme's default.
fn site(url: &str) -> Result<String> {
    let url = Url::parse(url)?;
    let host = url.host_str().context("it names no host")?;
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Time limit in words, rounded down.
fn in_words(limit: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    let mut seconds = limit.as_secs();
    if seconds >= 2 * HOUR {
        seconds -= seconds % MINUTE;
    }
    let (count, unit) = match seconds {
        s if s >= 2 * DAY && s % DAY == 0 => (s / DAY, "day"),
        s if s >= HOUR && s % HOUR == 0 => (s / HOUR, "hour"),
        s if s >= 2 * MINUTE || s == MINUTE => (s / MINUTE, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_uses_the_largest_unit_that_fits() {
        let told = [
            (0, "0 seconds"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (150, "2 minutes"),
            (3_600, "1 hour"),
            (5_400, "90 minutes"),
            (7_259, "2 hours"),
            (86_400, "24 hours"),
            (129_600, "36 hours"),
            (172_800, "2 days"),
            (604_800, "7 days"),
        ];
        for (seconds, words) in told {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
