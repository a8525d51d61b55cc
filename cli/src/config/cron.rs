//! Cron expressions and their times. Pure.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};

use super::text::{TextForm, text_value};

/// A cron expression with the syntax of Workers, in UTC: minute, hour, day of month, month, day of week. With six fields the
/// first is the second. Days of the week are 1 to 7 starting on Sunday, or `SUN` to `SAT`.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use isopod_cli::config::Cron;
///
/// let hourly: Cron = "30 * * * *".parse()?;
/// assert_eq!(hourly.next_after(UNIX_EPOCH), Some(UNIX_EPOCH + Duration::from_secs(30 * 60)));
/// assert_eq!(hourly.to_string(), "30 * * * *");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone)]
pub struct Cron {
    /// The expression as written, by which scripts distinguish their triggers.
    text: String,
    times: croner::Cron,
}
text_value!(Cron);

impl Cron {
    /// Returns the first time after `time`, or `None` if there is none in the calendar.
    #[must_use]
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        self.times
            .find_next_occurrence(&second_of(time)?, false)
            .ok()
            .and_then(system_time)
    }

    /// Returns the last time up to and including `time`.
    #[must_use]
    pub fn last_until(&self, time: SystemTime) -> Option<SystemTime> {
        self.times
            .find_previous_occurrence(&second_of(time)?, true)
            .ok()
            .and_then(system_time)
    }
}

/// Rounds a time down to its second, the resolution of expressions.
fn second_of(time: SystemTime) -> Option<DateTime<Utc>> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
}

fn system_time(time: DateTime<Utc>) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(time.timestamp()).ok()?))
}

impl TextForm for Cron {
    const FORMAT: &'static str = "cron";
    const ABOUT: &'static str = "a cron expression in UTC such as \"*/15 * * * *\" or \"0 9 * * MON-FRI\" (minute, hour, day, month, \
         day of the week; a field for seconds may come first)";

    fn parse(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .alternative_weekdays(true)
            .build();
        let wrong = |why: String| format!("{why}; should be {}", Self::ABOUT);
        let times = parser
            .parse(text)
            .map_err(|error| wrong(error.to_string().trim_end_matches('.').to_owned()))?;
        let cron = Self {
            text: text.to_owned(),
            times,
        };
        match cron.next_after(UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(wrong("that time never comes".to_owned())),
        }
    }

    fn print(&self) -> String {
        self.text.clone()
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cron").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<DateTime<Utc>>().expect("a time").into()
    }

    fn next(cron: &str, after: &str) -> String {
        let next = cron.parse::<Cron>().expect("a cron").next_after(at(after));
        DateTime::<Utc>::from(next.expect("a next time"))
            .format("%FT%TZ")
            .to_string()
    }

    #[test]
    fn the_next_time_is_in_utc_and_strictly_later() {
        assert_eq!(next("*/15 * * * *", "2026-03-01T10:15:00Z"), "2026-03-01T10:30:00Z");
        assert_eq!(next("* * * * *", "2026-03-01T23:59:59.900Z"), "2026-03-02T00:00:00Z");
        assert_eq!(next("0 0 29 2 *", "2026-01-01T00:00:00Z"), "2028-02-29T00:00:00Z");
        assert_eq!(next("*/2 * * * * *", "2026-03-01T10:15:00Z"), "2026-03-01T10:15:02Z");
        // 2026-03-01 is a Sunday, which is day 1.
        assert_eq!(next("0 9 * * 2", "2026-03-01T00:00:00Z"), "2026-03-02T09:00:00Z");
        assert_eq!(next("0 9 * * MON", "2026-03-01T00:00:00Z"), "2026-03-02T09:00:00Z");
    }

    #[test]
    fn invalid_expressions_are_errors_with_an_example() {
        for wrong in [
            "",
            "* * * *",
            "61 * * * *",
            "0 9 * * 0",
            "hourly",
            "0 0 30 2 *",
            "* * * * * 2027 *",
        ] {
            let error = wrong.parse::<Cron>().expect_err(wrong);
            assert!(error.contains("*/15 * * * *"), "{wrong}: {error}");
        }
    }

    /// A field of an expression: any, every nth, one, or a range.
    fn field(low: u8, high: u8) -> impl Strategy<Value = String> {
        prop_oneof![
            Just("*".to_owned()),
            (1..=high - low).prop_map(|step| format!("*/{step}")),
            (low..=high).prop_map(|value| value.to_string()),
            (low..high).prop_flat_map(move |from| (from + 1..=high).prop_map(move |to| format!("{from}-{to}"))),
        ]
    }

    fn expression() -> impl Strategy<Value = String> {
        (field(0, 59), field(0, 59), field(0, 23), field(1, 28), field(1, 12))
            .prop_map(|(second, minute, hour, day, month)| format!("{second} {minute} {hour} {day} {month} *"))
    }

    proptest! {
        #[test]
        fn no_time_lies_between_a_moment_and_the_next(text in expression(), seconds in 0_u64..4_000_000_000, millis in 0_u64..1000) {
            let cron: Cron = text.parse().expect("an expression");
            let now = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis);
            let next = cron.next_after(now).expect("a next time");
            prop_assert!(next > now);
            // Looking back from just before the time, and from the time itself, gives the same result.
            let before = next - Duration::from_millis(1);
            prop_assert!(cron.last_until(before).is_none_or(|last| last <= now));
            prop_assert_eq!(cron.last_until(next), Some(next));
        }
    }
}
