//! Cron expressions: the next time is later, there is none in between, and both directions agree.

use std::time::{Duration, UNIX_EPOCH};

use isopod_cli::config::Cron;

use crate::engine::Target;
use crate::mutate::mutated;

const WORDS: &[&str] = &[
    "*", "*/", "-", ",", "/", "?", "L", "W", "#", "#5", "LW", "MON", "SUN-SAT", "FEB", "29", "30", "31", "60", "0",
    "* ", "@daily", "+", "\t", "5L", "15W", "0/", "1-5/2",
];

fn check(text: &str) {
    let Ok(cron) = text.parse::<Cron>() else { return };
    assert_eq!(cron.to_string(), text);
    for seconds in [0, 951_782_399, 1_772_359_200, 4_102_444_800] {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        let Some(next) = cron.next_after(now) else { continue };
        assert!(next > now, "{next:?} is not after {now:?}");
        assert_eq!(cron.last_until(next), Some(next), "seen from {now:?}");
        let last = cron.last_until(next - Duration::from_secs(1));
        assert!(
            last.is_none_or(|last| last <= now),
            "{last:?} lies between {now:?} and {next:?}"
        );
    }
}

#[test]
fn cron() {
    Target::new("cron").run(|corpus| mutated(corpus, WORDS), check);
}
