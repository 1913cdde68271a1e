//! RADIUS over TLS (RFC 6614): whom a server must be signed by, and who we say we are.

use std::sync::LazyLock;

use super::Secret;

/// How a RADIUS server is spoken to over TLS. Files are read by the daemon, as PEM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RadiusTls {
    /// The file of the certificates of which one must have signed the server's.
    pub ca: String,
    /// The file of our certificate, with those between it and its CA. With [`RadiusTls::key`] or not at all.
    pub cert: Option<String>,
    /// The file of the key to it.
    pub key: Option<String>,
    /// The name that the server's certificate must be for; `None`: its address.
    pub server_name: Option<String>,
}

/// What authenticators are computed with where TLS protects the packets and nothing else is agreed on (RFC 6614 section 2.3).
pub(super) static RADSEC: LazyLock<Secret> = LazyLock::new(|| Secret::new(b"radsec".to_vec(), String::new()));
