//! # Wire: bytes ↔ messages
//!
//! **Comes in:** octets from a peer, or the parts of a message that is to be sent. **Goes out:** a borrowed view
//! of the octets, or octets in the caller's buffer. **Never:** state, time, randomness, a socket, a panic on any
//! input. A request authenticator that must be unpredictable (Status-Server), a TACACS+ session id, which must be so
//! too, and the time of a detail entry are arguments.
//!
//! | module | what it knows |
//! |---|---|
//! | [`radius::packet`] | how a RADIUS packet is read: validated once, then borrowed |
//! | [`radius::encode`] | how one is written, attribute by attribute or as a pre-encoded run |
//! | [`radius::authenticator`] | who may have written it: authenticators, one by one or in batches |
//! | [`radius::message_authenticator`] | attribute 80, the HMAC over the packet |
//! | [`radius::status_server`] | asking a server whether it lives (RFC 5997) |
//! | [`radius::server`] | the other side: judging a request, answering it |
//! | [`radius::attribute`] | numbers of attributes and their values |
//! | [`radius::name`] | their names, as the dictionaries of the field spell them |
//! | [`tacacs::encode`] | how a TACACS+ accounting record is written, argument by argument |
//! | [`tacacs::obfuscation`] | how its body is hidden and revealed, one by one or in batches |
//! | [`tacacs::stream`] | where a connection's replies end, in what has come so far |
//! | [`tacacs::reply`] | what a reply says, and whether the key was right |
//! | [`detail`] | a packet as text that a RADIUS server's detail reader replays |
//!
//! **Full:** a RADIUS packet has at most 4,096 octets, a TACACS+ request 65,535 behind its header, and a TACACS+ reply
//! that announces more than 4,096 is refused before they are waited for. An encoder that runs over says so once, at the
//! end, and what it wrote is not to be sent; nothing grows. **Memory:** nothing is allocated anywhere in this room except
//! by the `fmt::Write` that a caller of [`detail`] brings along; a batch of authenticators takes about 6 KiB of stack, a
//! batch of bodies to obfuscate 9 KiB.

#![forbid(unsafe_code)]

pub mod detail;
pub mod radius;
pub mod tacacs;
