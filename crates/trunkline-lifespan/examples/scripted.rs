//! An application whose arguments script its start and end, for the tests.
//!
//! ```sh
//! cargo run -p trunkline-lifespan --all-features --example scripted -- open:session work:outbox fail:database
//! cargo run -p trunkline-lifespan --all-features --example scripted -- open:session pause=2000 serve
//! ```
//!
//! | word | |
//! |---|---|
//! | `open:x` `fail:x` `hang:x` | opens a resource: sound; that cannot be acquired; whose acquiring never ends |
//! | `bad:x` `stuck:x` `block:x` | whose check fails; whose release never ends; whose release never gives its thread back |
//! | `work:x` `crash:x` | begins background work: that stops when asked to; that fails at a line on standard input |
//! | `panic` | panics |
//! | `serve` | serves `/`, `/readyz`, and `/slow`, which responds at a line on standard input |
//! | `pause=n` `drain=n` `release=n` | settings, in milliseconds |
//! | `trace` `exit` | prints the events of `tracing`; exits without waiting for threads |

#![expect(clippy::print_stdout, reason = "the tests read the output")]

use std::env;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::Notify;
use trunkline_lifespan::{self as lifespan, App, Lifespan, Report, Resource};

#[tokio::main]
async fn main() -> Report {
    let words: Vec<_> = env::args().skip(1).collect();
    let go = Arc::new(Notify::new());
    read_lines(go.clone());
    if words.iter().any(|word| word == "trace") {
        tracing_subscriber::fmt().without_time().init();
    }
    let report = settings(&words).run(async |app| start(app, &words, &go).await).await;
    if words.iter().any(|word| word == "exit") {
        report.exit();
    }
    report
}

fn settings(words: &[String]) -> Lifespan {
    let mut settings = Lifespan::new();
    for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
        let value = Duration::from_millis(value.parse().unwrap_or_default());
        settings = match name {
            "pause" => settings.pause(value),
            "drain" => settings.drain_within(value),
            _ => settings.release_within(value),
        };
    }
    settings
}

async fn start(app: &App, words: &[String], go: &Arc<Notify>) -> lifespan::Result<()> {
    for word in words {
        match word.split_once(':').unwrap_or((word, "")) {
            ("work", name) => {
                let line = format!("stopped {name}");
                app.background(name, async move |stop| {
                    stop.requested().await;
                    println!("{line}");
                });
            }
            ("crash", name) => {
                let go = go.clone();
                app.background(name, async move |_| {
                    go.notified().await;
                    Err::<(), _>("out of luck")
                });
            }
            ("serve", _) => {
                let listener = app.bind("127.0.0.1:0").await?;
                let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
                let readiness = app.readiness();
                app.background("announcement", async move |stop| {
                    if stop.or(readiness.ready()).await.is_some() {
                        println!("serving {address}");
                    }
                });
                app.serve(listener, router(app, go)).await?;
                println!("drained");
            }
            ("panic", _) => panic!("as it was told to"),
            (word, name) if !name.is_empty() => {
                app.open(name, ScriptedResource { word: word.to_owned(), name: name.to_owned() }).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn router(app: &App, go: &Arc<Notify>) -> Router {
    let (readiness, go) = (app.readiness(), go.clone());
    let slow = async move || {
        println!("asked");
        go.notified().await;
        "at last\n"
    };
    Router::new()
        .route("/", get(async || "hello\n"))
        .route("/readyz", get(async || readiness))
        .route("/slow", get(slow))
}

/// A resource that prints its steps and behaves as its word says.
struct ScriptedResource {
    word: String,
    name: String,
}

impl Resource for ScriptedResource {
    type Handle = ();
    type Error = &'static str;

    async fn acquire(&mut self) -> Result<(), &'static str> {
        println!("acquiring {}", self.name);
        match &*self.word {
            "fail" => Err("nobody there"),
            "hang" => pending().await,
            _ => Ok(()),
        }
    }

    async fn check(&mut self, (): &()) -> Result<(), &'static str> {
        if self.word == "bad" { Err("it is not what it seemed") } else { Ok(()) }
    }

    async fn release(self, (): ()) -> Result<(), &'static str> {
        println!("releasing {}", self.name);
        match &*self.word {
            "stuck" => pending().await,
            "block" => loop {
                std::thread::park();
            },
            _ => Ok(()),
        }
    }
}

/// Reads standard input in a thread: a read in tokio's pool would keep the runtime from ending.
fn read_lines(go: Arc<Notify>) {
    std::thread::spawn(move || std::io::stdin().lines().for_each(|_| go.notify_one()));
}
