//! The one image that all pods run, the pause container included: busybox, as an OCI archive made here, so that nothing
//! is fetched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// By what name pods ask for it.
pub const NAME: &str = "timejump.test/busybox:1";

/// Writes the archive, with `busybox` (linked statically) in it.
pub fn write(archive: &Path, busybox: &Path) -> Result<()> {
    let program = fs::read(busybox).with_context(|| busybox.display().to_string())?;
    let layer = layer(&program)?;
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = serde_json::to_vec(&json!({
        "architecture": arch,
        "os": "linux",
        // What a sandbox runs: it only has to stay.
        "config": { "Cmd": ["/bin/sleep", "1000000000"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    }))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    }))?;
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": NAME });
    let index = serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": [entry] }))?;

    let file = File::create(archive).with_context(|| archive.display().to_string())?;
    let mut tar = Builder::new(file);
    add_file(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
    add_file(&mut tar, "index.json", &index, 0o644)?;
    for blob in [&layer, &config, &manifest] {
        add_file(&mut tar, &format!("blobs/{}", digest(blob).replace(':', "/")), blob, 0o644)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// A root file system with busybox under the names that pods use.
fn layer(busybox: &[u8]) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for folder in ["bin/", "dev/", "etc/", "proc/", "sys/", "tmp/"] {
        let mut header = header(0, 0o755);
        header.set_entry_type(EntryType::Directory);
        tar.append_data(&mut header, folder, io::empty())?;
    }
    add_file(&mut tar, "bin/busybox", busybox, 0o755)?;
    for name in ["sh", "sleep"] {
        let mut header = header(0, 0o777);
        header.set_entry_type(EntryType::Symlink);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox")?;
    }
    tar.into_inner()
}

fn add_file(tar: &mut Builder<impl Write>, path: &str, contents: &[u8], mode: u32) -> io::Result<()> {
    tar.append_data(&mut header(contents.len() as u64, mode), path, contents)
}

fn header(size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn digest(blob: &[u8]) -> String {
    Sha256::digest(blob).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Read;

    use super::*;

    #[test]
    fn every_digest_names_what_it_is_of() {
        let dir = tempfile::tempdir().expect("a directory");
        let (archive, program) = (dir.path().join("image.tar"), dir.path().join("program"));
        fs::write(&program, "#!").expect("written");
        write(&archive, &program).expect("an archive");
        let mut files = HashMap::new();
        for entry in tar::Archive::new(File::open(&archive).expect("there")).entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("contents");
            files.insert(path, bytes);
        }
        let blob = |of: &Value| {
            let digest = of["digest"].as_str().expect("a digest");
            let bytes = &files[&format!("blobs/{}", digest.replace(':', "/"))];
            assert_eq!(self::digest(bytes), digest);
            bytes
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).expect("JSON");
        let manifest: Value = serde_json::from_slice(blob(&index["manifests"][0])).expect("JSON");
        let config: Value = serde_json::from_slice(blob(&manifest["config"])).expect("JSON");
        blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    }
}
