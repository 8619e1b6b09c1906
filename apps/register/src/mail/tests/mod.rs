//! Tests of the mails: content, sending, and failures against fakes of SES.

mod alone;
mod ambient;
mod classes;
mod content;
mod discreet;
mod double;
mod moto;
mod one_pool;
mod ses_v2_local;

use std::time::Duration;

use trunkline::Pool;
use url::Url;
use uuid::Uuid;

use super::{Credentials, Mail, Ses, SesSettings, activation};

const TOKEN: &str = "zv0kB5wGdEXrG3kqfT2mYh8JcUeLxNaPiRsQo7WtKl4";

fn link() -> String {
    format!("https://example.com/activate?token={TOKEN}")
}

fn mail_to(address: &str) -> Mail {
    activation(Uuid::now_v7(), address, &link(), Duration::from_secs(86_400)).unwrap()
}

/// Settings for an SES at this endpoint; it accepts any credentials.
fn settings(endpoint: &str) -> SesSettings {
    SesSettings::development("mail@example.com".to_owned(), Url::parse(endpoint).unwrap())
}

async fn ses(endpoint: &str) -> Ses {
    Ses::open(settings(endpoint), &Pool::new()).await.unwrap()
}
