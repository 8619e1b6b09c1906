//! Measured Rust clients, each with the features that an application would enable.

mod awc;
mod hyper_util;
mod isahc;
mod mail;
mod reqwest;
mod socket;
mod trunkline;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use self::mail::PerMail;
use crate::plan::Plan;
use crate::workload::{Client, Workload};

/// Runs `bench client NAME TASK key=value …`, in its own process so that CPU time and memory can be
/// attributed to the client.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let [name, task, rest @ ..] = arguments else { bail!("usage: bench client NAME TASK key=value …") };
    let workload = Arc::new(Workload::new(Plan::parse(task, rest)?));
    let supervisor = std::thread::spawn({
        let workload = workload.clone();
        move || workload.supervise()
    });
    run(name, &workload)?;
    supervisor.join().ok().context("the supervisor panicked")?;
    workload.report();
    Ok(())
}

/// Runs the workload with the client of this name.
fn run(name: &str, workload: &Arc<Workload>) -> Result<()> {
    let plan = &workload.plan;
    match name {
        "trunkline" => on_tokio(workload, trunkline::Client::new(plan)?, Workload::run_task),
        "hyper-util" => on_tokio(workload, hyper_util::Client::new(plan)?, Workload::run_task),
        "reqwest" => on_tokio(workload, reqwest::Client::new(plan)?, Workload::run_task),
        "isahc" => on_tokio(workload, isahc::Client::new(plan)?, Workload::run_task),
        "socket" => on_tokio(workload, socket::Client::default(), Workload::run_task),
        "mail" => on_tokio(workload, mail::Client::new(plan, PerMail::Nothing)?, Workload::run_task),
        "mail-client-each" => on_tokio(workload, mail::Client::new(plan, PerMail::Client)?, Workload::run_task),
        "mail-session-each" => on_tokio(workload, mail::Client::new(plan, PerMail::Session)?, Workload::run_task),
        "awc" => on_actix(workload),
        _ => bail!("unknown client {name:?}"),
    }
}

/// Runs the tasks of the plan on its threads, each with a handle of the same client.
fn on_tokio<C, F, Running>(workload: &Arc<Workload>, client: C, run_task: F) -> Result<()>
where
    C: Client,
    F: Fn(Arc<Workload>, C, usize) -> Running,
    Running: Future<Output = Result<()>> + Send + 'static,
{
    let runtime = match workload.plan.threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    runtime.block_on(async {
        workload.warm_up(&client).await?;
        let tasks: Vec<_> =
            (0..workload.plan.tasks).map(|n| tokio::spawn(run_task(workload.clone(), client.clone(), n))).collect();
        for task in tasks {
            task.await??;
        }
        workload.measure_idle().await
    })
}

/// Runs the tasks with awc, whose clients cannot change threads: each thread has a client, and its
/// share of the tasks.
fn on_actix(workload: &Arc<Workload>) -> Result<()> {
    let threads: Vec<_> = (0..workload.plan.threads)
        .map(|thread| {
            let workload = workload.clone();
            std::thread::spawn(move || actix_rt::System::new().block_on(actix_thread(&workload, thread)))
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
}

async fn actix_thread(workload: &Arc<Workload>, thread: usize) -> Result<()> {
    let client = awc::Client::new(&workload.plan)?;
    workload.warm_up(&client).await?;
    let numbers = (thread..workload.plan.tasks).step_by(workload.plan.threads);
    let tasks: Vec<_> = numbers.map(|n| actix_rt::spawn(workload.clone().run_task(client.clone(), n))).collect();
    for task in tasks {
        task.await??;
    }
    workload.measure_idle().await
}
