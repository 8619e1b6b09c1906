//! Random concurrent operations: the counters are right at any moment, and no deadlock occurs.

use std::collections::HashMap;

use sqlx::PgConnection;
use tokio::task::JoinSet;

use super::support::Frontier;
use crate::support::soak;

const HOSTS: u64 = 5;
const LIMIT: i32 = 3;

/// Simulated worker, which randomly dies and rejoins.
struct SimulatedWorker {
    connection: PgConnection,
    random: u64,
    key: i64,
    id: i64,
    held: Vec<i64>,
}

impl SimulatedWorker {
    /// xorshift64
    fn roll(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % sides
    }

    /// Takes a random part of the held leases.
    fn some(&mut self) -> Vec<i64> {
        let all = std::mem::take(&mut self.held);
        let (some, rest) = all.into_iter().partition(|_| self.roll(2) == 0);
        self.held = rest;
        some
    }

    async fn step(&mut self) -> sqlx::Result<()> {
        match self.roll(20) {
            0..8 => self.claim().await,
            8..14 => {
                let some = self.some();
                self.settle(some).await
            }
            14 => {
                self.some();
                self.join().await
            }
            15 => {
                // The lease ends, and the worker goes on without noticing.
                let over = sqlx::query("UPDATE trunkline.workers SET until = 'epoch' WHERE id = $1").bind(self.id);
                over.execute(&mut self.connection).await.map(drop)
            }
            16 => {
                self.held.clear();
                let leaving = sqlx::query("SELECT trunkline.leave($1)").bind(self.id);
                leaving.execute(&mut self.connection).await?;
                self.join().await
            }
            17 => {
                let retrying = "SELECT trunkline.retry('{}', '{}', clock_timestamp(), 10)";
                sqlx::query(retrying).execute(&mut self.connection).await.map(drop)
            }
            _ => self.add().await,
        }
    }

    async fn join(&mut self) -> sqlx::Result<()> {
        let joining =
            sqlx::query_scalar("SELECT trunkline.join('hand', $1, '60 s', $2)").bind(self.key).bind(&self.held);
        self.id = joining.fetch_one(&mut self.connection).await?;
        Ok(())
    }

    async fn claim(&mut self) -> sqlx::Result<()> {
        let room = i32::try_from(self.roll(8)).unwrap();
        let claiming = "SELECT id FROM trunkline.claim($1, '60 s', $2, $3, '0', false)";
        let claiming = sqlx::query_scalar::<_, i64>(claiming).bind(self.id).bind(room).bind(LIMIT);
        self.held.extend(claiming.fetch_all(&mut self.connection).await?);
        // After the end of its lease it may have claimed the same URLs again.
        self.held.sort_unstable();
        self.held.dedup();
        Ok(())
    }

    async fn settle(&mut self, ids: Vec<i64>) -> sqlx::Result<()> {
        let outcomes: Vec<_> = ids.iter().map(|_| ["done", "failed", "later", "back"][self.roll(4) as usize]).collect();
        let settling = "
            SELECT trunkline.settle($1, array_agg(id), array_agg(outcome), array_agg(200::smallint), array_agg(5::bigint),
                   array_agg('told'::text), array_agg(1::bigint), array_agg(0::bigint), array_agg(NULL::bigint), array_agg(NULL::bigint))
            FROM unnest($2::bigint[], $3::text[]) AS said (id, outcome)";
        let settling = sqlx::query(settling).bind(self.id).bind(ids).bind(outcomes);
        settling.execute(&mut self.connection).await.map(drop)
    }

    async fn add(&mut self) -> sqlx::Result<()> {
        let urls: Vec<_> =
            (0..20).map(|_| (format!("http://{}.example", self.roll(HOSTS)), self.roll(2_000))).collect();
        let origins: Vec<_> = urls.iter().map(|(origin, _)| origin.clone()).collect();
        let urls: Vec<_> = urls.iter().map(|(origin, page)| format!("{origin}/{page}")).collect();
        sqlx::query("SELECT trunkline.add($1, $2)")
            .bind(origins)
            .bind(urls)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }
}

/// Hosts with wrong counters, or with more leases than the limit.
const WRONG: &str = "
    SELECT row(hosts.*, there.*)::text FROM trunkline.hosts LEFT JOIN (
        SELECT host_id, count(*) FILTER (WHERE state = 'leased') AS leased, count(*) FILTER (WHERE state = 'done') AS done,
               count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'queued') AS queued
        FROM trunkline.urls GROUP BY host_id
    ) AS there ON host_id = hosts.id
    WHERE hosts.leased <> coalesce(there.leased, 0) OR hosts.done <> coalesce(there.done, 0)
        OR hosts.failed <> coalesce(there.failed, 0) OR hosts.leased > 3
        -- A queued host that no worker would ever claim from.
        OR there.queued > 0 AND there.leased < 3 AND look_at = 'infinity'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_right_under_random_concurrency() {
    let frontier = Frontier::new().await;
    assert_eq!(frontier.add("").code, Some(0));
    let mut hands = JoinSet::new();
    for number in 1..=6 {
        let connection = frontier.connection().await;
        hands.spawn(async move {
            let random = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(number);
            let mut hand = SimulatedWorker { connection, random, key: number as i64, id: 0, held: Vec::new() };
            let mut errors = HashMap::<String, usize>::new();
            hand.join().await.unwrap();
            for _ in 0..soak(5_000, 500) {
                if let Err(error) = hand.step().await {
                    let error = error.into_database_error().unwrap();
                    let kind = match error.code().as_deref() {
                        Some("TL001") => "TL001".to_owned(),
                        // With the statements, so that a failure shows who waited for which lock.
                        _ => format!("{error:?}"),
                    };
                    *errors.entry(kind).or_default() += 1;
                    hand.held.clear();
                    hand.join().await.unwrap();
                }
            }
            errors
        });
    }
    let mut errors = HashMap::<String, usize>::new();
    while !hands.is_empty() {
        assert_eq!(frontier.all(WRONG).await, [""; 0]);
        while let Some(ended) = hands.try_join_next() {
            for (code, times) in ended.unwrap() {
                *errors.entry(code).or_default() += times;
            }
        }
    }
    assert_eq!(frontier.all(WRONG).await, [""; 0]);
    // The only error is the end of a lease: no deadlock, and no negative counter.
    assert!(errors.remove("TL001") > Some(0) && errors.is_empty(), "{errors:?}");
    assert!(frontier.in_state("done").await > 0 && frontier.in_state("queued").await > 0, "{}", frontier.status());
}
