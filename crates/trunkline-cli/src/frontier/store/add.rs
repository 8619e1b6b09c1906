//! Query that adds URLs.

use super::{FrontierStore, answered};

impl FrontierStore {
    /// Adds URLs with their origins. Returns the number of URLs that were new.
    ///
    /// # Errors
    ///
    /// The database failed. Then either no URL was added or, if only the answer was lost, all.
    pub(in crate::frontier) async fn add(&mut self, origins: &[String], urls: &[String]) -> anyhow::Result<u64> {
        let adding = sqlx::query_scalar::<_, i64>("SELECT trunkline.add($1, $2)").bind(origins).bind(urls);
        let added = answered(adding.fetch_one(&mut self.connection)).await?;
        Ok(added.try_into()?)
    }
}
