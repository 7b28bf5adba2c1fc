//! Mutual TLS: the consumer must show a certificate as well.

use std::{io::Cursor, time::Duration};

use tonic::transport::ServerTlsConfig;

use crate::deliver::grpc::TlsFiles;

/// How long a consumer may take to show its certificate.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// From files, which are looked at now: a mistake in them is told at the start, not at the first connection.
pub(super) fn config(files: &TlsFiles) -> Result<ServerTlsConfig, String> {
    let (identity, ca) = files.read().map_err(|error| error.to_string())?;
    for (path, label) in
        [(&files.ca, "CERTIFICATE"), (&files.certificate, "CERTIFICATE"), (&files.key, "PRIVATE KEY")]
    {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if !holds(&text, label) {
            return Err(format!("{}: there is no PEM block of a {}", path.display(), label.to_lowercase()));
        }
    }
    Ok(ServerTlsConfig::new()
        .identity(identity)
        .client_ca_root(ca)
        .client_auth_optional(false)
        .timeout(HANDSHAKE))
}

fn holds(text: &[u8], label: &str) -> bool {
    let lines = std::io::BufRead::lines(Cursor::new(text));
    lines.map_while(Result::ok).any(|line| line.starts_with("-----BEGIN") && line.contains(label))
}
