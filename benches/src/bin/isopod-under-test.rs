//! The `isopod` command, built with the benchmarks: as a binary of its own package it would have most dependencies
//! compiled a second time, with other features.

fn main() -> std::process::ExitCode {
    isopod_cli::cli::main()
}
