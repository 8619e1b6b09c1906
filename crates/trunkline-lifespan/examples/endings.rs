//! An application that can end in any way an application can: its arguments say how, its output
//! tells. The tests start it.
//!
//! ```sh
//! cargo run -p trunkline-lifespan --all-features --example endings -- open:session work:outbox fail:database
//! cargo run -p trunkline-lifespan --all-features --example endings -- open:session pause=2000 serve
//! ```
//!
//! | word | |
//! |---|---|
//! | `open:x` `fail:x` `hang:x` | opens a resource: that is in order; that cannot be acquired; that never is |
//! | `bad:x` `stuck:x` `block:x` | whose check fails; whose release never ends; whose release never gives its thread back |
//! | `work:x` `crash:x` | begins background work: that ends when it is asked to; that fails when a line comes on standard input |
//! | `panic` | panics |
//! | `serve` | serves `/`, `/readyz`, and `/slow`, which answers when a line comes on standard input |
//! | `pause=n` `drain=n` `release=n` | settings, in milliseconds |
//! | `trace` `exit` | prints what `tracing` says; does not wait for threads at the end |

#![expect(clippy::print_stdout, reason = "what it says is what it is for")]

use std::env;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::Notify;
use trunkline_lifespan::{self as lifespan, Ending, Life, Lifespan, Resource};

#[tokio::main]
async fn main() -> Ending {
    let words: Vec<_> = env::args().skip(1).collect();
    let go = Arc::new(Notify::new());
    read_lines(go.clone());
    if words.iter().any(|word| word == "trace") {
        tracing_subscriber::fmt().without_time().init();
    }
    let ending = settings(&words).run(async |life| up(life, &words, &go).await).await;
    if words.iter().any(|word| word == "exit") {
        ending.exit();
    }
    ending
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

async fn up(life: &Life, words: &[String], go: &Arc<Notify>) -> lifespan::Result<()> {
    for word in words {
        match word.split_once(':').unwrap_or((word, "")) {
            ("work", name) => {
                let line = format!("stopped {name}");
                life.background(name, async move |stop| {
                    stop.requested().await;
                    println!("{line}");
                });
            }
            ("crash", name) => {
                let go = go.clone();
                life.background(name, async move |_| {
                    go.notified().await;
                    Err::<(), _>("out of luck")
                });
            }
            ("serve", _) => {
                let listener = life.bind("127.0.0.1:0").await?;
                if let Ok(address) = listener.local_addr() {
                    println!("serving {address}");
                }
                life.serve(listener, router(life, go)).await?;
                println!("drained");
            }
            ("panic", _) => panic!("as it was told to"),
            (ends, name) if !name.is_empty() => {
                life.open(name, Part { ends: ends.to_owned(), name: name.to_owned() }).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn router(life: &Life, go: &Arc<Notify>) -> Router {
    let (readiness, go) = (life.readiness(), go.clone());
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

/// A part of the application that says what becomes of it.
struct Part {
    ends: String,
    name: String,
}

impl Resource for Part {
    type Handle = ();
    type Error = &'static str;

    async fn acquire(&mut self) -> Result<(), &'static str> {
        println!("acquiring {}", self.name);
        match &*self.ends {
            "fail" => Err("nobody there"),
            "hang" => pending().await,
            _ => Ok(()),
        }
    }

    async fn check(&mut self, (): &()) -> Result<(), &'static str> {
        if self.ends == "bad" { Err("it is not what it seemed") } else { Ok(()) }
    }

    async fn release(self, (): ()) -> Result<(), &'static str> {
        println!("releasing {}", self.name);
        match &*self.ends {
            "stuck" => pending().await,
            "block" => loop {
                std::thread::park();
            },
            _ => Ok(()),
        }
    }
}

/// In a thread of its own, because nothing of tokio's can be kept from waiting for the next line.
fn read_lines(go: Arc<Notify>) {
    std::thread::spawn(move || std::io::stdin().lines().for_each(|_| go.notify_one()));
}
