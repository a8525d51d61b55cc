//! Creates the snapshot: Isopod's extensions except one, and the `stock` extension.

#[path = "src/stock.rs"]
mod stock;

fn main() {
    println!("cargo:rerun-if-changed=src/stock.rs");
    isopod::extend::build_snapshot(stock::extensions);
}
