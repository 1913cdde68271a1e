//! Why a TLS connection ended, in words that lead to what must be mended.

use model::time::Wall;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};

use super::TlsClient;
use super::expiry::date;

/// The sentence about an error of a connection that was begun with `client`.
pub(crate) fn cause(error: &Error, client: &TlsClient) -> String {
    let (name, ca) = (client.name.to_str(), &client.ca);
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => format!("its certificate is signed by no CA of {ca}"),
            CertificateError::BadSignature => format!("its certificate is not signed by the CA of {ca} that it names"),
            CertificateError::Expired => "its certificate has expired".to_owned(),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("its certificate has expired at {}", date_of(*not_after))
            }
            CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("its certificate is not valid before {}", date_of(*not_before))
            }
            CertificateError::NotValidForName => format!("its certificate is not for {name}"),
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                format!("its certificate is not for {name}, but for nobody (it has no subjectAltName)")
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("its certificate is not for {name}, but for {}", presented.join(", "))
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is not one of a server".to_owned()
            }
            CertificateError::Revoked => "its certificate is revoked".to_owned(),
            error => format!("its certificate is refused: {error}"),
        },
        Error::AlertReceived(alert) => format!("it sent the alert {alert:?}"),
        Error::InvalidMessage(_) => "what it speaks is no TLS".to_owned(),
        Error::PeerIncompatible(why) => format!("it cannot be agreed with: {why:?}"),
        Error::PeerMisbehaved(why) => format!("it breaks the protocol: {why:?}"),
        error => error.to_string(),
    }
}

fn date_of(time: UnixTime) -> String {
    date(Wall::from_millis(time.as_secs().saturating_mul(1000)))
}
