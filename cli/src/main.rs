//! The `isopod` command.

fn main() -> std::process::ExitCode {
    isopod_cli::cli::main()
}
