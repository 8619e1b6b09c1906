//! Retry policy: failures that are tried again, and the pause before.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

/// The longest `Retry-After` that is waited for.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// The bound of the pause before the second attempt. It doubles with each attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The upper limit of the bound.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// True for a status that may differ at the next attempt.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// True for a failure that may not recur at the next attempt.
pub(crate) fn is_transient_failure(http: &trunkline::Error) -> bool {
    if http.is_body() {
        // A body that broke off has a cause. One that is too large, or badly compressed, fails
        // again.
        return http.source().is_some();
    }
    let of_ours = http.is_input() || http.is_closed() || http.is_file();
    !(of_ours || http.is_certificate() || http.is_redirect() || http.is_status())
}

/// The pause that `Retry-After` asks for (RFC 9110 section 10.2.3). A zero or a date in the past is
/// ignored: all clients would come back at once.
pub(crate) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    wanted(headers, now).filter(|pause| !pause.is_zero())
}

fn wanted(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number out of range is the longest time.
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    // The server's clock may differ from this one.
    let now = date(headers, DATE).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    headers.get(name).map(HeaderValue::to_str)?.ok().and_then(|text| httpdate::parse_http_date(text).ok())
}

/// The pause before the next attempt: random below a bound that doubles, so that clients that
/// failed together do not come back together ("full jitter").
pub(crate) fn backoff(attempts: u32) -> Duration {
    let mut random = [0; 4];
    // Without random bytes, the whole bound.
    let share = getrandom::getrandom(&mut random).map_or(u32::MAX, |()| u32::from_ne_bytes(random));
    bound(attempts).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

fn bound(attempts: u32) -> Duration {
    let doubled = 1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_BACKOFF.saturating_mul(doubled).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(retry_after: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        headers
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |text, date| asked(&headers(text, date), now);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked("120", None), seconds(120));
        assert_eq!(asked(" 7 ", None), seconds(7));
        assert_eq!(asked("99999999999999999999999", None), seconds(u64::MAX));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT", None), seconds(60));
        assert_eq!(asked("Sunday, 06-Nov-94 08:50:37 GMT", None), seconds(60));
        let skewed = Some("Sun, 06 Nov 1994 09:00:00 GMT");
        assert_eq!(asked("Sun, 06 Nov 1994 09:00:05 GMT", skewed), seconds(5), "by the server's clock");
        assert!(asked("Fri, 31 Dec 9999 23:59:59 GMT", None) > seconds(250_000_000_000));
        for nonsense in
            ["", "soon", "-1", "1.5", "1 s", "0", "Sun, 06 Nov 1994 08:00:00 GMT", "Sun, 31 Feb 1994 08:00:00 GMT"]
        {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
        assert_eq!(super::asked(&HeaderMap::new(), now), None);
    }

    #[test]
    fn the_bound_doubles_and_ends() {
        let bounds = [1, 2, 3, 6, 7, 33, u32::MAX].map(|attempts| bound(attempts).as_millis());
        assert_eq!(bounds, [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
        for attempts in [1, 2, 50] {
            let waits: Vec<_> = (0..100).map(|_| backoff(attempts)).collect();
            assert!(waits.iter().all(|wait| *wait <= bound(attempts)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        }
    }
}
