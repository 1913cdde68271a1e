//! # TFTP: a bill file to a server, and back for comparison
//!
//! RFC 1350 with the options of RFC 2347, 2348 and 2349: one file is [put](Transfer::put), or a remote file is read and
//! [compared](Transfer::compare) with octets at hand. A comparison is what makes a put worth believing: a
//! server that acknowledges every block may still have kept a shorter file, for instance when its disk was full.
//!
//! ```text
//!  put       WRQ ─▶ ◀─ OACK | ACK 0 | ERROR 8 (then WRQ without options)   DATA 1 ─▶ ◀─ ACK 1 … DATA n (short) ─▶ ◀─ ACK n
//!  compare   RRQ ─▶ ◀─ OACK (then ACK 0 ─▶) | DATA 1 | ERROR 8             ◀─ DATA 1  ACK 1 ─▶ … ◀─ DATA n (short)  ACK n ─▶
//! ```
//!
//! **Comes in:** datagrams and where they came from, the moment. **Goes out:** datagrams and where they go, the next
//! moment to be called, and one [`Outcome`] or [`Failure`]. **Never:** a packet on a repeated acknowledgement (only a
//! timeout sends DATA again, so the sorcerer's apprentice of RFC 1123 section 4.2.3.1 has nothing to multiply), a change of state
//! by a packet from another port than the one that answered first, a buffer for the remote file.
//!
//! **The caller's loop**: [`poll_transmit`](Transfer::poll_transmit) until it has nothing, then stop if there is an
//! [`outcome`](Transfer::outcome), else wait for a datagram or for [`poll_timeout`](Transfer::poll_timeout), whatever comes
//! first, and hand it in. Calling [`handle_timeout`](Transfer::handle_timeout) too early does nothing. After a comparison the
//! caller may keep a [`Dally`] on the socket, so that a server that lost the last ACK can be told again.
//!
//! **Full, late, twice:** one packet is on its way at a time. Each is sent at most [`Tuning::transmissions`] times; only
//! progress begins the count again. One stray sender is remembered between two calls of `poll_transmit`, more are
//! ignored. Block numbers have 16 bits and go on with 0 after 65,535.
//!
//! **How much:** 200 octets, whatever the size of the file; a datagram is at most 65,468 octets.

mod compare;
mod dally;
pub mod packet;
mod put;
mod transfer;

pub use dally::Dally;
pub use packet::ErrorCode;
pub use transfer::{BadName, Failure, Outcome, Transfer, Tuning};

#[cfg(test)]
mod tests;
