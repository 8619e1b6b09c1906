//! Retired connections serve no further request (P8).

use http_body_util::BodyExt;
use trunkline::{Body, CloseReason, Pool, ResponseBody, Timeouts};

use crate::support::{Rogue, Step, sockets_to};
use crate::{SOON, eventually, within};

/// The head has come, and the body if there is none.
async fn begun(pool: &Pool, rogue: &Rogue) -> ResponseBody {
    let request = http::Request::get(rogue.url("/")).body(Body::empty()).unwrap();
    within(SOON, pool.send(request, Timeouts::new())).await.unwrap().into_body()
}

async fn read(body: &mut ResponseBody) {
    within(SOON, body.collect()).await.unwrap();
}

#[tokio::test]
async fn p8_a_retired_connection_serves_no_request_busy_or_idle() {
    for (busy, text) in [(true, "text"), (false, "text"), (false, "")] {
        let rogue = Rogue::start(Step::serve(text)).await;
        let pool = Pool::new();
        let mut body = begun(&pool, &rogue).await;
        if !busy {
            read(&mut body).await;
            assert_eq!(pool.stats().idle, 1);
        }
        body.connection_handle().retire();
        read(&mut body).await;
        let mut next = begun(&pool, &rogue).await;
        read(&mut next).await;
        assert!(!next.connection().reused, "busy: {busy}, {text:?}");
        let stats = pool.stats();
        assert_eq!((rogue.accepted(), stats.created, stats.idle), (2, 2, 1));
        assert_eq!((stats.closed.by(CloseReason::NotPersistent), stats.closed.total()), (1, 1), "{stats:?}");
    }
}

#[tokio::test]
async fn p8_a_handle_keeps_nothing_open_and_fits_one_connection() {
    let rogue = Rogue::start(Step::serve("text")).await;
    let pool = Pool::new();
    let mut body = begun(&pool, &rogue).await;
    let handle = body.connection_handle();
    handle.retire();
    read(&mut body).await;
    eventually("its connection is closed", || sockets_to(rogue.port()).is_empty()).await;
    read(&mut begun(&pool, &rogue).await).await;
    handle.retire();
    assert!(begun(&pool, &rogue).await.connection().reused);
}
