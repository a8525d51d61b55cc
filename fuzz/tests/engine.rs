//! How a target is run: through its corpus, then through inputs made for it, until a number or a time is reached.
//!
//! proptest makes and shrinks them. What an input was is on disk before it is tried, so that it is known of one that
//! takes the whole process with it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

/// Inputs as an ordinary test, the same each time.
const CASES: u32 = 200;

/// A target, named as its folder in `fuzz/corpus`.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// No input may take longer. Generous: the machine may be busy, and the build is not optimised.
    pub(crate) slow: Duration,
    /// Inputs as an ordinary test.
    pub(crate) cases: u32,
}

/// How long to go on.
enum Budget {
    Cases(u32),
    Until(Instant),
}

impl Target {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            slow: Duration::from_secs(5),
            cases: CASES,
        }
    }

    /// For targets of which one input takes long: so many of them as an ordinary test, each within this time.
    pub(crate) const fn slow(name: &'static str, cases: u32, slow: Duration) -> Self {
        Self { name, slow, cases }
    }

    /// Checks each text of the corpus, then those that `inputs` makes, which is given the corpus.
    pub(crate) fn run<S>(&self, inputs: impl FnOnce(Vec<String>) -> S, check: impl Fn(&str))
    where
        S: Strategy<Value = String>,
    {
        let corpus = corpus(self.name);
        let timed = |text: &str| {
            let start = Instant::now();
            check(text);
            assert!(start.elapsed() < self.slow, "it took {:?}", start.elapsed());
        };
        for (path, text) in &corpus {
            note(self.name, "input", text);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| timed(text))) {
                eprintln!("{}: failed with {}", self.name, path.display());
                resume_unwind(panic);
            }
        }
        let (budget, seed) = (self.budget(), seed());
        quietly();
        let strategy = inputs(corpus.into_iter().map(|(_, text)| text).collect());
        let (start, made) = (Instant::now(), Cell::new(0_u64));
        let mut batch = 0;
        while budget.goes_on(batch) {
            let mut runner = TestRunner::new(Config {
                cases: budget.batch(self.cases),
                failure_persistence: None,
                max_shrink_time: 20_000,
                max_shrink_iters: 2000,
                rng_seed: RngSeed::Fixed(seed + batch),
                ..Config::default()
            });
            QUIET.set(true);
            let result = runner.run(&strategy, |text| {
                // A case more or less at the end of the time is all the same.
                if budget.goes_on(0) {
                    made.set(made.get() + 1);
                    note(self.name, "input", &text);
                    timed(&text);
                }
                Ok(())
            });
            QUIET.set(false);
            if let Err(TestError::Fail(why, text)) = result {
                note(self.name, "finding", &text);
                panic!("{} (seed {}): {why}\n{text}", self.name, seed + batch);
            }
            batch += 1;
        }
        eprintln!(
            "{}: {} inputs in {:.1?}, seed {seed}",
            self.name,
            made.get(),
            start.elapsed()
        );
    }

    fn budget(&self) -> Budget {
        match std::env::var("ISOPOD_FUZZ_SECONDS")
            .ok()
            .and_then(|seconds| seconds.parse().ok())
        {
            Some(seconds) => Budget::Until(Instant::now() + Duration::from_secs_f64(seconds)),
            None => Budget::Cases(self.cases),
        }
    }
}

impl Budget {
    fn goes_on(&self, batch: u64) -> bool {
        match self {
            Self::Cases(_) => batch == 0,
            Self::Until(end) => Instant::now() < *end,
        }
    }

    fn batch(&self, cases: u32) -> u32 {
        match self {
            Self::Cases(cases) => *cases,
            // Long enough that making a runner costs nothing, short enough to hear of the end.
            Self::Until(_) => cases.max(CASES),
        }
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Shrinking fails a thousand times, and only the last of them is of interest.
fn quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |about| {
            if !QUIET.get() {
                before(about);
            }
        }));
    });
}

fn seed() -> u64 {
    let given = std::env::var("ISOPOD_FUZZ_SEED").ok();
    given.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// The texts of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// Leaves a text where `cargo xtask fuzz` looks for it.
fn note(target: &str, what: &str, text: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}.{what}"));
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
