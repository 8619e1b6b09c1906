//! Argon2id on a bounded part of the blocking pool: what a hash costs is paid by so many at a time, and waited for by so many more.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::Refused;
use super::password::Password;

/// OWASP's first choice for Argon2id, in KiB, passes and lanes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What somebody waits who finds the queue full.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Hashes passwords.
#[derive(Clone, Debug)]
pub(super) struct Hashing {
    /// Who hashes or waits to.
    queue: Arc<Semaphore>,
    /// Who hashes.
    slots: Arc<Semaphore>,
    argon2: Argon2<'static>,
}

impl Hashing {
    /// So many at the same time, and so many waiting.
    pub(super) fn new(slots: usize, waiting: usize) -> anyhow::Result<Self> {
        let params = Params::new(MEMORY, PASSES, LANES, None).context("Argon2's parameters")?;
        Ok(Self {
            queue: Arc::new(Semaphore::new(slots.saturating_add(waiting).min(Semaphore::MAX_PERMITS))),
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        })
    }

    /// The hash of a password with a salt of its own, in PHC's format. Whoever comes to a full queue is refused; the rest go in order.
    ///
    /// A hash that nobody waits for any more is finished all the same, and holds its place until it is: a thread cannot be called off.
    pub(super) async fn hash(&self, password: Password) -> Result<String, Refused> {
        let queued = self.queue.clone().try_acquire_owned();
        let queued = queued.map_err(|_| Refused::Busy { retry_after: RETRY_AFTER })?;
        let slot =
            self.slots.clone().acquire_owned().await.context("the hashing is closed").map_err(Refused::Failed)?;
        let argon2 = self.argon2.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            let _until_done = (queued, slot);
            argon2.hash_password(password.bytes()).map(|hash| hash.to_string())
        });
        let hash = hashing.await.context("hashing a password").map_err(Refused::Failed)?;
        // Its errors are about salts and parameters, and do not repeat what was hashed.
        hash.map_err(|error| Refused::Failed(anyhow::anyhow!("hashing a password: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    fn password() -> Password {
        Password::parse("correct horse".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn it_is_argon2id_at_owasps_parameters_with_a_salt_of_its_own() {
        let hashing = Hashing::new(2, 0).unwrap();
        let hash = hashing.hash(password()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hashing.hash(password()).await.unwrap(), hash);
        let parsed = PasswordHash::new(&hash).unwrap();
        Argon2::default().verify_password(b"correct horse", &parsed).unwrap();
        Argon2::default().verify_password(b"correct house", &parsed).unwrap_err();
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
    async fn who_gives_up_waiting_leaves_the_queue() {
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
