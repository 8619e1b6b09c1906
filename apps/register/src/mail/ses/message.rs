//! Request of SES's `SendEmail` for one mail.

use anyhow::anyhow;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};

use super::super::Mail;
use super::unsent::Unsent;

/// Builds the request without sending it.
pub(super) fn request(client: &Client, from: &str, mail: &Mail) -> Result<SendEmailFluentBuilder, Unsent> {
    let impossible = |error: BuildError| Unsent::Refused(error.into());
    let to = Destination::builder().to_addresses(mailable(&mail.to)?).build();
    let tag = MessageTag::builder().name("outbox-id").value(mail.id.to_string()).build().map_err(impossible)?;
    let content = EmailContent::builder().simple(simple(mail).map_err(impossible)?).build();
    Ok(client.send_email().from_email_address(from).destination(to).email_tags(tag).content(content))
}

fn simple(mail: &Mail) -> Result<Message, BuildError> {
    let body = Body::builder().text(utf8(&mail.text)?).html(utf8(&mail.html)?).build();
    let id = MessageHeader::builder().name("X-Outbox-Id").value(mail.id.to_string()).build()?;
    Ok(Message::builder().subject(utf8(&mail.subject)?).body(body).headers(id).build())
}

fn utf8(text: &str) -> Result<Content, BuildError> {
    Content::builder().data(text).charset("UTF-8").build()
}

/// Address in the ASCII form that SES requires, with the domain in Punycode. A local part has no
/// such form.
fn mailable(address: &str) -> Result<String, Unsent> {
    let refused = |why: &str| Unsent::Refused(anyhow!("{why}"));
    let (local, domain) = address.rsplit_once('@').ok_or_else(|| refused("the address has no @"))?;
    if !local.is_ascii() {
        return Err(refused("SES takes only ASCII before the @"));
    }
    let domain = idna::domain_to_ascii(domain)
        .map_err(|_| refused("the address has a domain that cannot be written in ASCII"))?;
    Ok(format!("{local}@{domain}"))
}
