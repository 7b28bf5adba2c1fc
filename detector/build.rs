//! Embeds the eBPF object that `cargo xtask build-ebpf` made, and compiles the protocol (needs `protoc`).
//!
//! `TIMEJUMP_BPF_OBJECT` names the object. Without it (`cargo check`, an editor, a machine with no eBPF toolchain) the
//! binary carries none, says so in `timejump status` and captures by what needs no eBPF.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    embed_object(&out.join("timejump.bpf.o"));
    compile_protocol(&out.join("timejump.fds"));
}

fn embed_object(to: &PathBuf) {
    println!("cargo::rerun-if-env-changed=TIMEJUMP_BPF_OBJECT");
    match env::var_os("TIMEJUMP_BPF_OBJECT").filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo::rerun-if-changed={}", path.display());
            if let Err(error) = fs::copy(&path, to) {
                panic!("TIMEJUMP_BPF_OBJECT={}: {error}", path.display());
            }
        }
        None => fs::write(to, []).expect("OUT_DIR is writable"),
    }
}

fn compile_protocol(descriptors: &PathBuf) {
    println!("cargo::rerun-if-changed=proto");
    if let Err(error) = tonic_prost_build::configure()
        .file_descriptor_set_path(descriptors)
        .compile_protos(&["proto/timejump/v1/timejump.proto"], &["proto"])
    {
        panic!(
            "proto/timejump/v1/timejump.proto (Debian's protobuf-compiler, or `cargo xtask setup`): {error}"
        );
    }
}
