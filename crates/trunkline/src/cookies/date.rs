//! The time that a server writes in `Expires` (RFC 6265bis section 5.1.1): whatever order, whatever
//! punctuation.

use std::time::{Duration, SystemTime};

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The time it means, if it means one.
pub(super) fn parse(text: &[u8]) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|&byte| is_delimiter(byte)).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = hms(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1..=2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2..=4)
        {
            year = Some(found);
        }
    }
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    date(year, month?, day?, time?)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// So many digits, and then anything but a digit.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let length = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let found = digits.contains(&length).then(|| &token[..length])?;
    std::str::from_utf8(found).ok()?.parse().ok()
}

fn hms(token: &[u8]) -> Option<(u32, u32, u32)> {
    let mut fields = token.splitn(3, |&byte| byte == b':');
    let (hour, minute, second) = (fields.next()?, fields.next()?, fields.next()?);
    let whole = |field: &[u8]| number(field, 1..=2).filter(|_| field.iter().all(u8::is_ascii_digit));
    Some((whole(hour)?, whole(minute)?, number(second, 1..=2)?))
}

/// 1 to 12.
fn month_of(token: &[u8]) -> Option<u32> {
    let name = token.get(..3)?;
    (1..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(month)).map(|(number, _)| number)
}

fn date(year: u32, month: u32, day: u32, (hour, minute, second): (u32, u32, u32)) -> Option<SystemTime> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1601 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let time = i64::from(hour * 3600 + minute * 60 + second);
    let seconds = days_to(year, month, day) * 86_400 + time;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

/// Days from 1 January 1970. A year is taken to begin in March, so that a leap day is its last.
fn days_to(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let month = i64::from((month + 9) % 12);
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> Option<i64> {
        let time = parse(text.as_bytes())?;
        Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap(),
        })
    }

    #[test]
    fn the_three_formats_of_http_and_what_servers_make_of_them() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "6 nov 1994 8:49:37",
            "08:49:37 1994 6 November",
            "06th novelty 94AD 08:49:37.5",
            "\t;Sun@6@Nov@1994@08:49:37z@@",
            "Sun, 06 Nov 1994 08:49:37 -0800",
        ] {
            assert_eq!(unix(text), Some(784_111_777), "{text:?}");
        }
    }

    #[test]
    fn two_digits_of_a_year_are_of_1970_to_2069() {
        assert_eq!(unix("1 Jan 70 00:00:00"), Some(0));
        assert_eq!(unix("1 Jan 1970 00:00:00"), Some(0));
        assert_eq!(unix("31 Dec 99 23:59:59"), Some(946_684_799));
        assert_eq!(unix("1 Jan 00 00:00:00"), Some(946_684_800));
        assert_eq!(unix("1 Jan 69 00:00:00"), Some(3_124_224_000));
    }

    #[test]
    fn the_calendar_is_kept() {
        assert_eq!(unix("29 Feb 2000 00:00:00"), Some(951_782_400));
        assert_eq!(unix("29 Feb 2024 12:00:00"), Some(1_709_208_000));
        assert_eq!(unix("1 Mar 2100 00:00:00"), Some(4_107_542_400));
        assert_eq!(unix("31 Dec 9999 23:59:59"), Some(253_402_300_799));
        assert_eq!(unix("1 Jan 1601 00:00:00"), Some(-11_644_473_600));
        for no_such_day in ["29 Feb 2023", "29 Feb 1900", "31 Apr 2024", "30 Feb 2024", "0 Jan 2024", "32 Jan 2024"] {
            assert_eq!(unix(&format!("{no_such_day} 00:00:00")), None, "{no_such_day}");
        }
    }

    #[test]
    fn what_lacks_a_part_or_has_an_impossible_one_is_no_date() {
        for text in [
            "",
            "tomorrow",
            "06 Nov 1994",
            "06 Nov 08:49:37",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "06 Nov 1600 08:49:37",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 00:60:00",
            "06 Nov 1994 00:00:60",
            "06 Nov 1994 08:49",
            "06 Nov 1994 08:49:",
            "06 Nov 1994 008:49:37",
            "06 Nov 19940 08:49:37",
            "006 Nov 1994 08:49:37",
            "06 Nov 994 08:49:37",
        ] {
            assert_eq!(unix(text), None, "{text:?}");
        }
    }
}
