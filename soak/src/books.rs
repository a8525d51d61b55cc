//! Accounting: the numbers of clients, server and pool must agree, to the last request.

use std::collections::BTreeMap;

use crate::client::NO_OUTCOME;
use crate::tally::Tally;

/// Metrics of the admin listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figures = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(figures.collect())
    }

    /// The value of a metric; 0 if missing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default() as u64
    }

    /// The samples of a metric, by the value of its only label.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    pub(crate) fn by_label(&self, name: &str) -> BTreeMap<&str, u64> {
        let samples = self.0.iter().filter_map(|(sample, value)| {
            let labels = sample.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
            Some((labels.split('"').nth(1)?, *value as u64))
        });
        samples.collect()
    }

    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.by_label(name).values().sum()
    }

    /// Returns true if no request is in flight.
    pub(crate) fn is_quiet(&self) -> bool {
        self.get("isopod_http_requests_open") == 0
            && self.sum("isopod_events_in_flight") == 0
            && self.sum("isopod_events_queued") == 0
    }
}

/// The disagreements, once no request is in flight.
pub(crate) fn disagreements(tally: &Tally, metrics: &Metrics) -> Vec<String> {
    let mut found = Vec::new();
    let mut hold = |agrees: bool, what: String| {
        if !agrees {
            found.push(what);
        }
    };
    let (sent, answers) = (tally.sent, tally.answers());
    hold(
        sent == answers + tally.left + tally.unanswered,
        format!(
            "{sent} requests were sent, but {answers} answered, {} left and {} unanswered",
            tally.left, tally.unanswered
        ),
    );
    let requests = metrics.by_label("isopod_http_requests_total");
    let of = |outcome: &str| requests.get(outcome).copied().unwrap_or_default();
    // The server may or may not have seen requests whose clients disconnected, and their outcomes are unknown: a script
    // that passes on a broken body fails. None of them exceeds a limit, though.
    let loose = tally.left + tally.unanswered;
    let slack = |outcome: &str| match outcome {
        "ok" | "exception" | "canceled" | "refused" => loose,
        _ => tally.unanswered,
    };
    for (outcome, counted) in &requests {
        let seen = tally.answered.get(*outcome).copied().unwrap_or_default();
        hold(
            (seen..=seen + slack(outcome)).contains(counted),
            format!("clients saw {seen} answers that say {outcome}, the server counted {counted}"),
        );
    }
    let all: u64 = requests.values().sum();
    // Invalid requests are answered before they are counted.
    let counted = answers - tally.answered.get(NO_OUTCOME).copied().unwrap_or_default();
    hold(
        (counted..=counted + loose).contains(&all),
        format!("clients saw {counted} answers and {loose} requests without one, the server counted {all} requests"),
    );
    let (accepted, refused) = (
        metrics.sum("isopod_events_accepted_total"),
        metrics.sum("isopod_events_refused_total"),
    );
    let ended = metrics.sum("isopod_events_total");
    hold(
        accepted == ended,
        format!("the pool accepted {accepted} events, {ended} outcomes were counted"),
    );
    let given = accepted + refused;
    // A request whose client leaves while its body is received is no event yet; one whose body is rejected may be one already.
    let canceled = metrics.by_label("isopod_events_total").get("canceled").copied();
    let unbegun = of("refused") + of("canceled").saturating_sub(canceled.unwrap_or_default());
    hold(
        (all - unbegun..=all).contains(&given),
        format!(
            "the server gave {} to {all} requests to the pool, which knows of {given}",
            all - unbegun
        ),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# HELP x y\nisopod_http_requests_total{outcome=\"ok\"} 8\n\
        isopod_http_requests_total{outcome=\"load_shed\"} 2\nisopod_http_requests_total{outcome=\"canceled\"} 1\n\
        isopod_http_requests_total{outcome=\"refused\"} 3\nisopod_events_accepted_total{worker=\"a\"} 9\n\
        isopod_events_refused_total{worker=\"a\"} 2\nisopod_events_total{outcome=\"ok\"} 8\n\
        isopod_events_total{outcome=\"canceled\"} 1\n";

    /// Eight successful responses, two shed, three rejected, one client that disconnected.
    fn tally() -> Tally {
        let mut tally = Tally::new();
        (tally.sent, tally.left) = (14, 1);
        for (outcome, count) in [("ok", 8), ("load_shed", 2), ("refused", 3)] {
            tally.answered.insert(outcome.to_owned(), count);
        }
        tally
    }

    #[test]
    fn matching_counts_are_distinguished_from_others() {
        assert_eq!(disagreements(&tally(), &Metrics::read(METRICS)), [""; 0]);
        let found = |tally: &Tally, text: &str| disagreements(tally, &Metrics::read(text)).concat();
        let twice = METRICS.replace(
            "isopod_events_total{outcome=\"ok\"} 8",
            "isopod_events_total{outcome=\"ok\"} 9",
        );
        assert!(found(&tally(), &twice).contains("accepted 9 events, 10 outcomes"));
        let lost = METRICS.replace("requests_total{outcome=\"ok\"} 8", "requests_total{outcome=\"ok\"} 7");
        assert!(found(&tally(), &lost).contains("clients saw 8 answers that say ok, the server counted 7"));
        let more = METRICS.replace(
            "requests_total{outcome=\"load_shed\"} 2",
            "requests_total{outcome=\"load_shed\"} 3",
        );
        assert!(found(&tally(), &more).contains("clients saw 2 answers that say load_shed, the server counted 3"));
        let unknown = METRICS.replace("accepted_total{worker=\"a\"} 9", "accepted_total{worker=\"a\"} 4");
        assert!(found(&tally(), &unknown).contains("which knows of 6"));
        let mut forgotten = tally();
        forgotten.answer(NO_OUTCOME);
        forgotten.sent += 2;
        assert!(found(&forgotten, METRICS).contains("16 requests were sent, but 14 answered, 1 left"));
    }

    #[test]
    fn figures_are_read_by_name_and_label() {
        let metrics = Metrics::read("a 3\nb{worker=\"x\"} 2\nb{worker=\"y\"} 5\n");
        assert_eq!((metrics.get("a"), metrics.sum("b"), metrics.get("none")), (3, 7, 0));
        assert_eq!(metrics.by_label("b")["y"], 5);
    }
}
