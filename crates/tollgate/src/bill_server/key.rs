//! The private key that logs in: a file in OpenSSH's format, without a passphrase.

use std::path::Path;
use std::sync::Arc;

use russh::keys::ssh_key::encoding::pem::PemLabel;
use russh::keys::ssh_key::encoding::{Decode, DecodePem, Encode, Reader};
use russh::keys::{Algorithm, PrivateKey, ssh_key};
use zeroize::Zeroizing;

use super::{DeliveryError, KeyFault};

/// Reads a key.
///
/// # Errors
///
/// [`DeliveryError::KeyFile`].
pub(super) fn load(path: &Path) -> Result<Arc<PrivateKey>, DeliveryError> {
    let unreadable = |error: std::io::Error| DeliveryError::KeyFile(KeyFault::Unreadable(error.kind()));
    let text = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    let key = parse(&text).ok_or(DeliveryError::KeyFile(KeyFault::NotAKey))?;
    if key.is_encrypted() {
        return Err(DeliveryError::KeyFile(KeyFault::Encrypted));
    }
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(Arc::new(key)),
        _ => Err(DeliveryError::KeyFile(KeyFault::Unsupported)),
    }
}

fn parse(text: &[u8]) -> Option<PrivateKey> {
    PrivateKey::from_openssh(text).ok().or_else(|| {
        let container = Container::decode_pem(text).ok()?;
        PrivateKey::from_bytes(&with_whole_scalar(&container.0)?).ok()
    })
}

/// The octets of a key file.
struct Container(Zeroizing<Vec<u8>>);

impl PemLabel for Container {
    const PEM_LABEL: &'static str = PrivateKey::PEM_LABEL;
}

impl Decode for Container {
    type Error = ssh_key::Error;

    fn decode(reader: &mut impl Reader) -> ssh_key::Result<Container> {
        let mut octets = Zeroizing::new(vec![0; reader.remaining_len()]);
        reader.read(&mut octets)?;
        Ok(Container(octets))
    }
}

/// What stands before the fields of a key file (PROTOCOL.key of OpenSSH).
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Octets of a scalar on P-256.
const SCALAR_LEN: usize = 32;
/// An open private section is padded to this.
const BLOCK_LEN: usize = 8;

/// OpenSSH writes the scalar of an ECDSA key without the zeros in front, as every mpint (RFC 4251, section 5). The library
/// refuses one on P-256 that is shorter than 32 octets, which is one key in 512: such a key gets its zeros back.
fn with_whole_scalar(container: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut reader = container.strip_prefix(MAGIC)?;
    let [cipher, kdf, options] = [next(&mut reader)?, next(&mut reader)?, next(&mut reader)?];
    let count = u32::decode(&mut reader).ok()?;
    let (public, mut section) = (next(&mut reader)?, next(&mut reader)?);
    if (cipher, count, reader) != (b"none", 1, b"") {
        return None;
    }
    let checks = section.split_off(..8)?;
    let (kind, curve, point) = (next(&mut section)?, next(&mut section)?, next(&mut section)?);
    let (scalar, comment) = (next(&mut section)?, next(&mut section)?);
    let zeros = SCALAR_LEN.checked_sub(scalar.len())?;
    if curve != b"nistp256" {
        return None;
    }

    let scalar = Zeroizing::new([&[0; SCALAR_LEN][..zeros], scalar].concat());
    let mut whole = Zeroizing::new(Vec::with_capacity(container.len() + SCALAR_LEN + BLOCK_LEN));
    whole.extend_from_slice(checks);
    for field in [kind, curve, point, &scalar, comment] {
        field.encode(&mut *whole).ok()?;
    }
    let padding = whole.len().next_multiple_of(BLOCK_LEN) - whole.len();
    whole.extend((1..).take(padding));

    let mut padded = Zeroizing::new(Vec::with_capacity(container.len() + SCALAR_LEN + BLOCK_LEN));
    padded.extend_from_slice(MAGIC);
    for field in [cipher, kdf, options] {
        field.encode(&mut *padded).ok()?;
    }
    count.encode(&mut *padded).ok()?;
    for field in [public, &whole] {
        field.encode(&mut *padded).ok()?;
    }
    Some(padded)
}

/// The next string of RFC 4251.
fn next<'a>(reader: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::decode(reader).ok()?;
    reader.split_off(..length)
}

#[cfg(test)]
mod tests {
    use russh::keys::HashAlg;

    use super::{load, parse};

    /// Made by `ssh-keygen -t ecdsa`, and by nobody used: its scalar has 31 octets.
    const SHORT: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n\
        1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSS2JSr6nIGsa6HTiZyHF3tzr5hvbCZ\n\
        G5EGC0ja9CRefmxMnr8e3oTlliCb4UTBgUiRC8O/PFgn3rrfDWJDJKoBAAAAoJKP84eSj/\n\
        OHAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJLYlKvqcgaxrodO\n\
        JnIcXe3OvmG9sJkbkQYLSNr0JF5+bEyevx7ehOWWIJvhRMGBSJELw788WCfeut8NYkMkqg\n\
        EAAAAfBbt8cTBKaS5WewLJugZbgU6fky0EgChaUKFyocrkFQAAAAdyb290QHZtAQI=\n\
        -----END OPENSSH PRIVATE KEY-----\n";

    const PUBLIC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJLYlKvqcgaxrodOJnIcXe3OvmG9sJkbkQYLSNr0JF5+bEyevx7ehOWWIJvhRMGBSJELw788WCfeut8NYkMkqgE=";

    #[test]
    fn a_scalar_that_begins_with_zeros_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, SHORT).unwrap();
        let key = load(&path).unwrap();
        // The public half is what ssh-keygen derives from it.
        assert_eq!(key.public_key().to_openssh().unwrap().rsplit_once(' ').map_or("", |(key, _comment)| key), PUBLIC);
        let signed = key.sign("namespace", HashAlg::Sha512, b"message").unwrap();
        key.public_key().verify("namespace", b"message", &signed).unwrap();
    }

    #[test]
    fn what_is_no_key_is_none() {
        for cut in 0..SHORT.len() - 1 {
            assert!(parse(&SHORT.as_bytes()[..cut]).is_none(), "{cut}");
        }
    }
}
