//! Accounts and registration: requests, mails and activation. Knows neither HTTP nor SQL.
//!
//! - A registration takes an address and a password. It makes a *request*, and a mail to the
//!   address.
//! - The mail holds a *token*. The token activates the request, which makes its password the
//!   password of the account.
//! - Each registration makes a new request with its own password, so a repeated registration never
//!   alters another. Activating one request ends the other requests of the same address.
//! - The mail to an address with an account says that the account exists. The client sees no
//!   difference: the response is the same, and so is the work, which is a hash and one transaction
//!   with the same statements.
//! - Mails to one address keep an interval: a mail that would come earlier becomes due at the end
//!   of the interval. A limit per address, known or unknown, bounds the number of mails.

mod address;
mod hashing;
mod password;
mod token;

use std::time::Duration;

pub use self::address::{Address, InvalidAddress};
use self::hashing::Hashing;
pub use self::password::{InvalidPassword, Password};
pub use self::token::{InvalidToken, Token};
use crate::settings::Limit;
use crate::store::{Activated, Registration, SignUpLimits, Store, TooOften, answered};

/// Accounts of the service. A clone is a handle to the same.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Store,
    hashing: Hashing,
    limits: SignUpLimits,
}

/// Settings of accounts.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// Maximum number of passwords hashed at the same time.
    pub hashers: usize,
    /// Maximum number of passwords that wait to be hashed.
    pub hash_queue: usize,
    /// Minimum time between two mails to one address.
    pub mail_interval: Duration,
    /// Limit of registrations and resend requests per address.
    pub address_limit: Limit,
}

/// Reason why a registration is refused.
#[derive(Debug)]
pub enum Refused {
    /// The address, known or unknown, has reached its limit.
    TooOften {
        /// Time until the next registration is allowed.
        retry_after: Duration,
    },
    /// Too many passwords are waiting to be hashed.
    Busy {
        /// Time after which a retry is worthwhile.
        retry_after: Duration,
    },
    /// The database or the hashing failed.
    Failed(anyhow::Error),
}

/// Result of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The account is active, with the password of this token's request.
    Done,
    /// The token was valid once. It has expired, or the account has been activated by it or by
    /// another token.
    Gone,
    /// There is no such token.
    Unknown,
}

impl Accounts {
    /// Creates accounts in this store.
    ///
    /// # Errors
    ///
    /// The hashing cannot be set up.
    pub fn new(store: Store, settings: &AccountSettings) -> anyhow::Result<Self> {
        let hashing = Hashing::new(settings.hashers, settings.hash_queue)?;
        let limits = SignUpLimits { mail_interval: settings.mail_interval, address_limit: settings.address_limit };
        Ok(Self { store, hashing, limits })
    }

    /// Stores a registration. When it returns, the request and its mail are in the database.
    ///
    /// # Errors
    ///
    /// The registration is refused. Nothing has been stored then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the request has been stored completely or not at all.
    pub async fn register(&self, address: Address, password: Password) -> Result<(), Refused> {
        // Hashes for every address, so that the duration reveals nothing, and before the
        // transaction, so that no connection is held meanwhile.
        let hash = self.hashing.hash(password).await?;
        let (key, typed) = (address.key(), address.as_typed());
        let registration = Registration { typed, key: &key, password_hash: &hash };
        taken(answered(self.store.register(&registration, &self.limits)).await)
    }

    /// Queues another mail for the latest request of an address. An address with an account gets
    /// the notice that it has one; an unknown address gets no mail. The result is the same for all
    /// three.
    ///
    /// # Errors
    ///
    /// The registration is refused. Nothing has been stored then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the request has been stored completely or not at all.
    pub async fn resend(&self, address: Address) -> Result<(), Refused> {
        taken(answered(self.store.resend(&address.key(), &self.limits)).await)
    }

    /// Activates the account of this token.
    ///
    /// # Errors
    ///
    /// The database fails, or does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the activation has happened completely or not at all.
    pub async fn activate(&self, token: &Token) -> anyhow::Result<Activation> {
        Ok(match answered(self.store.activate(&token.digest())).await? {
            Activated::Now => Activation::Done,
            Activated::Over => Activation::Gone,
            Activated::Never => Activation::Unknown,
        })
    }
}

fn taken(result: anyhow::Result<Result<(), TooOften>>) -> Result<(), Refused> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(TooOften { retry_after })) => Err(Refused::TooOften { retry_after }),
        Err(error) => Err(Refused::Failed(error)),
    }
}
