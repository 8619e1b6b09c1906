//! Each coding, cut anywhere, damaged and followed by what does not belong to it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::collections::VecDeque;
use std::error::Error as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http_body_util::BodyExt as _;

use super::*;

/// `text()` by the reference encoder: `brotlicffi.compress(text, quality=11)`.
const TEXT_AS_BR: &[u8] = b"\x1b\x63\x26\x40\x8c\xd4\x62\xad\xb3\x30\xa7\x6e\x4b\x75\x21\x3d\xf6\x81\x13\x8f\x67\x82\xde\x50\x00\x1b\x1d\xb0\xaf\x1d\x58\x49\x1e\x90\x3d\xb0\x3f\x88\x9e\x59\xf6\xb9\xad\x0a\x97\x38\x6d\x2f\xbd\x51\x96\x06\x7a\x47\xdf\xef\x8d\x1c\x25\x04\x52\x81\x2b\xf1\xf9\xa4\x9c\xbf\x54\x1e\x2a\xdd\x90\x32\x7d\xce\xb4\x9b\x56\xac\xdd\x0c\x3d\x85\x03\x20\xd7\x6d\xba\x57\x2c\xd7\xe6\x97\xeb\x00\x38\x2d";

fn text() -> Vec<u8> {
    let words = ["the ", "kept ", "lease ", "of ", "an ", "idle ", "trunk ", "line ", "goes ", "back.\n"];
    (0..2_000).flat_map(|n: usize| words[(n * n + n / 7) % 10].bytes()).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn bare_deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(data.len()));
    context.compress2(&mut coded, data).unwrap();
    coded
}

/// Every coding of the text, with its name.
fn coded() -> [(&'static str, Vec<u8>); 5] {
    let text = text();
    [
        ("gzip", gzip(&text)),
        ("deflate", zlib(&text)),
        ("deflate", bare_deflate(&text)),
        ("br", TEXT_AS_BR.to_vec()),
        ("zstd", zstd(&text)),
    ]
}

/// A body in these pieces.
struct Pieces(VecDeque<Frame<Bytes>>);

impl Pieces {
    fn new(data: &[u8], size: usize) -> Self {
        Self(data.chunks(size).map(|piece| Frame::data(Bytes::copy_from_slice(piece))).collect())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum())
    }
}

fn headers(coding: &str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap()), (CONTENT_LENGTH, "1".parse().unwrap())])
}

async fn decoded(coding: &str, data: &[u8], size: usize) -> Result<Vec<u8>> {
    let body = Decoded::new(&mut headers(coding), Pieces::new(data, size));
    body.collect().await.map(|whole| whole.to_bytes().into())
}

async fn fails(coding: &str, data: &[u8], told: &str) {
    for size in [1, 100, usize::MAX] {
        let error = decoded(coding, data, size).await.unwrap_err();
        assert!(error.is_body(), "{error:?}");
        let text = format!("{error} {}", error.source().map(ToString::to_string).unwrap_or_default());
        assert!(text.contains(told), "{coding} in pieces of {size}: {text}");
    }
}

#[tokio::test]
async fn every_coding_is_decoded_however_it_is_cut() {
    for (coding, data) in coded() {
        for size in [1, 2, 3, 7, 1_000, usize::MAX] {
            assert!(decoded(coding, &data, size).await.unwrap() == text(), "{coding} in pieces of {size}");
        }
    }
}

#[tokio::test]
async fn names_are_read_as_the_standard_has_them() {
    let data = gzip(&text());
    for name in ["gzip", "x-gzip", "GZip", " gzip ,", "identity, gzip", ",, X-GZIP"] {
        assert!(decoded(name, &data, 100).await.unwrap() == text(), "{name}");
    }
}

#[tokio::test]
async fn stacked_codings_come_off_in_reverse() {
    let twice = zstd(&gzip(&text()));
    assert!(decoded("gzip, zstd", &twice, 10).await.unwrap() == text());
    let mut two_lines = headers("gzip");
    two_lines.append(CONTENT_ENCODING, "zstd".parse().unwrap());
    let body = Decoded::new(&mut two_lines, Pieces::new(&twice, 10));
    assert!(body.collect().await.unwrap().to_bytes() == text());
    let four = (0..4).fold(text(), |data, _| gzip(&data));
    assert!(decoded("gzip,gzip,gzip,gzip", &four, 10).await.unwrap() == text());
    fails("gzip, zstd", &twice[..twice.len() - 1], "its zstd coding (Content-Encoding) breaks off").await;
    fails("zstd, gzip", &gzip(&zstd(&text())[..50]), "its zstd coding (Content-Encoding) breaks off").await;
}

