//! Makes the snapshot that isolates start from.

fn main() {
    isopod_snapshot::build(isopod_ext::extensions);
}
