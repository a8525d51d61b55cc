//! The same extension with the stock snapshot: it is loaded on top, and needs no build script.

#[path = "../stock.rs"]
#[expect(
    dead_code,
    reason = "the list of extensions is for the snapshot of the other program"
)]
mod stock;

use std::error::Error;
use std::time::Duration;

use deno_core::serde_json::json;
use deno_core::{Extension, OpState};
use isopod::bindings::Custom;
use isopod::extend::{Extend, NewWorker};
use isopod::{Options, Pool, Script};

struct Shop;

impl Extend for Shop {
    fn extensions(&self) -> Vec<Extension> {
        vec![stock::stock::init()]
    }

    fn prepare(&self, _worker: &NewWorker<'_>, state: &mut OpState) {
        state.put(stock::Shelves([("tea".to_owned(), 10)].into()));
    }
}

const SCRIPT: &str = "
    export class Shop {
        constructor(ctx, env) { this.stock = env.STOCK }
        left(item) { return this.stock.count(item) }
        sell(item, count) { return this.stock.take(item, count) }
    }
";

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder().threads(1).extend(Shop).build()?;
    let binding = Custom::new("ext:stock/stock.js", json!({ "shop": "market" }));
    let script = Script::builder("shop")
        .source(SCRIPT)
        .binding("STOCK", binding)
        .build()?;
    pool.deploy("shop", script, &Options::default())?;
    for count in [4, 7] {
        match pool.call_blocking::<_, String>("shop#Shop", "sell", ("tea", count)) {
            Ok(receipt) => println!("{receipt}"),
            Err(failure) => println!("{count} tea: {}", failure.message),
        }
    }
    let left: u32 = pool.call_blocking("shop#Shop", "left", ("tea",))?;
    println!("{left} left");
    let report = pool.shutdown_blocking(Duration::from_secs(5));
    eprintln!("{} threads joined", report.threads_joined);
    Ok(())
}
