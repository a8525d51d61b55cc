//! Makes the snapshot: Isopod's extensions but for one, and the stock exchange.

#[path = "src/stock.rs"]
mod stock;

fn main() {
    println!("cargo:rerun-if-changed=src/stock.rs");
    isopod::extend::build_snapshot(stock::extensions);
}
