//! Any octets as a manifest: it is none, or what is read of it is written so that the same is read of it.

use ledger::bill::Manifest;

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let Ok(manifest) = Manifest::parse(input) else { return };
    let written = manifest.to_json();
    // A manifest has one sysname; its ids may name another, which is told by the file.
    assert_eq!(Manifest::parse(written.as_bytes()).as_ref(), Ok(&manifest), "{written}");
    assert!(written.ends_with("}\n") && written.matches('\n').count() == 1, "one line");
    let digits: String = manifest.sha256.iter().map(|octet| format!("{octet:02x}")).collect();
    let said = String::from_utf8_lossy(input).to_ascii_lowercase();
    assert!(said.contains(&digits) || said.contains('\\'), "the digest is one in digits");
}
