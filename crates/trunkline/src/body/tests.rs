//! Bodies by themselves: what they say of their length, what they yield, and what cannot be sent
//! twice.

use std::io::{self, Write};
use std::ops::Bound;
use std::path::PathBuf;

use futures_util::stream;
use http_body_util::{BodyExt, Empty, Full};

use super::*;

async fn read(body: Body) -> Result<Vec<u8>, Error> {
    let read = body.collect().await.map(|all| all.to_bytes().to_vec());
    read.map_err(|error| *error.downcast().expect("all that fails says what failed"))
}

fn items(items: &[&'static str]) -> Body {
    Body::stream(stream::iter(items.iter().copied().map(Ok::<_, io::Error>).collect::<Vec<_>>()))
}

fn length(body: &Body) -> Option<u64> {
    http_body::Body::size_hint(body).exact()
}

/// A file that is gone with its directory.
fn file(content: &[u8]) -> (tempdir::TempDir, PathBuf) {
    let dir = tempdir::TempDir::new();
    let path = dir.0.join("file.bin");
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

mod tempdir {
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub(super) struct TempDir(pub(super) std::path::PathBuf);

    impl TempDir {
        pub(super) fn new() -> Self {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let name = format!("trunkline-body-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[test]
fn a_body_of_ours_can_be_sent_again_even_when_wrapped() {
    assert!(Body::wrap(Body::from("again")).is_replayable());
    assert!(!Body::wrap(Full::new(Bytes::from("once"))).is_replayable());
    assert!(Body::wrap(Empty::<Bytes>::new()).is_replayable());
}

#[test]
fn a_body_is_small() {
    assert!(size_of::<Body>() <= 5 * size_of::<usize>(), "{}", size_of::<Body>());
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_fails() {
    let exact = items(&["he", "llo"]).with_length(5);
    assert_eq!(length(&exact), Some(5));
    assert_eq!(read(exact).await.unwrap(), b"hello");
    let cases: [(Body, &str); 6] = [
        (items(&["he", "llo"]).with_length(6), "ended after 5 bytes, where 6 were announced"),
        (items(&[]).with_length(1), "ended after 0 bytes, where 1 were announced"),
        (items(&["hello", "!"]).with_length(5), "longer than the 5 bytes announced"),
        (items(&["hello", "!"]).with_length(3), "longer than the 3 bytes announced"),
        (Body::from("hello").with_length(4), "longer than the 4 bytes announced"),
        (Body::empty().with_length(4), "ended after 0 bytes, where 4 were announced"),
    ];
    for (mut body, why) in cases {
        let announced = length(&body).unwrap();
        let (mut passed, mut failure) = (0, None);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => passed += frame.into_data().unwrap().len() as u64,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let failure = failure.expect(why).to_string();
        assert!(failure.contains(why), "{failure}");
        assert!(passed < announced, "what is complete is taken for the whole: {why}");
    }
}

#[tokio::test]
async fn a_stream_that_panicked_is_not_polled_again() {
    let mut polls = 0;
    let body = Body::stream(stream::poll_fn(move |_| -> Poll<Option<io::Result<Bytes>>> {
        polls += 1;
        assert!(polls == 2, "poll number {polls}");
        Poll::Ready(None)
    }));
    let mut body = Box::pin(body);
    let polled = tokio::spawn(async move {
        let first = std::panic::AssertUnwindSafe(async { body.frame().await });
        let caught = futures_util::FutureExt::catch_unwind(first).await.is_err();
        (caught, body.frame().await.unwrap().unwrap_err().to_string())
    });
    let (caught, then) = polled.await.unwrap();
    assert!(caught && then.contains("the stream panicked"), "{then}");
}

#[tokio::test]
async fn a_file_is_measured_and_read_from_its_beginning_each_time() {
    let content: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let (_dir, path) = file(&content);
    let mut body = Body::file(&path);
    assert!(body.is_to_be_measured());
    body.measure().await.unwrap();
    assert_eq!(length(&body), Some(300_000));
    let again = body.try_clone().unwrap();
    assert_eq!(length(&again), Some(300_000));
    assert!(read(body).await.unwrap() == content);
    assert!(read(again).await.unwrap() == content);
    // Also without having been measured, as another client would send it.
    assert!(read(Body::file(&path)).await.unwrap() == content);
    for (range, expected) in [(0..10, &content[..10]), (131_000..131_100, &content[131_000..131_100]), (5..5, &[])] {
        let mut body = Body::file_range(&path, range);
        body.measure().await.unwrap();
        assert_eq!(length(&body), Some(expected.len() as u64));
        assert_eq!(read(body).await.unwrap(), expected);
    }
    assert_eq!(read(Body::file_range(&path, 299_990..)).await.unwrap(), &content[299_990..]);
    assert_eq!(read(Body::file_range(&path, ..=4)).await.unwrap(), &content[..5]);
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_is_named_before_anything_is() {
    let (dir, path) = file(b"12345");
    let missing = dir.0.join("missing");
    let cases: [(Body, &PathBuf, &str); 6] = [
        (Body::file(&missing), &missing, "see the cause"),
        (Body::file(&dir.0), &dir.0, "no regular file"),
        (Body::file_range(&path, 3..9), &path, "it has 5 bytes, and those from 3 to 9 were asked for"),
        (Body::file_range(&path, 6..), &path, "from 6 to 5"),
        (Body::file_range(&path, (Bound::Included(3), Bound::Excluded(2))), &path, "from 3 to 2"),
        // It says that it is empty.
        (Body::file("/proc/self/status"), &PathBuf::from("/proc/self/status"), "no regular file"),
    ];
    for (mut body, path, why) in cases {
        let error = body.measure().await.unwrap_err();
        assert!(error.is_input(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(why) && text.contains(path.to_str().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_changes_its_length_is_an_error_naming_it() {
    for (then, why) in [(&b"123"[..], "ended after 3 bytes, where 5"), (b"1234567", "longer than the 5 bytes")] {
        let (_dir, path) = file(b"12345");
        let mut body = Body::file(&path);
        body.measure().await.unwrap();
        std::fs::write(&path, then).unwrap();
        let error = read(body).await.unwrap_err();
        assert!(error.is_body(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(why) && text.contains(path.to_str().unwrap()), "{text}");
    }
    let (_dir, path) = file(b"12345");
    let mut body = Body::file(&path);
    body.measure().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(read(body).await.unwrap_err().to_string().contains("could not be read"));
}

#[tokio::test]
async fn an_open_file_is_sent_from_where_it_stands_and_once() {
    let (_dir, path) = file(b"0123456789");
    let mut open = File::options().read(true).write(true).open(&path).unwrap();
    open.write_all(b"abc").unwrap();
    let mut body = Body::from(open);
    body.measure().await.unwrap();
    assert_eq!(length(&body), Some(7));
    assert!(!body.is_replayable());
    assert_eq!(read(body).await.unwrap(), b"3456789");
}

#[tokio::test]
async fn what_a_function_makes_can_be_sent_again() {
    let body = Body::replayable(|| items(&["a", "b"]).with_length(2));
    let again = body.try_clone().unwrap().try_clone().unwrap();
    assert_eq!((length(&body), length(&again)), (Some(2), Some(2)));
    assert_eq!(read(body).await.unwrap(), b"ab");
    assert_eq!(read(again).await.unwrap(), b"ab");

    let made = std::sync::atomic::AtomicUsize::new(0);
    let growing = Body::replayable(move || {
        let n = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        items(&["abc", "d"][..=n]).with_length(3 + n as u64)
    });
    let again = growing.try_clone().unwrap();
    assert_eq!(read(growing).await.unwrap(), b"abc");
    assert!(read(again).await.unwrap_err().to_string().contains("longer than the 3 bytes"));
}

#[test]
fn what_cannot_be_sent_twice_is_named() {
    let once = items(&["x"]).again().unwrap_err().to_string();
    assert!(once.contains("the body of the request (stream)") && once.contains("Body::replayable"), "{once}");
    let form = Multipart::new().text("a", "b").part("photo", Part::stream(stream::iter([Ok::<_, io::Error>("x")])));
    let once = form.encode().unwrap().0.again().unwrap_err().to_string();
    assert!(once.contains("the part \"photo\" of the request's body (stream)"), "{once}");
}

#[test]
fn what_a_body_holds_is_not_shown() {
    let form = Multipart::new().text("name", "sEcReT").part("other", Part::bytes("sEcReT").header("x", "sEcReT"));
    let shown = format!("{form:?} {:?}", Body::from("sEcReT"));
    assert!(!shown.contains("sEcReT"), "{shown}");
}
