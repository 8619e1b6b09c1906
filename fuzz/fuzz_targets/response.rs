//! Fuzz target for responses, read in every way: no panic, no hang, no leaked connection, no socket
//! beyond the limit.
//!
//! The first two bytes of an input choose how it is sent and read ([`Plan`]); the rest is the raw
//! response.

#![no_main]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use libfuzzer_sys::fuzz_target;
use trunkline::{RequestBuilder, Response};
use trunkline_fuzz::{Answer, Harness, MAX_BODY, Then};

static HARNESS: LazyLock<Harness> = LazyLock::new(|| Harness::new(3));
static INPUTS: AtomicU32 = AtomicU32::new(0);

fuzz_target!(|input: &[u8]| {
    let [first, second, response @ ..] = input else { return };
    let plan = Plan::new(*first, *second);
    let harness = &*HARNESS;
    let answer = plan.answer(response);
    harness.first.answer(move |_| answer.clone());
    harness.run(async {
        match plan.requests {
            Requests::One => plan.ask().await,
            Requests::OneThenAnother => {
                plan.ask().await;
                plan.ask().await;
            }
            Requests::ThreeAtOnce => drop(tokio::join!(plan.ask(), plan.ask(), plan.ask())),
        }
    });
    if INPUTS.fetch_add(1, Ordering::Relaxed).is_multiple_of(1024) {
        harness.count_sockets();
    }
});

/// Way to send and read an input.
#[derive(Clone, Copy)]
struct Plan {
    read: u8,
    method: u8,
    requests: Requests,
    /// True if the response is sent in two pieces.
    split: bool,
    then: Then,
}

#[derive(Clone, Copy)]
enum Requests {
    One,
    OneThenAnother,
    ThreeAtOnce,
}

impl Plan {
    fn new(first: u8, second: u8) -> Self {
        Self {
            read: first & 7,
            method: first >> 3 & 3,
            requests: match first >> 5 & 3 {
                0 | 1 => Requests::One,
                2 => Requests::OneThenAnother,
                _ => Requests::ThreeAtOnce,
            },
            split: first & 0x80 != 0,
            // Rarely `Keep`: an incomplete response on an open connection waits for the timeout.
            then: match second % 16 {
                0 => Then::Keep,
                1 => Then::Reset,
                _ => Then::Close,
            },
        }
    }

    fn answer(self, response: &[u8]) -> Answer {
        let (left, right) = response.split_at(if self.split { response.len() / 2 } else { response.len() });
        Answer { pieces: vec![left.to_vec(), right.to_vec()], then: self.then }
    }

    fn request(self) -> RequestBuilder {
        let (session, url) = (&HARNESS.session, HARNESS.first.url("/"));
        match self.method {
            0 | 1 => session.get(url),
            2 => session.head(url),
            _ => session.post(url).body("hello"),
        }
    }

    async fn ask(self) {
        if self.read == 7 {
            return self.give_up().await;
        }
        match self.request().await {
            Ok(response) => self.read(response).await,
            // A server cannot cause an input error.
            Err(error) => assert!(!error.is_input() && !format!("{error} {error:?}").is_empty(), "{error:?}"),
        }
    }

    async fn read(self, mut response: Response) {
        assert!(!format!("{response:?}").is_empty());
        match self.read {
            0 => drop(response),
            1 => assert!(response.bytes().await.map_or(0, |body| body.len()) <= MAX_BODY),
            2 => drop(response.text().await),
            3 => drop(response.json::<f64>().await),
            4 => while let Ok(Some(_)) = response.chunk().await {},
            5 => drop(response.chunk().await),
            _ => drop(response.error_for_status()),
        }
    }

    /// Cancels the request at some point.
    async fn give_up(self) {
        let some_turns = async {
            for _ in 0..self.requests as u8 + 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            outcome = self.request().send() => drop(outcome),
            () = some_turns => {}
        }
    }
}
