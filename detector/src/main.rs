//! The binary `timejump`; everything is in the library.

fn main() -> std::process::ExitCode {
    timejump::cli::main()
}
