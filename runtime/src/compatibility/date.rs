//! A date without a time, as compatibility dates are written.

use std::fmt;
use std::str::FromStr;

/// A compatibility date, such as `2026-08-04`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompatibilityDate {
    year: u16,
    month: u8,
    day: u8,
}

/// The text is not a date of the form `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date; write it as YYYY-MM-DD, for example 2026-08-04")]
pub struct InvalidDate(String);

impl CompatibilityDate {
    /// Later than any date that can be written.
    pub(super) const MAX: Self = Self::new(u16::MAX, 12, 31);

    pub(super) const fn new(year: u16, month: u8, day: u8) -> Self {
        Self { year, month, day }
    }
}

impl FromStr for CompatibilityDate {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        parse(text).ok_or_else(|| InvalidDate(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<CompatibilityDate> {
    let shape = text.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 10 || !shape {
        return None;
    }
    let date = CompatibilityDate::new(
        text.get(..4)?.parse().ok()?,
        text.get(5..7)?.parse().ok()?,
        text.get(8..)?.parse().ok()?,
    );
    let is_leap = date.year.is_multiple_of(4) && (!date.year.is_multiple_of(100) || date.year.is_multiple_of(400));
    let days = match date.month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&date.day).then_some(date)
}

impl fmt::Display for CompatibilityDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::CompatibilityDate;

    #[test]
    fn only_dates_of_the_calendar_are_accepted() {
        for text in ["2026-08-04", "2024-02-29", "2000-02-29", "0001-01-01"] {
            assert_eq!(
                text.parse().map(|date: CompatibilityDate| date.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "2026-8-4",
            "2026-13-01",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-08-00",
            "+026-08-04",
            "",
            "today",
        ] {
            assert!(text.parse::<CompatibilityDate>().is_err(), "{text}");
        }
    }
}