#[tokio::test]
async fn what_is_not_known_is_left_as_it_is() {
    let odd = ["compress", "gzip, unknown", "identity", "", "gzip;q=1", "gzip,gzip,gzip,gzip,gzip"];
    for coding in odd {
        let mut headers = headers(coding);
        let body = Decoded::new(&mut headers, Pieces::new(b"as it is", 3));
        assert!(matches!(body.state, DecodeState::Plain), "{coding}");
        assert_eq!(body.size_hint().exact(), Some(8));
        assert_eq!((headers[CONTENT_ENCODING].to_str().unwrap(), headers.len()), (coding, 2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "as it is");
    }
}

#[test]
fn a_decoded_body_claims_no_length() {
    let mut headers = headers("gzip");
    let body = Decoded::new(&mut headers, Pieces::new(&gzip(b""), 100));
    assert_eq!((body.size_hint().lower(), body.size_hint().upper(), body.is_end_stream()), (0, None, false));
    assert!(headers.is_empty());
}

#[tokio::test]
async fn no_byte_at_all_is_an_empty_body() {
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        assert_eq!(decoded(coding, b"", 1).await.unwrap(), b"");
    }
}

#[tokio::test]
async fn an_empty_stream_is_an_empty_body() {
    for (coding, data) in [("gzip", gzip(b"")), ("deflate", zlib(b"")), ("br", vec![0x3b]), ("zstd", zstd(b""))] {
        assert_eq!(decoded(coding, &data, 1).await.unwrap(), b"", "{coding}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_anywhere_is_an_error() {
    for (coding, data) in coded() {
        for length in [1, 2, 9, data.len() / 2, data.len() - 1] {
            let error = decoded(coding, &data[..length], 5).await.unwrap_err();
            let told = format!("its {coding} coding (Content-Encoding) breaks off in the middle");
            assert!(error.is_body() && error.to_string().contains(&told), "{coding}, {length} bytes: {error}");
        }
    }
}

#[tokio::test]
async fn checksums_and_lengths_are_checked() {
    // gzip's CRC and length, zlib's Adler-32, zstd's xxHash: each at the end.
    for (coding, data) in coded().into_iter().filter(|(coding, _)| *coding != "br") {
        if data == bare_deflate(&text()) {
            continue;
        }
        for from_end in [1, 4] {
            let mut damaged = data.clone();
            let at = damaged.len() - from_end;
            damaged[at] ^= 1;
            fails(coding, &damaged, "cannot be decoded").await;
        }
    }
    let mut damaged = gzip(&text());
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    fails("gzip", &damaged, "cannot be decoded").await;
}

#[tokio::test]
async fn what_is_no_such_coding_is_an_error() {
    for (coding, data) in [("gzip", "<html>"), ("deflate", "xhtml"), ("deflate", "<html>"), ("zstd", "<html>")] {
        fails(coding, data.as_bytes(), &format!("its {coding} coding (Content-Encoding) cannot be decoded")).await;
    }
    // A window of 2^25: "large window" Brotli.
    fails("br", &[0x11, 0x19, 0, 0, 0, 0], "its br coding (Content-Encoding) cannot be decoded").await;
}

#[tokio::test]
async fn every_member_of_gzip_and_every_frame_of_zstd_is_decoded() {
    let members = [gzip(b"one, "), gzip(b""), gzip(b"two")].concat();
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], &b"xyz"[..]].concat();
    let frames = [zstd(b"one, "), skipped, zstd(b"two")].concat();
    for size in [1, 2, 5, usize::MAX] {
        assert_eq!(decoded("gzip", &members, size).await.unwrap(), b"one, two");
        assert_eq!(decoded("zstd", &frames, size).await.unwrap(), b"one, two");
    }
    fails("gzip", &members[..members.len() - 3], "breaks off").await;
    fails("gzip", &[gzip(b"one"), vec![0x1f, 0x8b, 0xff, 0, 0]].concat(), "cannot be decoded").await;
    fails("zstd", &frames[..frames.len() - 3], "breaks off").await;
}

