//! The `isopod` command.

fn main() -> std::process::ExitCode {
    isopod::cli::main()
}
