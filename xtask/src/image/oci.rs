//! The archive: images of one or more families under one name, as the OCI image layout has it. umoci makes the images.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

use super::{Image, Origin, REPOSITORY, sbom::hex};
use crate::{arch::Arch, process};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const TITLE: &str = "timejump";
const DESCRIPTION: &str = "Detects jumps of the wall clock on Linux and Kubernetes nodes";
const LICENSES: &str = "Apache-2.0 OR MIT";

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Digest of the index: what names the image in a registry.
    pub digest: String,
    /// Family, digest of its manifest, bytes of its layer as it is fetched.
    pub images: Vec<(Arch, String, u64)>,
}

/// Writes an archive of images, the same bytes for the same images.
pub fn write(archive: &Path, origin: &Origin, images: &[Image]) -> Result<Written> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let layout = folder.path().join("layout");
    let layout = layout.to_str().context("the temporary folder's name is no UTF-8")?;
    umoci(&["init", "--layout", layout])?;
    for image in images {
        let layer = folder.path().join("layer.tar");
        fs::write(&layer, &image.layer).context("cannot write the layer")?;
        add(layout, origin, image.arch, &layer)?;
    }
    // What the steps of making them left behind.
    umoci(&["gc", "--layout", layout])?;
    let written = join(Path::new(layout), origin, images)?;
    let partial = archive.with_extension("partial");
    pack(Path::new(layout), origin, &partial)?;
    fs::rename(&partial, archive).with_context(|| format!("cannot write {}", archive.display()))?;
    Ok(written)
}

fn umoci(words: &[&str]) -> Result<()> {
    process::quiet(Command::new("umoci").args(words))
}

/// One image, by the name of its family.
fn add(layout: &str, origin: &Origin, arch: Arch, layer: &Path) -> Result<()> {
    let image = format!("{layout}:{}", arch.debian);
    let layer = layer.to_str().context("the temporary folder's name is no UTF-8")?;
    umoci(&["new", "--image", &image])?;
    umoci(&["raw", "add-layer", "--no-history", "--image", &image, layer])?;
    let labels = labels(origin).map(|(key, value)| format!("--config.label={key}={value}"));
    let annotations = labels_as_annotations(origin);
    let annotations: Vec<_> =
        annotations.iter().map(|annotation| format!("--manifest.annotation={annotation}")).collect();
    let mut words = vec!["config", "--no-history", "--image", &image, "--created", &origin.created];
    words.extend(["--os", "linux", "--architecture", arch.debian]);
    words.extend(["--config.user", "0", "--config.workingdir", "/"]);
    words.extend(["--config.entrypoint", "/timejump", "--config.cmd", "run"]);
    words.extend(labels.iter().map(String::as_str));
    words.extend(annotations.iter().map(String::as_str));
    umoci(&words)
}

fn labels(origin: &Origin) -> [(&'static str, String); 6] {
    [
        ("org.opencontainers.image.title", TITLE.to_owned()),
        ("org.opencontainers.image.description", DESCRIPTION.to_owned()),
        ("org.opencontainers.image.version", origin.version.clone()),
        ("org.opencontainers.image.revision", origin.revision.clone()),
        ("org.opencontainers.image.source", env!("CARGO_PKG_REPOSITORY").to_owned()),
        ("org.opencontainers.image.licenses", LICENSES.to_owned()),
    ]
}

fn labels_as_annotations(origin: &Origin) -> Vec<String> {
    labels(origin).into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// Puts all images under one name: registries and runtimes choose by family from an index.
fn join(layout: &Path, origin: &Origin, images: &[Image]) -> Result<Written> {
    let top = layout.join("index.json");
    let made: Value = serde_json::from_slice(&fs::read(&top).context("umoci made no index")?)?;
    let mut manifests = Vec::new();
    let mut told = Vec::new();
    for image in images {
        let name = image.arch.debian;
        let mut entry = made["manifests"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == name)
            .with_context(|| format!("umoci made no image for {name}"))?
            .clone();
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("annotations");
        }
        entry["platform"] = json!({ "architecture": name, "os": "linux" });
        let digest = entry["digest"].as_str().context("an image without a digest")?.to_owned();
        let manifest: Value = serde_json::from_slice(&fs::read(blob(layout, &digest))?)?;
        let size = manifest["layers"][0]["size"].as_u64().context("an image without a layer")?;
        told.push((image.arch, digest, size));
        manifests.push(entry);
    }
    let annotations: serde_json::Map<_, _> =
        labels(origin).into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
        "annotations": annotations,
    }))?;
    let digest = format!("sha256:{}", hex(&Sha256::digest(&index)));
    fs::write(blob(layout, &digest), &index).context("cannot write the index")?;
    let entry = json!({
        "mediaType": INDEX,
        "digest": digest,
        "size": index.len(),
        "annotations": {
            "io.containerd.image.name": format!("{REPOSITORY}:{}", origin.version),
            "org.opencontainers.image.ref.name": origin.version,
        },
    });
    fs::write(&top, serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": [entry] }))?)?;
    Ok(Written { digest, images: told })
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Packs the layout's files, in the order of their names.
fn pack(layout: &Path, origin: &Origin, archive: &Path) -> Result<()> {
    let file = File::create(archive).with_context(|| format!("cannot make {}", archive.display()))?;
    let mut tar = Builder::new(io::BufWriter::new(file));
    let mut names = vec!["index.json".to_owned(), "oci-layout".to_owned()];
    let blobs = fs::read_dir(layout.join("blobs/sha256")).context("umoci made no blobs")?;
    for entry in blobs {
        names.push(format!("blobs/sha256/{}", entry?.file_name().to_string_lossy()));
    }
    names.sort();
    for name in names {
        let contents = fs::read(layout.join(&name)).with_context(|| format!("umoci made no {name}"))?;
        if let Some(digest) = name.strip_prefix("blobs/sha256/") {
            ensure!(hex(&Sha256::digest(&contents)) == digest, "{name} is damaged");
        }
        let mut header = Header::new_ustar();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(origin.epoch_s);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, &name, contents.as_slice())?;
    }
    tar.into_inner()?.flush().context("cannot write the archive")
}
