//! The contestants that are Rust libraries: each gets a page and reads it, with what an application
//! would switch on.

mod awc;
mod hyper_util;
mod isahc;
mod mail;
mod reqwest;
mod socket;
mod trunkline;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use self::mail::Anew;
use crate::job::{Client, Job};
use crate::plan::Plan;

/// `bench client NAME TASK key=value …`: in a process of its own, so that its CPU time and its
/// memory are its own.
pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let [name, task, rest @ ..] = arguments else { bail!("usage: bench client NAME TASK key=value …") };
    let job = Arc::new(Job::new(Plan::parse(task, rest)?));
    let watched = std::thread::spawn({
        let job = job.clone();
        move || job.watch()
    });
    run(name, &job)?;
    watched.join().ok().context("the watch has panicked")?;
    job.report();
    Ok(())
}

/// Does the job with the contestant of this name.
fn run(name: &str, job: &Arc<Job>) -> Result<()> {
    let plan = &job.plan;
    match name {
        "trunkline" => on_tokio(job, trunkline::Client::new(plan)?, Job::work),
        "hyper-util" => on_tokio(job, hyper_util::Client::new(plan)?, Job::work),
        "reqwest" => on_tokio(job, reqwest::Client::new(plan)?, Job::work),
        "isahc" => on_tokio(job, isahc::Client::new(plan)?, Job::work),
        "socket" => on_tokio(job, socket::Client::default(), Job::work),
        "mail" => on_tokio(job, mail::Client::new(plan, Anew::Nothing)?, Job::work),
        "mail-client-each" => on_tokio(job, mail::Client::new(plan, Anew::Client)?, Job::work),
        "mail-session-each" => on_tokio(job, mail::Client::new(plan, Anew::Session)?, Job::work),
        "awc" => on_actix(job),
        _ => bail!("there is no contestant {name:?}"),
    }
}

/// As many tasks as the plan says, on as many threads; each with a handle of one client.
fn on_tokio<C, F, Work>(job: &Arc<Job>, client: C, work: F) -> Result<()>
where
    C: Client,
    F: Fn(Arc<Job>, C, usize) -> Work,
    Work: Future<Output = Result<()>> + Send + 'static,
{
    let runtime = match job.plan.threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    runtime.block_on(async {
        job.before(&client).await?;
        let tasks: Vec<_> = (0..job.plan.tasks).map(|n| tokio::spawn(work(job.clone(), client.clone(), n))).collect();
        for task in tasks {
            task.await??;
        }
        job.after().await
    })
}

/// awc's clients stay on their threads: each thread has one, and its share of the tasks.
fn on_actix(job: &Arc<Job>) -> Result<()> {
    let threads: Vec<_> = (0..job.plan.threads)
        .map(|thread| {
            let job = job.clone();
            std::thread::spawn(move || actix_rt::System::new().block_on(actix_thread(&job, thread)))
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread has panicked")?)
}

async fn actix_thread(job: &Arc<Job>, thread: usize) -> Result<()> {
    let client = awc::Client::new(&job.plan)?;
    job.before(&client).await?;
    let mine = (thread..job.plan.tasks).step_by(job.plan.threads);
    let tasks: Vec<_> = mine.map(|n| actix_rt::spawn(job.clone().work(client.clone(), n))).collect();
    for task in tasks {
        task.await??;
    }
    job.after().await
}
