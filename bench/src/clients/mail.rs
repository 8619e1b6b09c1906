//! Mails by Amazon SES, as apps/register sends them: over a shared session, or with a new client or
//! session for each mail.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use register::mail::{Mail, Ses, SesSettings, activation};
use tokio::sync::OnceCell;
use trunkline::Pool;
use uuid::Uuid;

use crate::plan::Plan;
use crate::workload;

/// Objects that are created for each mail.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum PerMail {
    Nothing,
    /// The SDK client, over the shared session.
    Client,
    /// The session and the SDK client.
    Session,
}

#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    per_mail: PerMail,
    ca: Vec<u8>,
    settings: SesSettings,
    mail: Mail,
    pool: Pool,
    ses: OnceCell<Ses>,
}

impl Client {
    pub(crate) fn new(plan: &Plan, per_mail: PerMail) -> Result<Self> {
        let ca = plan.ca()?.context("ca=… is missing")?;
        let from = "register@example.com".to_owned();
        let link = "https://example.com/activate?token=EREREREREREREREREREREREREREREREREREREREREQE";
        let a_day = std::time::Duration::from_secs(24 * 60 * 60);
        Ok(Self(Arc::new(Shared {
            per_mail,
            settings: SesSettings::development(from, plan.url().parse()?),
            mail: activation(Uuid::from_u128(7), "user@example.com", link, a_day)?,
            pool: pool(&ca)?,
            ca,
            ses: OnceCell::new(),
        })))
    }
}

fn pool(ca: &[u8]) -> Result<Pool> {
    Ok(Pool::builder().add_root_certificate(ca).build()?)
}

impl Shared {
    async fn open(&self, pool: &Pool) -> Result<Ses> {
        Ses::open(self.settings.clone(), pool).await
    }

    /// Sends the mail and returns its message id.
    async fn send(&self, ses: &Ses) -> Result<String> {
        ses.send(&self.mail).await.map_err(|unsent| anyhow!("{unsent:?}"))
    }
}

impl workload::Client for Client {
    async fn get(&self, _: &'static str) -> Result<usize> {
        let this = &self.0;
        let id = match this.per_mail {
            PerMail::Nothing => this.send(this.ses.get_or_try_init(|| this.open(&this.pool)).await?).await?,
            PerMail::Client => this.send(&this.open(&this.pool).await?).await?,
            PerMail::Session => {
                let pool = pool(&this.ca)?;
                let id = this.send(&this.open(&pool).await?).await?;
                pool.close().await;
                id
            }
        };
        Ok(id.len())
    }

    async fn read(&self, _: &'static str) -> Result<u64> {
        Err(anyhow!("a mail has no body to read"))
    }
}
