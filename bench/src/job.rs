//! What one contestant does, and what is measured of it meanwhile. It prints a figure a line.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::figures::median;
use crate::plan::{Plan, Task};
use crate::process::{Usage, anonymous_memory, open_files};

/// What a contestant can do. Each call is given the address as text, as an application has it.
pub(crate) trait Client: Clone + 'static {
    /// A small page, whole; its length.
    async fn get(&self, url: &'static str) -> Result<usize>;

    /// A long body, piece by piece; its length.
    async fn read(&self, url: &'static str) -> Result<u64>;
}

pub(crate) struct Job {
    pub(crate) plan: Plan,
    begun: Instant,
    stop: AtomicBool,
    /// Pages had, by task.
    done: Vec<Count>,
    waits: Mutex<Vec<f64>>,
    before: Mutex<Option<Before>>,
    figures: Mutex<Vec<(&'static str, f64)>>,
}

/// Alone in its cache line.
#[derive(Default)]
#[repr(align(128))]
struct Count(AtomicU64);

struct Before {
    memory: u64,
    files: usize,
}

impl Job {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            begun: Instant::now(),
            stop: AtomicBool::new(false),
            done: (0..plan.tasks).map(|_| Count::default()).collect(),
            waits: Mutex::default(),
            before: Mutex::default(),
            figures: Mutex::default(),
            plan,
        }
    }

    /// The first page, before anything is measured.
    pub(crate) async fn before<C: Client>(&self, client: &C) -> Result<()> {
        match self.plan.task {
            Task::Small | Task::Crowd => {}
            Task::Body => drop(client.get(&*self.plan.urls[0].replace("/long", "/").leak()).await?),
            Task::Idle => {
                client.get(self.plan.urls[0]).await?;
                let before = Before { memory: anonymous_memory()?, files: open_files()? };
                self.before.lock().expect("nobody panics with it").replace(before);
            }
        }
        Ok(())
    }

    /// What each task does.
    pub(crate) async fn work<C: Client>(self: Arc<Self>, client: C, number: usize) -> Result<()> {
        let url = self.plan.urls[number % self.plan.urls.len()];
        match self.plan.task {
            Task::Small => self.keep_asking(&client, url, number).await,
            Task::Crowd => self.keep_waiting(&client, url).await,
            Task::Body => self.read(&client, url).await,
            Task::Idle => self.expect(client.get(url).await? as u64),
        }
    }

    async fn keep_asking<C: Client>(&self, client: &C, url: &'static str, number: usize) -> Result<()> {
        let done = &self.done[number].0;
        let pages = self.plan.pages.unwrap_or(u64::MAX);
        // Nobody else writes it.
        while !self.stop.load(Ordering::Relaxed) && done.load(Ordering::Relaxed) < pages {
            self.expect(client.get(url).await? as u64)?;
            done.store(done.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Every request that was not over before the measured time counts, however long it takes:
    /// those who starve from the beginning, too.
    async fn keep_waiting<C: Client>(&self, client: &C, url: &'static str) -> Result<()> {
        let mut waits = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            self.expect(client.get(url).await? as u64)?;
            if self.begun.elapsed() >= self.plan.warm_up {
                waits.push(asked.elapsed().as_secs_f64() * 1e3);
            }
        }
        self.waits.lock().expect("nobody panics with it").extend(waits);
        Ok(())
    }

    async fn read<C: Client>(&self, client: &C, url: &'static str) -> Result<()> {
        let (begun, usage) = (Instant::now(), Usage::own()?);
        self.expect(client.read(url).await?)?;
        let (took, cpu) = (begun.elapsed().as_secs_f64(), Usage::own()?.since(&usage));
        self.note([("rate", self.plan.length as f64 / took / f64::from(1 << 20)), ("cpu", cpu.as_secs_f64())]);
        Ok(())
    }

    /// After the last task, while the client is still there.
    pub(crate) async fn after(&self) -> Result<()> {
        let Some(before) = self.before.lock().expect("nobody panics with it").take() else { return Ok(()) };
        // Tasks that the contestant has spawned come to rest.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let connections = open_files()?.saturating_sub(before.files);
        let memory = anonymous_memory()?.saturating_sub(before.memory);
        self.note([("connections", connections as f64), ("memory", memory as f64 / 1024.0 / connections as f64)]);
        Ok(())
    }

    /// Says when to stop, and counts what was done meanwhile.
    pub(crate) fn watch(&self) {
        if self.plan.pages.is_some() {
            return;
        }
        std::thread::sleep(self.plan.warm_up);
        let (begun, usage, done) = (Instant::now(), Usage::own(), self.pages());
        std::thread::sleep(self.plan.measured);
        let (took, now, pages) = (begun.elapsed().as_secs_f64(), Usage::own(), (self.pages() - done) as f64);
        self.stop.store(true, Ordering::Relaxed);
        if let (Task::Small, Ok(before), Ok(now)) = (self.plan.task, usage, now) {
            let cpu = now.since(&before).as_secs_f64() * 1e6;
            self.note([
                ("rate", pages / took),
                ("time", took * 1e6 * self.plan.tasks as f64 / pages),
                ("cpu", cpu / pages),
            ]);
        }
    }

    fn pages(&self) -> u64 {
        self.done.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }

    fn expect(&self, length: u64) -> Result<()> {
        ensure!(length == self.plan.length, "{length} bytes came instead of {}", self.plan.length);
        Ok(())
    }

    fn note(&self, figures: impl IntoIterator<Item = (&'static str, f64)>) {
        self.figures.lock().expect("nobody panics with it").extend(figures);
    }

    pub(crate) fn report(&self) {
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("nobody panics with it"));
        waits.sort_by(f64::total_cmp);
        if let (Some(p50), Some(max)) = (median(&waits), waits.last()) {
            let p99 = waits[(waits.len() * 99 / 100).min(waits.len() - 1)];
            self.note([
                ("waits", waits.len() as f64),
                ("p50", p50),
                ("p99", p99),
                ("max", *max),
                ("spread", p99 / p50),
            ]);
        }
        for (name, value) in &*self.figures.lock().expect("nobody panics with it") {
            println!("{name} {value}");
        }
    }
}
