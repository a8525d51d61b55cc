//! The `isopod` command, built with the benchmarks: built from its own package, most dependencies would be compiled
//! again with other features.

fn main() -> std::process::ExitCode {
    isopod_cli::cli::main()
}
