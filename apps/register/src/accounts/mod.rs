//! Accounts and registration: requests, mails and activation. Knows neither HTTP nor SQL.
//!
//! - To register takes an address and a password. It makes a *request*, and a mail to the address.
//! - The mail holds a *token*. Who has it can activate the request, which makes its password the
//!   account's.
//! - Each registration is a request of its own with a password of its own, so a repeated one never
//!   alters another, whoever's it is. Activating one ends the others of the same address.
//! - The mail to an address with an account says that it has one. The client sees no difference:
//!   the response is the same, and so is the work: a hash, and one transaction with the same
//!   statements.
//! - Mails to one address keep an interval: a mail that would come too early becomes due when it is
//!   over. A limit for each address, known or not, bounds how many there can be.

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

/// The accounts. A clone is a handle to the same.
#[derive(Clone, Debug)]
pub struct Accounts {
    store: Store,
    hashing: Hashing,
    limits: SignUpLimits,
}

/// Settings of accounts.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// Passwords being hashed at the same time.
    pub hashers: usize,
    /// Passwords waiting to be hashed.
    pub hash_queue: usize,
    /// The least time between two mails to one address.
    pub mail_interval: Duration,
    /// Registrations and requests for another mail with one address.
    pub address_limit: Limit,
}

/// The reason why a registration is refused.
#[derive(Debug)]
pub enum Refused {
    /// There were too many with this address, whether it is known or not.
    TooOften {
        /// The time until the next one is allowed.
        retry_after: Duration,
    },
    /// Too many passwords are waiting to be hashed.
    Busy {
        /// The time after which another try is worthwhile.
        retry_after: Duration,
    },
    /// It could not be done.
    Failed(anyhow::Error),
}

/// The result of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The account is active, with the password of this token's request.
    Done,
    /// The token was good once: it has expired, or the account has been activated by it or by
    /// another.
    Gone,
    /// There is no such token.
    Unknown,
}

impl Accounts {
    /// Accounts in this store.
    ///
    /// # Errors
    ///
    /// If the hashing cannot be set up.
    pub fn new(store: Store, settings: &AccountSettings) -> anyhow::Result<Self> {
        let hashing = Hashing::new(settings.hashers, settings.hash_queue)?;
        let limits = SignUpLimits { mail_interval: settings.mail_interval, address_limit: settings.address_limit };
        Ok(Self { store, hashing, limits })
    }

    /// Takes a registration: when it returns, the request and the mail that follows from it are in
    /// the database.
    ///
    /// # Errors
    ///
    /// If it is refused. Nothing has been stored then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has been taken whole or not at all.
    pub async fn register(&self, address: Address, password: Password) -> Result<(), Refused> {
        // Always, and before the transaction: what it takes tells nothing, and no connection is
        // held meanwhile.
        let hash = self.hashing.hash(password).await?;
        let (key, typed) = (address.key(), address.as_typed());
        let registration = Registration { typed, key: &key, password_hash: &hash };
        taken(answered(self.store.register(&registration, &self.limits)).await)
    }

    /// Sends another mail for the latest request of an address; to one that has an account, that it
    /// has one; to an unknown one, nothing. What is returned does not tell which.
    ///
    /// # Errors
    ///
    /// If it is refused. Nothing has been stored then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has been taken whole or not at all.
    pub async fn resend(&self, address: Address) -> Result<(), Refused> {
        taken(answered(self.store.resend(&address.key(), &self.limits)).await)
    }

    /// Activates the account that this token is for.
    ///
    /// # Errors
    ///
    /// If the database fails, or does not answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has been done whole or not at all.
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
