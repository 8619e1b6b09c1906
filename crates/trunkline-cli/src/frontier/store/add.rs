//! Putting URLs on the frontier.

use super::{Store, answered};

impl Store {
    /// Adds those that are not there yet, and returns how many those were. Each is an origin and a
    /// URL of it.
    ///
    /// # Errors
    ///
    /// If the database fails. None of them is there then, or (if it was the answer that was lost)
    /// all.
    pub(in crate::frontier) async fn add(&mut self, origins: &[String], urls: &[String]) -> anyhow::Result<u64> {
        let adding = sqlx::query_scalar::<_, i64>("SELECT trunkline.add($1, $2)").bind(origins).bind(urls);
        let added = answered(adding.fetch_one(&mut self.connection)).await?;
        Ok(added.try_into()?)
    }
}
