//! The attacks, and how each has to end.

use std::time::Duration;

use isopod::{Limits, Outcome};

/// An attack: a function of `attacks.js`, or a script that fails before it has functions.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) ends: Ends,
}

/// The end of an attack, as the attacker sees it.
#[derive(Clone, Copy)]
pub(crate) enum Ends {
    /// The event ends with this outcome.
    As(Outcome),
    /// The script catches an error of this class and continues.
    Answering(&'static str),
}

const fn attack(name: &'static str, what: &'static str, ends: Ends) -> Attack {
    Attack { name, what, ends }
}

/// All attacks.
pub(crate) const ATTACKS: [Attack; 16] = [
    attack(
        "top_level",
        "for(;;) before there is a handler",
        Ends::As(Outcome::BootFailed),
    ),
    attack("loop", "for(;;) in a handler", Ends::As(Outcome::ExceededCpu)),
    attack(
        "microtasks",
        "a promise that re-arms itself",
        Ends::As(Outcome::ExceededCpu),
    ),
    attack("comparator", "for(;;) inside of a sort", Ends::As(Outcome::ExceededCpu)),
    attack(
        "proxy",
        "for(;;) inside of a proxy's trap",
        Ends::As(Outcome::ExceededCpu),
    ),
    attack(
        "regexp",
        "an expression that backtracks",
        Ends::As(Outcome::ExceededCpu),
    ),
    attack(
        "large_arrays",
        "the heap, in large pieces",
        Ends::As(Outcome::ExceededMemory),
    ),
    attack(
        "small_objects",
        "the heap, in small pieces",
        Ends::As(Outcome::ExceededMemory),
    ),
    attack(
        "array_buffer",
        "more memory than there is, at once",
        Ends::Answering("RangeError"),
    ),
    attack(
        "wasm_memory",
        "WebAssembly memory without end",
        Ends::Answering("RangeError"),
    ),
    attack("recursion", "a call without end", Ends::Answering("RangeError")),
    attack("rejections", "20,000 rejected promises", Ends::As(Outcome::Exception)),
    attack("timers", "a million timers", Ends::As(Outcome::Exception)),
    attack("never", "an answer that can never come", Ends::As(Outcome::Exception)),
    attack("late", "an answer after a minute", Ends::As(Outcome::ExceededWall)),
    attack(
        "prototypes",
        "built-ins overridden, then for(;;)",
        Ends::As(Outcome::ExceededCpu),
    ),
];

impl Attack {
    /// The attacker's script.
    pub(crate) fn source(&self) -> &'static str {
        match self.name {
            "top_level" => "for (;;);",
            _ => include_str!("attacks.js"),
        }
    }

    /// Short limits, so that attacks end quickly. Attacks that do not aim at the CPU get plenty of CPU time, because
    /// another limit has to end them.
    pub(crate) fn limits(&self) -> Limits {
        let burns = matches!(self.ends, Ends::As(Outcome::ExceededCpu));
        Limits::default()
            .cpu(Duration::from_millis(if burns { 100 } else { 20_000 }))
            .boot_cpu(Duration::from_millis(100))
            .memory_bytes(32 << 20)
    }

    pub(crate) fn wall(&self) -> Duration {
        let waits = matches!(self.ends, Ends::As(Outcome::ExceededWall));
        Duration::from_secs(if waits { 1 } else { 60 })
    }
}
