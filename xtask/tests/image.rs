//! The image of the program that the other tests test: an archive that is whole, the same each time, and says what is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Read,
    path::Path,
    process::Command,
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use xtask::{arch::Arch, image::sbom::hex};

/// Packs the program that was built, unless there is none: that is said, and is a failure in CI.
fn pack(out: &Path) -> Option<()> {
    let Some(program) = env::var_os("TIMEJUMP_BIN") else {
        let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!ci, "TIMEJUMP_BIN is not set: run `cargo xtask test`");
        println!("skipped: TIMEJUMP_BIN is not set: run `cargo xtask test`");
        return None;
    };
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = xtask.args(["image", "--binary"]).arg(program).arg("--out").arg(out).output();
    let output = output.expect("xtask starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ghcr.io/timejump/timejump:") && said.contains(" MiB "), "{said}");
    Some(())
}

/// Name and contents of each file of a tar archive.
fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar archive");
    let file = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("an entry");
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).expect("contents");
        (entry.path().expect("a path").display().to_string(), contents)
    };
    entries.map(file).collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// The blob that a descriptor names, which it must have the digest and the size of.
fn blob<'a>(files: &'a BTreeMap<String, Vec<u8>>, of: &Value) -> &'a [u8] {
    let digest = of["digest"].as_str().expect("a digest");
    let blob = &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(digest, format!("sha256:{}", hex(&Sha256::digest(blob))));
    assert_eq!(of["size"], blob.len());
    blob
}

#[test]
fn an_image_is_whole_and_made_anew_it_is_the_same() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    for folder in &folders {
        let Some(()) = pack(folder.path()) else { return };
    }
    let arch = Arch::host().expect("known");
    let version = env!("CARGO_PKG_VERSION");
    let archive = format!("timejump-{version}-{}.oci.tar", arch.debian);
    let list = format!("timejump-{version}-{}.cdx.json", arch.debian);
    let read = |folder: usize, name: &str| fs::read(folders[folder].path().join(name)).expect("written");
    assert!(read(0, &archive) == read(1, &archive), "two archives of one program differ");
    assert!(read(0, &list) == read(1, &list), "two lists of one program differ");

    let files = files(&read(0, &archive));
    let named = &json(&files["index.json"])["manifests"][0];
    assert_eq!(
        named["annotations"]["io.containerd.image.name"],
        format!("ghcr.io/timejump/timejump:{version}")
    );
    let index = json(blob(&files, named));
    let entry = &index["manifests"][0];
    assert_eq!(entry["platform"], serde_json::json!({ "architecture": arch.debian, "os": "linux" }));
    let manifest = json(blob(&files, entry));
    let config = json(blob(&files, &manifest["config"]));
    blob(&files, &manifest["layers"][0]);
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    // Nothing that nobody names.
    assert_eq!(files.keys().filter(|name| name.starts_with("blobs/")).count(), 4);

    let run = &config["config"];
    assert_eq!(run["Entrypoint"], serde_json::json!(["/timejump"]));
    assert_eq!(run["Cmd"], serde_json::json!(["run"]));
    assert_eq!(run["User"], "0");
    assert_eq!(config["architecture"], arch.debian);
    for label in ["title", "version", "revision", "source", "licenses"] {
        let value = run["Labels"][format!("org.opencontainers.image.{label}")].as_str();
        assert!(value.is_some_and(|value| !value.is_empty()), "{label}: {config}");
    }
    is_complete(&json(&read(0, &list)), arch);
}

/// Each package of Cargo.lock that cargo links into the programs is in the list, with its checksum, and no other is.
fn is_complete(list: &Value, arch: Arch) {
    assert_eq!((&list["bomFormat"], &list["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let serial = list["serialNumber"].as_str().expect("a serial number");
    assert!(serial.starts_with("urn:uuid:") && serial.len() == "urn:uuid:".len() + 36, "{serial}");
    assert_eq!(list["metadata"]["component"]["name"], "timejump");
    let components = list["components"].as_array().expect("components");
    let mut references = BTreeSet::from([list["metadata"]["component"]["bom-ref"].to_string()]);
    let mut linked = BTreeMap::new();
    for component in components {
        for field in ["type", "name", "version", "bom-ref"] {
            assert!(component[field].is_string(), "{field}: {component}");
        }
        assert!(references.insert(component["bom-ref"].to_string()), "twice: {component}");
        let cargo = component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/"));
        if cargo {
            assert!(component["licenses"][0]["expression"].is_string(), "no licence: {component}");
        }
        if cargo && component["scope"] == "required" {
            let key = format!("{} v{}", component["name"], component["version"]).replace('"', "");
            linked.insert(key, component["hashes"][0]["content"].as_str().map(str::to_owned));
        }
    }
    for name in ["sqlite", "rust-std", "detector-ebpf", "detector-common"] {
        assert!(components.iter().any(|component| component["name"] == name), "no {name}");
    }
    for of in list["dependencies"].as_array().expect("dependencies") {
        let uses = of["dependsOn"].as_array().expect("a list");
        assert!(references.contains(&of["ref"].to_string()), "{of}");
        assert!(uses.iter().all(|used| references.contains(&used.to_string())), "{of}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("a lock file");
    let mut expected = BTreeSet::new();
    for program in ["timejump", "detector-ebpf"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--prefix", "none", "--format", "{p}", "-p", program]);
        cargo.args(["-e", "normal,no-proc-macro", "--target", arch.target]).current_dir(&root);
        let tree = String::from_utf8(cargo.output().expect("cargo starts").stdout).expect("UTF-8");
        // Those of this workspace have their path behind them.
        let lines = tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.contains('('));
        expected.extend(lines.map(str::to_owned).filter(|line| !line.is_empty()));
    }
    assert!(expected.len() > 100, "{expected:?}");
    assert_eq!(linked.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (package, checksum) in &linked {
        let checksum = checksum.as_ref().unwrap_or_else(|| panic!("{package} has no checksum"));
        assert!(lock.contains(&format!("checksum = \"{checksum}\"")), "{package}: {checksum}");
    }
}

#[test]
fn a_program_that_is_not_linked_statically_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    // cargo needs a loader and a C library; what the tests are built with needs neither.
    let program = env!("CARGO");
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = xtask.args(["image", "--binary"]).arg(program).arg("--out").arg(folder.path()).output();
    let output = output.expect("xtask starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not linked statically"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
