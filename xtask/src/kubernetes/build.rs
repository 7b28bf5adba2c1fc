//! Builds the components from Debian's source package, which holds all that they import, by the Go that Kubernetes was released
//! with.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::COMPONENTS;
use crate::{
    debian::{Archive, Release},
    keep,
    layout::Layout,
    process,
};

/// What is built: of Debian's source packages of Kubernetes the newest that has its servers. Later ones hold kubectl alone.
pub const VERSION: &str = "1.20.2";
/// The last release that has it.
const SOURCE_RELEASE: Release = Release::Bookworm;
const SOURCE: &str = "kubernetes";
/// Not that one's Go, 1.19: the reflect2 that Kubernetes 1.20 brings is older than Go 1.18, which changed what it relies on.
const GO_RELEASE: Release = Release::Bullseye;
const GO: [&str; 2] = ["golang-1.15-go", "golang-1.15-src"];
const GOROOT: &str = "usr/lib/go-1.15";
/// The client, for people: the tests do without.
const CLIENT: &str = "kubectl";
/// Neither clouds nor Docker.
const TAGS: &str = "providerless,dockerless";
/// By what name its packages import each other.
const IMPORT: &str = "k8s.io/kubernetes";
/// The one file that its authors generate and do not release: what the apiserver knows of the types it serves.
const GENERATED: &str = "pkg/generated/openapi";
/// What marks packages with such types, where they are.
const MARK: &str = "+k8s:openapi-gen=";
const MARKED: [&str; 2] = ["pkg", "staging/src/k8s.io"];
/// Packages of the second that no server has.
const UNMARKED: [&str; 2] = ["code-generator", "sample-apiserver"];
/// etcd's command: what Kubernetes brings of etcd is a library.
const ETCD: &str = include_str!("etcd.go");

/// Builds them, unless that was done, and gives the folder they are in.
pub fn build(layout: &Layout) -> Result<PathBuf> {
    let folder = layout.target.join("kubernetes").join(VERSION);
    keep::once(&folder, &format!("Kubernetes {VERSION}, built from Debian's source"), |partial| {
        let work = partial.join("work");
        let workshop = Workshop::fetch(layout, &work)?;
        workshop.generate()?;
        for name in COMPONENTS.iter().map(|component| component.name).chain([CLIENT]) {
            eprintln!("xtask: building {name}");
            workshop.compile(&format!("./cmd/{name}"), &partial.join(name))?;
        }
        // A gigabyte.
        fs::remove_dir_all(&work).context("cannot clean up")
    })?;
    Ok(folder)
}

/// Sources and compiler.
struct Workshop {
    go: PathBuf,
    source: PathBuf,
    /// The source is below it, where Go looked for sources when there were no modules.
    gopath: PathBuf,
    cache: PathBuf,
}

impl Workshop {
    fn fetch(layout: &Layout, work: &Path) -> Result<Self> {
        let (go, source) = (work.join("go"), work.join("source"));
        Archive::with_sources(layout, SOURCE_RELEASE, |archive| archive.unpack_upstream(SOURCE, &source))?;
        Archive::with(layout, GO_RELEASE, |archive| archive.unpack(&GO.map(str::to_owned), &go))?;
        let command = source.join("cmd/etcd");
        fs::create_dir_all(&command)?;
        fs::write(command.join("main.go"), ETCD)?;
        let gopath = work.join("gopath");
        let place = gopath.join("src").join(IMPORT);
        fs::create_dir_all(place.parent().context("a place has a parent")?)?;
        symlink(&source, &place).context("cannot link the source")?;
        Ok(Self { go: go.join(GOROOT), source, gopath, cache: work.join("cache") })
    }

    /// A program that finds this Go and nothing else.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", self.go.join("bin").display()))
            .env("GOROOT", &self.go)
            .env("GOPATH", &self.gopath)
            .env("GOCACHE", &self.cache)
            .env("GOPROXY", "off")
            .env("GOSUMDB", "off")
            .env("GOFLAGS", "-mod=vendor")
            .env("GO111MODULE", "on")
            .env("CGO_ENABLED", "0");
        command
    }

    fn compile(&self, package: &str, into: &Path) -> Result<()> {
        let stamped = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
            .map(|package| format!("-X {package}.gitVersion=v{VERSION}"))
            .join(" ");
        let mut go = self.command(self.go.join("bin/go"));
        go.args(["build", "-tags", TAGS, "-ldflags"]).arg(format!("-s -w {stamped}"));
        process::quiet(go.arg("-o").arg(into).arg(package).current_dir(&self.source))
    }

    /// Makes the file that is not released.
    fn generate(&self) -> Result<()> {
        let generator = self.gopath.join("openapi-gen");
        self.compile("./vendor/k8s.io/kube-openapi/cmd/openapi-gen", &generator)?;
        let packages = self.marked()?;
        let mut command = self.command(&generator);
        // It knows nothing of modules.
        command.env("GO111MODULE", "off").env_remove("GOFLAGS");
        // By the path that leads through the link: by the real one it finds no types of others.
        let place = self.gopath.join("src").join(IMPORT);
        command.current_dir(&place).env("PWD", &place);
        command.arg("--input-dirs").arg(packages.join(","));
        command.arg("--output-package").arg(format!("{IMPORT}/{GENERATED}"));
        command.args(["--output-file-base", "zz_generated.openapi"]);
        command.args(["--go-header-file", "hack/boilerplate/boilerplate.generatego.txt"]);
        command.arg("--report-filename").arg(self.gopath.join("violations"));
        command.arg("--output-base").arg(self.gopath.join("src"));
        process::quiet(&mut command)
    }

    /// The packages with types to describe.
    fn marked(&self) -> Result<Vec<String>> {
        let mut grep = Command::new("grep");
        grep.args(["--recursive", "--files-with-matches", "--include=*.go", "--fixed-strings", MARK]);
        let files = process::stdout(grep.args(MARKED).current_dir(&self.source))?;
        Ok(packages(&files).into_iter().map(|package| format!("{IMPORT}/{package}")).collect())
    }
}

/// The packages of files, each once, by the paths that they are imported by.
fn packages(files: &str) -> BTreeSet<String> {
    let files = files.lines().filter(|file| !file.ends_with("_test.go"));
    let folders = files.filter_map(|file| file.rsplit_once('/')).map(|(folder, _)| folder);
    let imported = |folder: &str| match folder.strip_prefix("staging/src/") {
        Some(vendored) => format!("vendor/{vendored}"),
        None => folder.to_owned(),
    };
    let served = |folder: &&str| {
        !UNMARKED.iter().any(|name| folder.starts_with(&format!("staging/src/k8s.io/{name}/")))
    };
    folders.filter(served).map(imported).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_once_and_as_imported() {
        let files = "pkg/apis/a/doc.go\npkg/apis/a/types.go\npkg/apis/b/doc_test.go\n\
                     staging/src/k8s.io/api/core/v1/doc.go\nstaging/src/k8s.io/code-generator/x/doc.go\n";
        let packages: Vec<_> = packages(files).into_iter().collect();
        assert_eq!(packages, ["pkg/apis/a", "vendor/k8s.io/api/core/v1"]);
    }
}
