//! Embeds the eBPF object that `cargo xtask build-ebpf` made.
//!
//! `TIMEJUMP_BPF_OBJECT` names it. Without it (`cargo check`, an editor, a machine with no eBPF toolchain) the binary
//! carries none, says so in `timejump status` and captures by what needs no eBPF.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=TIMEJUMP_BPF_OBJECT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("timejump.bpf.o");
    match env::var_os("TIMEJUMP_BPF_OBJECT").filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo::rerun-if-changed={}", path.display());
            if let Err(error) = fs::copy(&path, &out) {
                panic!("TIMEJUMP_BPF_OBJECT={}: {error}", path.display());
            }
        }
        None => fs::write(&out, []).expect("OUT_DIR is writable"),
    }
}
