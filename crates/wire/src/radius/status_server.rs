//! Status-Server (RFC 5997): asking an accounting server whether it lives, without accounting anything.

use super::authenticator::{VerifyError, verify_response};
use super::{Authenticator, Code, EncodeError, Encoder, Packet, message_authenticator};

/// Writes a Status-Server. `authenticator` must be unpredictable, since nothing else binds the reply to this
/// request; `run` are further attributes, usually NAS-Identifier. Message-Authenticator is always there, and
/// first. The packet is ready to be sent.
pub fn encode<'a>(
    buffer: &'a mut [u8],
    identifier: u8,
    authenticator: &Authenticator,
    run: &[u8],
    secret: &[u8],
) -> Result<&'a mut [u8], EncodeError> {
    let mut encoder = Encoder::packet(buffer, Code::STATUS_SERVER, identifier);
    encoder.authenticator(authenticator).message_authenticator().raw(run);
    let packet = encoder.finish()?;
    message_authenticator::sign(packet, secret);
    Ok(packet)
}

/// Judges what came back on the accounting port: an Accounting-Response (RFC 5997 section 2.1), signed as any.
pub fn verify_reply(
    packet: &Packet<'_>,
    request_authenticator: &Authenticator,
    secret: &[u8],
) -> Result<(), VerifyError> {
    if packet.code() != Code::ACCOUNTING_RESPONSE {
        return Err(VerifyError::Code);
    }
    verify_response(packet, request_authenticator, secret)
}
