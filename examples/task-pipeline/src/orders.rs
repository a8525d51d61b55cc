//! Generates orders, the same ones every time.

use std::fmt::Write;

const REGIONS: [&str; 4] = ["north", "east", "south", "west"];

/// Generates `count` orders as CSV.
pub(crate) fn made_up(count: u64) -> String {
    let mut csv = String::from("id,region,amount\n");
    let mut state = 88_172_645_463_325_252_u64;
    for id in 1..=count {
        // Xorshift, a pseudorandom generator.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let region = REGIONS[(state % 4) as usize];
        let cents = (state >> 8) % 100_000;
        // Writing to a string cannot fail.
        let _ = writeln!(csv, "{id},{region},{}.{:02}", cents / 100, cents % 100);
    }
    csv
}
