//! The certificates of one broker and of its client, made by `openssl`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::run;

const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
";

/// An authority, and a certificate of it for either side.
pub(super) fn make(folder: &Path) {
    fs::write(folder.join("openssl.cnf"), CONFIG).unwrap();
    make_one(folder, "ca", &[]);
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
    make_one(folder, "server", &signed);
    make_one(folder, "client", &signed);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let keystore = read("server.key") + &read("server.pem");
    fs::write(folder.join("keystore.pem"), keystore).unwrap();
}

/// Writes `NAME.key` and `NAME.pem`.
fn make_one(folder: &Path, name: &str, signed: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-noenc", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-config", "openssl.cnf", "-extensions", name])
        .args(["-subj", &format!("/CN=tidewatch test {name}")])
        .args(["-keyout", &format!("{name}.key")])
        .args(["-out", &format!("{name}.pem")])
        .args(signed)
        .current_dir(folder);
    run(&mut openssl, "openssl");
}