#[tokio::test]
async fn what_follows_the_end_is_ignored_for_a_while() {
    for (coding, data) in coded().into_iter().filter(|(coding, _)| *coding != "zstd") {
        for trailing in [&b"\0\0\0\0"[..], b"\r\n", b"\x1f", b"\x1f\x1f\x8b", b"</html>"] {
            for size in [1, 1_000, usize::MAX] {
                let followed = [&data, trailing].concat();
                assert!(decoded(coding, &followed, size).await.unwrap() == text(), "{coding} and {trailing:?}");
            }
        }
        let endless = [data, vec![0; trailing::LIMIT + 1]].concat();
        fails(coding, &endless, "more than 65536 bytes follow its end").await;
    }
    fails("zstd", &[zstd(b"one"), b"</html>".to_vec()].concat(), "cannot be decoded").await;
}

#[tokio::test]
async fn a_frame_of_zstd_may_ask_for_8_mebibytes_and_no_more() {
    /// Of no content, with a window of 2^(10 + log).
    fn frame(log: u8) -> [u8; 9] {
        [0x28, 0xb5, 0x2f, 0xfd, 0, log << 3, 1, 0, 0]
    }
    assert_eq!(decoded("zstd", &frame(13), 9).await.unwrap(), b"");
    fails("zstd", &frame(14), "too much memory").await;
}

#[tokio::test]
async fn no_frame_is_larger_than_it_may_be() {
    let zeros = vec![0; 3 << 20];
    for (coding, data) in [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("zstd", zstd(&zeros))] {
        let mut body = Decoded::new(&mut headers(coding), Pieces::new(&data, usize::MAX));
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= FRAME, "{coding}: {}", data.len());
            size += data.len();
        }
        assert_eq!(size, zeros.len());
    }
}

#[tokio::test]
async fn input_that_makes_nothing_lets_others_have_their_turn() {
    // A skippable frame of 4 GB, as fast as it is asked for.
    let head = Bytes::from_static(&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]);
    let pieces = std::iter::once(head).chain(std::iter::repeat_n(Bytes::from_static(&[0; 100]), 1_000));
    let body = Decoded::new(&mut headers("zstd"), Pieces(pieces.map(Frame::data).collect()));
    let mut body = std::pin::pin!(body);
    let woken = std::sync::Arc::new(Woken::default());
    let waker = woken.clone().into();
    let mut turns = 0;
    while body.as_mut().poll_frame(&mut Context::from_waker(&waker)).is_pending() {
        turns += 1;
        assert_eq!(woken.0.load(std::sync::atomic::Ordering::Relaxed), turns);
    }
    assert!(turns >= 1_000 / PATIENCE, "{turns}");
}

#[tokio::test]
async fn output_that_is_always_ready_lets_others_have_their_turn() {
    let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let mut body = Decoded::new(&mut headers("zstd"), Pieces::new(&zstd(&vec![0; 64 << 20]), usize::MAX));
    let mut frames = 0;
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        frames += 1;
    }
    other.abort();
    let turns = turns.load(std::sync::atomic::Ordering::Relaxed);
    assert!(frames > 1_000 && turns > 8, "{frames} frames, {turns} turns");
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn trailers_pass_and_the_source_is_read_to_its_end() {
    let trailers = HeaderMap::from_iter([(CONTENT_ENCODING, "in a trailer".parse().unwrap())]);
    let mut pieces = Pieces::new(&gzip(b"text"), 4);
    pieces.0.push_back(Frame::trailers(trailers.clone()));
    let mut body = Decoded::new(&mut headers("gzip"), pieces);
    let whole = (&mut body).collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&trailers));
    assert_eq!(whole.to_bytes(), "text");
    assert!(body.is_end_stream() && matches!(body.state, DecodeState::Ended));

    let mut cut = Pieces::new(&gzip(b"text")[..9], 4);
    cut.0.push_back(Frame::trailers(trailers));
    let error = Decoded::new(&mut headers("gzip"), cut).collect().await.unwrap_err();
    assert!(error.to_string().contains("breaks off"), "{error}");
}

#[tokio::test]
async fn after_an_error_there_is_nothing_more() {
    let mut body = Decoded::new(&mut headers("gzip"), Pieces::new(b"<html>", 2));
    body.frame().await.unwrap().unwrap_err();
    assert!(body.frame().await.is_none() && body.is_end_stream());
}

#[tokio::test]
async fn a_plain_body_passes_uncopied() {
    let piece = Bytes::from(text());
    let mut body = Decoded::new(&mut HeaderMap::new(), Pieces([Frame::data(piece.clone())].into()));
    assert_eq!(body.size_hint().exact(), Some(piece.len() as u64));
    let passed = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!((passed.as_ptr(), passed.len()), (piece.as_ptr(), piece.len()));
}

#[test]
fn a_decoded_body_goes_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Decoded<Pieces>>();
}
