//! The server's side of accounting: the answer to a request that was judged by
//! [`verify_request`](super::authenticator::verify_request).

use super::authenticator::sign_response;
use super::{Code, EncodeError, Encoder, Packet, Type, message_authenticator};

/// Writes the Accounting-Response to an Accounting-Request or a Status-Server, signed and ready to be sent.
///
/// Every Proxy-State is echoed unchanged and in order (RFC 2866 section 5); a request that carried
/// Message-Authenticator gets one back, in front. A reply is never longer than its request, so a buffer of 4,096
/// octets always suffices.
pub fn respond<'a>(request: &Packet<'_>, secret: &[u8], buffer: &'a mut [u8]) -> Result<&'a mut [u8], EncodeError> {
    reply(request, Code::ACCOUNTING_RESPONSE, &[], secret, buffer)
}

/// The same, but for the signature: the authenticator of the request stands in the place of its own, for
/// [`sign_responses`](super::authenticator::sign_responses).
pub fn respond_unsigned<'a>(
    request: &Packet<'_>,
    secret: &[u8],
    buffer: &'a mut [u8],
) -> Result<&'a mut [u8], EncodeError> {
    unsigned(request, Code::ACCOUNTING_RESPONSE, &[], secret, buffer)
}

/// The same with any code, and these attributes behind the echoed ones.
pub(super) fn reply<'a>(
    request: &Packet<'_>,
    code: Code,
    run: &[u8],
    secret: &[u8],
    buffer: &'a mut [u8],
) -> Result<&'a mut [u8], EncodeError> {
    let response = unsigned(request, code, run, secret, buffer)?;
    sign_response(response, request.authenticator(), secret);
    Ok(response)
}

fn unsigned<'a>(
    request: &Packet<'_>,
    code: Code,
    run: &[u8],
    secret: &[u8],
    buffer: &'a mut [u8],
) -> Result<&'a mut [u8], EncodeError> {
    let mut encoder = Encoder::packet(buffer, code, request.identifier());
    encoder.authenticator(request.authenticator());
    if request.find(Type::MESSAGE_AUTHENTICATOR).is_some_and(|value| value.len() == 16) {
        encoder.message_authenticator();
    }
    for attribute in request.attributes().filter(|attribute| attribute.kind == Type::PROXY_STATE) {
        encoder.attribute(attribute);
    }
    encoder.raw(run);
    let response = encoder.finish()?;
    message_authenticator::sign(response, secret);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radius::authenticator::{Unsigned, VerifyError, sign_request, verify_request, verify_response};
    use crate::radius::{PACKET_SIZE_MAX, status_server};

    const SECRET: &[u8] = b"testing123";

    /// An Accounting-Request with this run, signed.
    fn request<'a>(buffer: &'a mut [u8], run: &[u8], message_authenticator: bool) -> Packet<'a> {
        let mut encoder = Encoder::packet(buffer, Code::ACCOUNTING_REQUEST, 9);
        if message_authenticator {
            encoder.message_authenticator();
        }
        encoder.u32(Type::ACCT_STATUS_TYPE, 1).raw(run);
        let packet = encoder.finish().unwrap();
        sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator });
        Packet::parse(packet).unwrap()
    }

    #[test]
    fn echoes_every_proxy_state_in_order() {
        let (mut asked, mut answered) = ([0; 200], [0; 200]);
        let run = [33, 4, 1, 2, 32, 3, b'x', 33, 2, 33, 3, 9];
        let request = request(&mut asked, &run, false);
        assert_eq!(verify_request(&request, SECRET), Ok(()));
        let response = Packet::parse(respond(&request, SECRET, &mut answered).unwrap()).unwrap();
        assert_eq!((response.code(), response.identifier()), (Code::ACCOUNTING_RESPONSE, 9));
        assert_eq!(response.attribute_run(), [33, 4, 1, 2, 33, 2, 33, 3, 9]);
        assert_eq!(verify_response(&response, request.authenticator(), SECRET), Ok(()));
        assert_eq!(verify_response(&response, request.authenticator(), b"testing124"), Err(VerifyError::Authenticator));
        assert_eq!(verify_response(&response, &[0; 16], SECRET), Err(VerifyError::Authenticator));
    }

    #[test]
    fn answers_message_authenticator_with_one() {
        let (mut asked, mut answered) = ([0; 200], [0; 200]);
        let request = request(&mut asked, &[33, 3, 7], true);
        assert_eq!(verify_request(&request, SECRET), Ok(()));
        let response = respond(&request, SECRET, &mut answered).unwrap();
        assert_eq!(response[20..22], [80, 18]);
        let parsed = Packet::parse(response).unwrap();
        assert_eq!(verify_response(&parsed, request.authenticator(), SECRET), Ok(()));

        // One bit of the HMAC, with the Response Authenticator made right again.
        response[22] ^= 1;
        sign_response(response, request.authenticator(), SECRET);
        let forged = Packet::parse(response).unwrap();
        assert_eq!(verify_response(&forged, request.authenticator(), SECRET), Err(VerifyError::MessageAuthenticator));
    }

    #[test]
    fn answers_status_server() {
        let (mut asked, mut answered) = ([0; 200], [0; 200]);
        let run = [32, 6, b'B', b'N', b'G', b'1'];
        let authenticator = [0x5a; 16];
        let request =
            Packet::parse(status_server::encode(&mut asked, 3, &authenticator, &run, SECRET).unwrap()).unwrap();
        assert_eq!(request.authenticator(), &authenticator);
        assert_eq!(verify_request(&request, SECRET), Ok(()));
        assert_eq!(verify_request(&request, b"other"), Err(VerifyError::MessageAuthenticator));
        let response = Packet::parse(respond(&request, SECRET, &mut answered).unwrap()).unwrap();
        assert_eq!(status_server::verify_reply(&response, &authenticator, SECRET), Ok(()));
        assert_eq!(status_server::verify_reply(&request, &authenticator, SECRET), Err(VerifyError::Code));
    }

    #[test]
    fn the_largest_request_is_answered() {
        let (mut asked, mut answered) = ([0; PACKET_SIZE_MAX], [0; PACKET_SIZE_MAX]);
        let run: Vec<u8> = [33, 254].into_iter().chain([7; 252]).cycle().take(15 * 254).collect();
        let request = request(&mut asked, &run, true);
        assert_eq!(respond(&request, SECRET, &mut answered).map(|octets| octets.len()), Ok(20 + 18 + 15 * 254));
        assert_eq!(respond(&request, SECRET, &mut answered[..100]), Err(EncodeError::Overflow));
    }
}
