//! What is said of authentication, which is the packet plane's. Here it is kept, printed and shown.

/// `radius-server authentication retransmit`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationRetries {
    /// Transmissions to one server, the first included, 1–5.
    pub transmissions: u8,
    /// Seconds to wait for each reply, 3–25.
    pub timeout_s: u8,
}
