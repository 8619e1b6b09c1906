//! Dates and times as the HTML standard writes them (section "Dates and times").

/// The text itself, or nothing.
pub(super) fn if_valid(text: &str, valid: impl Fn(&str) -> Option<()>) -> String {
    valid(text).map(|()| text.to_owned()).unwrap_or_default()
}

/// `2026-11-23`
pub(super) fn date(text: &str) -> Option<()> {
    let (month, day) = text.rsplit_once('-')?;
    let (year, month) = year_and_month(month)?;
    let day = within(day, 1, days(year, month))?;
    ((year, month, day) <= LAST_DAY).then_some(())
}

/// `2026-11`
pub(super) fn month(text: &str) -> Option<()> {
    let (year, month) = year_and_month(text)?;
    ((year, month) <= (LAST_DAY.0, LAST_DAY.1)).then_some(())
}

/// `2026-W48`
pub(super) fn week(text: &str) -> Option<()> {
    let (year, week) = text.split_once("-W")?;
    let year = self::year(year)?;
    let week = within(week, 1, weeks(year))?;
    ((year, week) <= LAST_WEEK).then_some(())
}

/// `09:30`, `09:30:59`, `09:30:59.123`
pub(super) fn time(text: &str) -> Option<()> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    within(hour, 0, 23)?;
    within(minute, 0, 59)?;
    within(second, 0, 59)?;
    ((1..=3).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
}

/// `2026-11-23T09:30`: with a `T`, and no more of the time than says something.
pub(super) fn local(text: &str) -> Option<String> {
    let (day, clock) = text.split_once(['T', ' '])?;
    date(day)?;
    time(clock)?;
    let clock = if clock.contains('.') { clock.trim_end_matches('0').trim_end_matches('.') } else { clock };
    let clock = if clock.len() == 8 { clock.strip_suffix(":00").unwrap_or(clock) } else { clock };
    let moment = format!("{day}T{clock}");
    // Of the last day there is but the first instant.
    (!moment.starts_with("275760-09-13T") || clock == "00:00").then_some(moment)
}

fn year_and_month(text: &str) -> Option<(u32, u32)> {
    let (year, month) = text.rsplit_once('-')?;
    let month = within(month, 1, 12)?;
    Some((self::year(year)?, month))
}

/// The calendar of scripts ends here, and with it that of browsers.
const LAST_DAY: (u32, u32, u32) = (275_760, 9, 13);
const LAST_WEEK: (u32, u32) = (275_760, 37);

/// Four digits or more, and no year 0.
fn year(text: &str) -> Option<u32> {
    let digits = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|year| (1..=LAST_DAY.0).contains(year))
}

/// Two digits, and within these bounds.
fn within(text: &str, first: u32, last: u32) -> Option<u32> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = digits.then(|| text.parse().ok()).flatten()?;
    (first..=last).contains(&number).then_some(number)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// ISO 8601: a year has 53 weeks if it begins on a Thursday, or on a Wednesday and is a leap year.
fn weeks(year: u32) -> u32 {
    let before = year - 1;
    // 0 is a Monday, as was the 1st of January of the year 1.
    let first = (before + before / 4 - before / 100 + before / 400) % 7;
    if first == 3 || first == 2 && is_leap(year) { 53 } else { 52 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_calendar_is_valid() {
        for good in ["2024-02-29", "2000-02-29", "0001-01-01", "12026-12-31"] {
            assert!(date(good).is_some(), "{good}");
        }
        for bad in
            ["2023-02-29", "1900-02-29", "0000-01-01", "226-01-01", "2026-1-1", "2026-13-01", "2026-11-23 ", "", "--"]
        {
            assert!(date(bad).is_none(), "{bad}");
        }
        assert!(week("2020-W53").is_some() && week("2026-W53").is_some() && week("2025-W53").is_none());
        assert!(month("2026-11").is_some() && month("2026-00").is_none());
        for bad in ["24:00", "9:00", "09:60", "09:00:", "09:00:00.", "09:00:00.1234", "09"] {
            assert!(time(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_written_as_short_as_it_can_be() {
        for (given, short) in [
            ("2026-11-23 09:30", "2026-11-23T09:30"),
            ("2026-11-23T09:30:00", "2026-11-23T09:30"),
            ("2026-11-23T09:30:00.000", "2026-11-23T09:30"),
            ("2026-11-23T09:30:07.000", "2026-11-23T09:30:07"),
            ("2026-11-23T09:30:07.500", "2026-11-23T09:30:07.5"),
        ] {
            assert_eq!(local(given).as_deref(), Some(short), "{given}");
        }
    }
}
