//! Values passed from a script to Rust and back. Values with a JSON form are unchanged; everything else is a value or
//! an exception, within its time, and the worker continues.

use std::time::Duration;

use futures::executor::block_on;
use isopod_pool::js::{Limits, Pool, Script};
use isopod_pool::{Failure, Options, Outcome};
use serde_json::Value;

use crate::engine::Target;
use crate::expression::{any_value, plain};

const SOURCE: &str = r#"
const made = (text) => new Function(`return (${text})`)();
export const make = (text) => made(text);
export const id = (value) => value;
const sorted = (value) =>
  Array.isArray(value) ? value.map(sorted)
  : value !== null && typeof value === "object" ? Object.keys(value).sort().map((key) => [key, sorted(value[key])])
  : typeof value === "string" ? value.toWellFormed()
  : value;
export const same = (text, value) => JSON.stringify(sorted(made(text))) === JSON.stringify(sorted(value));
"#;

fn pool() -> Pool {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let limits = Limits::default().cpu(Duration::from_secs(2));
    let script = Script::builder("values").source(SOURCE).limits(limits);
    let options = Options::default().wall_timeout(Duration::from_secs(10));
    pool.deploy("values", script.build().expect("a script"), &options)
        .expect("a pool that runs");
    pool
}

fn make(pool: &Pool, text: &str) -> Result<Value, Failure> {
    block_on(pool.call("values", "make", (text.to_owned(),)))
}

fn back(pool: &Pool, value: &Value) -> Value {
    block_on(pool.call("values", "id", (value.clone(),))).expect("what came from a script goes back to it")
}

#[test]
fn plain_values() {
    let pool = pool();
    let check = |text: &str| {
        let value = make(&pool, text).expect("a plain value");
        assert_eq!(back(&pool, &value), value);
        let same = block_on(pool.call::<_, bool>("values", "same", (text.to_owned(), value.clone())));
        assert_eq!(same, Ok(true), "it came as {value}");
    };
    Target::slow("plain_values", 100, Duration::from_secs(10)).run(|_| plain(), check);
}

#[test]
fn odd_values() {
    let pool = pool();
    let check = |text: &str| {
        match make(&pool, text) {
            Ok(value) => assert_eq!(back(&pool, &value), value),
            Err(failure) => {
                let expected = [
                    Outcome::Exception,
                    Outcome::ExceededCpu,
                    Outcome::ExceededMemory,
                    Outcome::ExceededWall,
                ];
                assert!(expected.contains(&failure.outcome), "{failure}");
            }
        }
        assert_eq!(block_on(pool.call("values", "id", (7,))), Ok(7), "the next call");
    };
    Target::slow("odd_values", 15, Duration::from_secs(20)).run(|_| any_value(), check);
}
