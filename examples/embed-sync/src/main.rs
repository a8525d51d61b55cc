//! A program without an async runtime that calls JavaScript functions from several threads at once.
//!
//! It reads orders from standard input, one per line (`tea 3`), and prints what the rules in `rules.js` decide.

use std::error::Error;
use std::io::BufRead;
use std::time::Duration;

use futures::executor::block_on;
use isopod::{Failure, Limits, Options, Outcome, Pool, Script};
use serde::{Deserialize, Serialize};

/// An argument of the JavaScript function: any type that serde can serialize.
#[derive(Clone, Serialize)]
struct Order {
    item: String,
    number: u32,
}

#[derive(Deserialize)]
struct Decision {
    accepted: bool,
    reason: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let orders: Vec<Order> = std::io::stdin()
        .lock()
        .lines()
        .map(|line| parse(&line?))
        .collect::<Result<_, _>>()?;

    let pool = Pool::builder().threads(2).build()?;
    let script = Script::builder("rules")
        .source(include_str!("rules.js"))
        // Other people write the rules; an endless one must not hang the program.
        .limits(Limits::default().cpu(Duration::from_millis(200)))
        .build()?;
    pool.deploy("rules", script, &Options::default())?;
    // Any executor works. Without this line, the first call would wait for a worker to start.
    block_on(pool.warm("rules"))?;

    let lines = std::thread::scope(|scope| {
        let decisions: Vec<_> = orders
            .iter()
            .map(|order| scope.spawn(|| decide(&pool, order)))
            .collect();
        decisions
            .into_iter()
            .map(|decision| decision.join().map_err(|_| "a thread panicked"))
            .collect::<Vec<_>>()
    });
    for (order, line) in orders.iter().zip(lines) {
        println!("{} {}: {}", order.number, order.item, line?);
    }

    // Optional: dropping the last handle also ends the pool, but without a report.
    let report = pool.shutdown_blocking(Duration::from_secs(5));
    eprintln!("{} threads joined, {} events cut", report.threads_joined, report.cut);
    Ok(())
}

fn decide(pool: &Pool, order: &Order) -> String {
    // Arguments are a tuple, slice or vector; a one-element tuple needs its comma. They move to another thread, so they
    // are owned.
    match block_on(pool.call::<_, Decision>("rules", "decide", (order.clone(),))) {
        Ok(Decision { accepted: true, reason }) => format!("accepted, {reason}"),
        Ok(Decision {
            accepted: false,
            reason,
        }) => format!("refused, {reason}"),
        Err(Failure {
            outcome: Outcome::Exception,
            message,
            ..
        }) => format!("the rule failed: {message}"),
        Err(failure) => format!("no decision ({})", failure.outcome),
    }
}

fn parse(line: &str) -> Result<Order, Box<dyn Error>> {
    let (item, number) = line
        .split_once(' ')
        .ok_or_else(|| format!("not an order, such as `tea 3`: {line}"))?;
    Ok(Order {
        item: item.to_owned(),
        number: number.trim().parse()?,
    })
}
