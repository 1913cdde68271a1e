//! The way to a server's SFTP subsystem: connection, host key, login, channel.

use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::settings::{BillServer, BillServerLogin, LocalAaaServer};
use russh::client::{self, AuthResult, DisconnectReason, Handle};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, ssh_key};
use russh::{ChannelMsg, Disconnect, Preferred, cipher, compression, kex, mac};
use russh_sftp::client::RawSftpSession;
use tokio::net::TcpStream;

use super::host_key::{Fingerprint, Judge};
use super::{DeliveryError, Patience, key};

/// Key exchanges: hybrid and elliptic first; none with SHA-1.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];
/// Host keys. RSA is left out: the library's RSA is open to a timing attack (RUSTSEC-2023-0071), and every server that has
/// an RSA key can have one of these beside it.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];
/// Ciphers: authenticated ones first; no CBC.
const CIPHERS: &[cipher::Name] =
    &[cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::AES_256_CTR, cipher::AES_128_CTR];
/// For the ciphers that need one; none with SHA-1.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

/// A session of SFTP over its own connection.
pub(super) struct Session {
    handle: Handle<Client>,
    pub(super) sftp: Arc<RawSftpSession>,
}

impl Session {
    /// Says good-bye; a server that does not listen is left.
    pub(super) async fn close(self) {
        let _ = self.sftp.close_session();
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}

/// Connects, judges the host key, logs in, and begins SFTP.
pub(super) async fn connect(
    patience: Patience,
    server: &BillServer,
    settings: &LocalAaaServer,
    known_hosts: &Path,
) -> Result<Session, DeliveryError> {
    let login = server.login.as_ref().ok_or(DeliveryError::NoLogin)?;
    let key = settings.key_file.as_deref().map(|path| key::load(Path::new(path))).transpose()?;
    let address = SocketAddr::from((server.address, login.port));
    let stream = reach(patience, address).await?;
    let is_dismissed = Arc::new(AtomicBool::new(false));
    let judge = Judge::new(&settings.host_key, address, known_hosts);
    let client = Client { judge, is_dismissed: is_dismissed.clone() };
    let greeting = client::connect_stream(Arc::new(config(patience)), stream, client);
    let mut handle = within(patience.operation, greeting).await?.map_err(|error| match error {
        ClientError::Refused(error) => error,
        ClientError::Ssh(error) => DeliveryError::from(error),
    })?;
    match within(patience.operation, log_in(&mut handle, login, key)).await? {
        // What ends the connection is the answer, if the server said so before.
        Err(DeliveryError::Cut) if is_dismissed.load(Ordering::Acquire) => return Err(DeliveryError::LoginRefused),
        outcome => outcome?,
    }
    let sftp = within(patience.operation, begin(&handle, patience)).await??;
    Ok(Session { handle, sftp: Arc::new(sftp) })
}

async fn within<T>(patience: Duration, what: impl Future<Output = T>) -> Result<T, DeliveryError> {
    tokio::time::timeout(patience, what).await.map_err(|_| DeliveryError::TimedOut)
}

async fn reach(patience: Patience, address: SocketAddr) -> Result<TcpStream, DeliveryError> {
    let unreachable = |error: std::io::Error| DeliveryError::Unreachable(error.kind());
    let stream = match tokio::time::timeout(patience.connect, TcpStream::connect(address)).await {
        Ok(stream) => stream.map_err(unreachable)?,
        Err(_) => return Err(DeliveryError::Unreachable(std::io::ErrorKind::TimedOut)),
    };
    // Requests of SFTP are small and wait for answers.
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

fn config(patience: Patience) -> client::Config {
    client::Config {
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            key: Cow::Borrowed(HOST_KEYS),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        // A connection that nobody waits for any more must end by itself too.
        inactivity_timeout: Some(patience.operation.saturating_mul(2)),
        ..client::Config::default()
    }
}

/// With the key where there is one, else with the password. The host key has been judged.
async fn log_in(
    handle: &mut Handle<Client>,
    login: &BillServerLogin,
    key: Option<Arc<PrivateKey>>,
) -> Result<(), DeliveryError> {
    let user = login.user.as_str();
    let answer = match key {
        Some(key) => handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key, None)).await,
        None => {
            let password = std::str::from_utf8(login.password.octets()).map_err(|_| DeliveryError::LoginRefused)?;
            handle.authenticate_password(user, password).await
        }
    };
    match answer? {
        AuthResult::Success => Ok(()),
        // The library says so too when the connection ended.
        AuthResult::Failure { .. } if handle.is_closed() => Err(DeliveryError::Cut),
        AuthResult::Failure { .. } => Err(DeliveryError::LoginRefused),
    }
}

async fn begin(handle: &Handle<Client>, patience: Patience) -> Result<RawSftpSession, DeliveryError> {
    let mut channel = handle.channel_open_session().await?;
    channel.request_subsystem(true, "sftp").await?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => break,
            Some(ChannelMsg::Failure) => return Err(DeliveryError::NoSftp),
            Some(_) => {}
            None => return Err(DeliveryError::Cut),
        }
    }
    let config = russh_sftp::client::Config {
        request_timeout_secs: patience.operation.as_secs().max(1),
        ..russh_sftp::client::Config::default()
    };
    Ok(RawSftpSession::new_with_config(channel.into_stream(), config))
}

/// Our half of a connection.
struct Client {
    judge: Judge,
    /// The server has sent its farewell.
    is_dismissed: Arc<AtomicBool>,
}

/// Why a connection did not come about.
#[derive(Debug)]
enum ClientError {
    Refused(DeliveryError),
    Ssh(russh::Error),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> ClientError {
        ClientError::Ssh(error)
    }
}

impl client::Handler for Client {
    type Error = ClientError;

    /// The library has verified the signature of the exchange: the server has the key that it shows.
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let Some(found) = Fingerprint::of(key) else { return Ok(false) };
                self.judge.judge(found).map_err(ClientError::Refused)?;
                Ok(true)
            }
            // None was asked for.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => {
                self.is_dismissed.store(true, Ordering::Release);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

impl From<russh::Error> for DeliveryError {
    fn from(error: russh::Error) -> DeliveryError {
        use russh::Error;
        match error {
            Error::NoCommonAlgo { .. } | Error::UnknownAlgo => DeliveryError::NoCommonAlgorithm,
            Error::UnsupportedAuthMethod | Error::NoAuthMethod => DeliveryError::LoginRefused,
            Error::ChannelOpenFailure(_) | Error::RequestDenied => DeliveryError::NoSftp,
            Error::ConnectionTimeout | Error::KeepaliveTimeout | Error::InactivityTimeout | Error::Elapsed(_) => {
                DeliveryError::TimedOut
            }
            Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError | Error::IO(_) | Error::Join(_) => {
                DeliveryError::Cut
            }
            Error::SshKey(ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. }) => {
                DeliveryError::NoCommonAlgorithm
            }
            _ => DeliveryError::Protocol,
        }
    }
}
