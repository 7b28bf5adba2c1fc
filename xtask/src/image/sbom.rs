//! The list of components in CycloneDX's form: the same bytes for the same program and commit.

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Origin, components::Component};
use crate::arch::Arch;

/// The version of the form.
const SPECIFICATION: &str = "1.5";

/// The list, as JSON.
pub(super) fn text(origin: &Origin, arch: Arch, components: &[Component], program: &[u8]) -> Result<String> {
    let (own, others): (Vec<_>, Vec<_>) =
        components.iter().partition(|component| component.name == "timejump");
    let mut subject = own.first().map_or_else(|| json!({}), |component| entry(component));
    subject["type"] = json!("application");
    subject["hashes"] = json!([hash(&hex(&Sha256::digest(program)))]);
    subject["properties"] = json!([
        { "name": "timejump:revision", "value": origin.revision },
        { "name": "timejump:target", "value": arch.target },
    ]);
    let mut list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": { "timestamp": origin.created, "component": subject },
        "components": others.iter().map(|component| entry(component)).collect::<Vec<_>>(),
        "dependencies": components.iter().map(dependencies).collect::<Vec<_>>(),
    });
    let serial = serial(&Sha256::digest(list.to_string()));
    list["serialNumber"] = json!(serial);
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

fn entry(component: &Component) -> Value {
    let mut entry = json!({
        "type": "library",
        "bom-ref": component.reference(),
        "name": component.name,
        "version": component.version,
        // What only took part in building is listed, and marked.
        "scope": if component.build_only { "excluded" } else { "required" },
    });
    if let Some(purl) = &component.purl {
        entry["purl"] = json!(purl);
    }
    if let Some(license) = &component.license {
        entry["licenses"] = json!([{ "expression": license }]);
    }
    if let Some(checksum) = &component.checksum {
        entry["hashes"] = json!([hash(checksum)]);
    }
    if let Some(source) = &component.source {
        entry["externalReferences"] = json!([{ "type": "vcs", "url": source }]);
    }
    entry
}

fn dependencies(component: &Component) -> Value {
    json!({ "ref": component.reference(), "dependsOn": component.uses })
}

fn hash(content: &str) -> Value {
    json!({ "alg": "SHA-256", "content": content })
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A UUID of the list's own contents (version 8: of one's own making).
fn serial(digest: &[u8]) -> String {
    let digits = hex(digest);
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..32]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_a_uuid() {
        let serial = serial(&[0x5a; 32]);
        assert_eq!(serial, "urn:uuid:5a5a5a5a-5a5a-8a5a-8a5a-5a5a5a5a5a5a");
    }
}
