//! A pool whose workers have an additional extension, and lack some of the usual APIs.

// The build script uses the rest of the module.
mod stock;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use deno_core::OpState;
use deno_core::serde_json::json;
use isopod::bindings::Custom;
use isopod::extend::{Extend, NewWorker};
use isopod::{Options, Pool, Script};

struct Shop;

impl Extend for Shop {
    fn prepare(&self, _worker: &NewWorker<'_>, state: &mut OpState) {
        let there = [("tea", 10), ("coffee", 2)];
        state.put(stock::Shelves(
            there.map(|(item, count)| (item.to_owned(), count)).into(),
        ));
    }

    fn modules(&self) -> Vec<(String, Arc<str>)> {
        vec![(
            "shop:prices".to_owned(),
            "export const price = { tea: 3, coffee: 5 };".into(),
        )]
    }

    fn removed_globals(&self) -> Vec<String> {
        vec!["fetch".to_owned()]
    }
}

const SCRIPT: &str = "
    import { price } from 'shop:prices';
    export class Shop {
        constructor(ctx, env) { this.stock = env.STOCK }
        buy(item, count) {
            const left = this.stock.take(item, count);
            return `${count} ${item} for ${price[item] * count}. ${left}`;
        }
        globals() { return `fetch: ${typeof fetch}, Deno: ${typeof Deno}` }
    }
";

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder()
        .threads(1)
        .image(isopod::extend::image!(stock::extensions))
        .extend(Shop)
        .build()?;
    let script = Script::builder("shop")
        .source(SCRIPT)
        .binding("STOCK", Custom::new("ext:stock/stock.js", json!({ "shop": "harbour" })))
        .build()?;
    pool.deploy("shop", script, &Options::default())?;
    for (item, count) in [("tea", 4), ("coffee", 2), ("tea", 7)] {
        match pool.call_blocking::<_, String>("shop#Shop", "buy", (item, count)) {
            Ok(receipt) => println!("{receipt}"),
            Err(failure) => println!("{count} {item}: {}", failure.message),
        }
    }
    println!("{}", pool.call_blocking::<_, String>("shop#Shop", "globals", ())?);
    let report = pool.shutdown_blocking(Duration::from_secs(5));
    eprintln!("{} threads joined", report.threads_joined);
    Ok(())
}
