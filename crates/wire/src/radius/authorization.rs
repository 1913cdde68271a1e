//! The NAS's side of dynamic authorization (RFC 5176): the answer to a Disconnect-Request or a CoA-Request that was judged
//! by [`verify_request`](super::authenticator::verify_request).

use super::server::reply;
use super::{Code, EncodeError, Encoder, Packet, Type};

/// Octets that an answer may have beyond its request: Error-Cause.
pub const ANSWER_EXCESS: usize = 6;

/// Writes the answer, signed and ready to be sent: an ACK, or a NAK that says why (RFC 5176 section 3.5,
/// [`error_cause`](super::attribute::error_cause)). Every Proxy-State is echoed unchanged and in order, and a request that
/// carried Message-Authenticator gets one back.
///
/// # Errors
/// The answer is longer than the buffer. It is at most [`ANSWER_EXCESS`] octets longer than the request.
pub fn answer<'a>(
    request: &Packet<'_>,
    verdict: Result<(), u32>,
    secret: &[u8],
    buffer: &'a mut [u8],
) -> Result<&'a mut [u8], EncodeError> {
    let (ack, nak) = match request.code() {
        Code::COA_REQUEST => (Code::COA_ACK, Code::COA_NAK),
        _ => (Code::DISCONNECT_ACK, Code::DISCONNECT_NAK),
    };
    match verdict {
        Ok(()) => reply(request, ack, &[], secret, buffer),
        Err(cause) => {
            let mut room = [0; ANSWER_EXCESS];
            let mut run = Encoder::run(&mut room);
            run.u32(Type::ERROR_CAUSE, cause);
            reply(request, nak, run.finish()?, secret, buffer)
        }
    }
}
