//! # Wire: bytes ↔ messages
//!
//! **Comes in:** octets from a peer, or the parts of a message that is to be sent. **Goes out:** a borrowed view
//! of the octets, or octets in the caller's buffer. **Never:** state, time, randomness, a socket, a panic on any
//! input. A request authenticator that must be unpredictable (Status-Server) and the time of a detail entry are
//! arguments.
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
//! | [`detail`] | a packet as text that a RADIUS server's detail reader replays |
//!
//! **Full:** a packet has at most 4,096 octets. An encoder that runs over says so once, at the end, and what it
//! wrote is not to be sent; nothing grows. **Memory:** nothing is allocated anywhere in this room except by the
//! `fmt::Write` that a caller of [`detail`] brings along; a batch of authenticators takes about 6 KiB of stack.

#![forbid(unsafe_code)]

pub mod detail;
pub mod radius;
