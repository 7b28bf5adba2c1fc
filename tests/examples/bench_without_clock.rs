//! The parts of `cargo xtask bench` that touch no clock, on the machine itself: `cargo run --release -p timejump-tests
//! --example bench_without_clock`. Prints JSON, times in ns.

use std::io::Write as _;

use anyhow::Result;
use timejump_tests::bench::{node, tokens};

fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let results = serde_json::json!({
        "node": node::measure(directory.path())?,
        "tokens": tokens::measure(directory.path())?,
    });
    writeln!(std::io::stdout(), "{results:#}")?;
    Ok(())
}
