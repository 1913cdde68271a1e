//! Certificates and keys, read from PEM files.

use std::sync::Arc;

use model::settings::RadiusTls;
use model::time::Wall;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::expiry::Expiry;

/// The files that a server's settings name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Files {
    ca: String,
    /// Our certificate, and the key to it.
    own: Option<(String, String)>,
}

/// What was read of them.
#[derive(Debug)]
pub(super) struct Read {
    /// `None`: they cannot be used.
    pub(super) config: Option<Arc<ClientConfig>>,
    /// When what is in them ends.
    pub(super) expiries: Vec<Expiry>,
}

impl Files {
    pub(super) fn of(tls: &RadiusTls) -> Files {
        Files { ca: tls.ca.clone(), own: tls.cert.clone().zip(tls.key.clone()) }
    }

    /// Reads them. Those that cannot be used leave what was read `before`.
    pub(super) fn read(&self, before: Option<Read>, problems: &mut Vec<String>) -> Read {
        match self.try_read() {
            Ok(read) => read,
            Err(problem) => match before.filter(|before| before.config.is_some()) {
                Some(before) => {
                    problems.push(format!("{problem}; what was read of it before stays in force"));
                    before
                }
                None => {
                    problems.push(format!("{problem}; servers that need it are not spoken to"));
                    Read { config: None, expiries: Vec::new() }
                }
            },
        }
    }

    fn try_read(&self) -> Result<Read, String> {
        let mut roots = RootCertStore::empty();
        let authorities = certificates(&self.ca)?;
        let mut expiries = authorities.iter().map(|der| expiry(&self.ca, der)).collect::<Result<Vec<_>, _>>()?;
        for authority in authorities {
            roots
                .add(authority)
                .map_err(|error| format!("{} holds a certificate that is no CA's: {error}", self.ca))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be had: {error}"))?
            .with_root_certificates(roots);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                expiries.extend(chain.first().map(|leaf| expiry(cert, leaf)).transpose()?);
                builder.with_client_auth_cert(chain, private_key(key)?).map_err(|error| match error {
                    rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        format!("the key in {key} is not that of the certificate in {cert}")
                    }
                    error => format!("the certificate in {cert} and the key in {key} cannot be used: {error}"),
                })?
            }
        };
        // RADIUS/1.1 (RFC 9765) is agreed on here, once it is spoken: `radius/1.1` before `radius/1.0`. Nothing offered is 1.0.
        config.alpn_protocols = Vec::new();
        Ok(Read { config: Some(Arc::new(config)), expiries })
    }
}

fn octets(file: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    std::fs::read(file).map(Zeroizing::new).map_err(|error| format!("{file} cannot be read: {error}"))
}

/// All certificates of a file; at least one.
fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let octets = octets(file)?;
    let found = CertificateDer::pem_slice_iter(&octets).collect::<Result<Vec<_>, pem::Error>>();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{file} holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{file} is damaged: {error}")),
    }
}

fn private_key(file: &str) -> Result<PrivateKeyDer<'static>, String> {
    let octets = octets(file)?;
    if octets.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) {
        return Err(format!("the key in {file} is encrypted; it must stand in clear"));
    }
    PrivateKeyDer::from_pem_slice(&octets).map_err(|error| match error {
        pem::Error::NoItemsFound => format!("{file} holds no private key in PEM"),
        error => format!("{file} is damaged: {error}"),
    })
}

/// How PKCS #8 begins a key that a password opens.
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// When a certificate of a file ends, and whose it is.
fn expiry(file: &str, der: &CertificateDer<'_>) -> Result<Expiry, String> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|error| format!("{file} holds a certificate that cannot be read: {error}"))?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok(Expiry {
        file: file.to_owned(),
        subject: certificate.subject().to_string(),
        not_after: Wall::from_millis(seconds.saturating_mul(1000)),
    })
}
