//! Argon2id on a bounded part of the blocking pool, with a bounded queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;

use super::Refused;
use super::password::Password;

/// OWASP's first choice for Argon2id, in KiB, passes and lanes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// `Retry-After` of a refusal when the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Hashes passwords.
#[derive(Clone, Debug)]
pub(super) struct Hashing {
    /// Permits to hash or to wait for it.
    queue: Arc<Semaphore>,
    /// Permits to hash.
    slots: Arc<Semaphore>,
    /// Work memory of the free slots. It is kept because the C allocator does not reuse such large
    /// aligned blocks well: after some hundred hashes the process would take a gigabyte.
    memory: Arc<Mutex<Vec<Memory>>>,
    argon2: Argon2<'static>,
}

type Memory = Vec<Block>;

impl Hashing {
    /// Allows `slots` hashes at the same time, and `waiting` more in the queue.
    pub(super) fn new(slots: usize, waiting: usize) -> anyhow::Result<Self> {
        let params = Params::new(MEMORY, PASSES, LANES, None).context("Argon2's parameters")?;
        Ok(Self {
            queue: Arc::new(Semaphore::new(slots.saturating_add(waiting).min(Semaphore::MAX_PERMITS))),
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            memory: Arc::default(),
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        })
    }

    /// Hashes a password with a new salt, and returns the hash in PHC format. Waiting passwords are
    /// hashed in order of arrival; a full queue refuses.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a hash that has begun still finishes and holds its permits until
    /// then, because a blocking thread cannot be aborted.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Refused> {
        let queued = self.queue.clone().try_acquire_owned();
        let queued = queued.map_err(|_| Refused::Busy { retry_after: RETRY_AFTER })?;
        let slot =
            self.slots.clone().acquire_owned().await.context("the hashing is closed").map_err(Refused::Failed)?;
        let this = self.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            let _until_done = (queued, slot);
            this.hash_now(password.bytes())
        });
        let hash = hashing.await.context("hashing a password").map_err(Refused::Failed)?;
        // Its errors concern salts and parameters, and do not repeat the password.
        hash.map_err(|error| Refused::Failed(anyhow::anyhow!("hashing a password: {error}")))
    }

    fn hash_now(&self, password: &[u8]) -> argon2::password_hash::Result<String> {
        let mut memory = self.take_memory();
        let salt = Salt::generate();
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let hashed = self.argon2.hash_password_into_with_memory(password, &salt, &mut output, &mut memory);
        self.give_back(memory);
        hashed?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params())?,
            salt: Some(salt),
            hash: Some(Output::new(&output)?),
        };
        Ok(hash.to_string())
    }

    /// At most one per slot.
    fn take_memory(&self) -> Memory {
        let kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![Block::new(); self.argon2.params().block_count()])
    }

    fn give_back(&self, memory: Memory) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;

    use super::*;

    fn password() -> Password {
        Password::parse("correct horse".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_owasp_parameters_and_a_new_salt() {
        let hashing = Hashing::new(2, 0).unwrap();
        let hash = hashing.hash(password()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hashing.hash(password()).await.unwrap(), hash);
        let parsed = PasswordHash::new(&hash).unwrap();
        Argon2::default().verify_password(b"correct horse", &parsed).unwrap();
        Argon2::default().verify_password(b"correct house", &parsed).unwrap_err();
    }

    #[tokio::test]
    async fn the_memory_is_bounded_by_the_slots() {
        let hashing = Hashing::new(2, 10).unwrap();
        let all: Vec<_> = (0..8)
            .map(|_| {
                let hashing = hashing.clone();
                tokio::spawn(async move { hashing.hash(password()).await })
            })
            .collect();
        for hash in all {
            hash.await.unwrap().unwrap();
        }
        let kept = hashing.memory.lock().unwrap().len();
        assert!((1..=2).contains(&kept), "{kept}");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let hashing = Hashing::new(1, 2).unwrap();
        let under_way: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let hashing = hashing.clone();
                    async move { hashing.hash(password()).await }
                })
            })
            .collect();
        while hashing.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hashing.hash(password()).await, Err(Refused::Busy { .. })));
        for hash in under_way {
            hash.await.unwrap().unwrap();
        }
        hashing.hash(password()).await.unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_waiter_leaves_the_queue() {
        let hashing = Hashing::new(1, 1).unwrap();
        let slot = hashing.slots.clone().acquire_owned().await.unwrap();
        let waiting = tokio::spawn({
            let hashing = hashing.clone();
            async move { hashing.hash(password()).await }
        });
        while hashing.queue.available_permits() > 1 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(hashing.queue.available_permits(), 2);
        drop(slot);
        hashing.hash(password()).await.unwrap();
    }
}
