//! # Plane: the link to a packet plane
//!
//! A packet plane and the engine share one piece of memory that the plane made. In it the plane says who came online,
//! who changed and who left ([`event_ring`]), and keeps its octet counters where the engine reads them
//! ([`counter_table`]); the engine says whom to let in and whom to cut ([`verdict_ring`]). Nothing is copied through
//! the kernel; two eventfds wake whoever sleeps ([`doorbell`]).
//!
//! ```text
//!        packet plane                                              engine
//!   client::PlaneClient, or                                        PlaneReader per shard
//!   include/tollgate_plane.h        the plane's memory             CounterTable, VerdictWriter
//!          │                  ┌──────────────────────────┐                │
//!          ├─ up, down, … ───▶│ event ring per worker    │──── events ───▶│
//!          │◀─ taken over ────│                          │◀─ durable up to┤
//!          ├─ counters ──────▶│ counter table            │──── totals ───▶│
//!          │◀─ admit, cut ────│ verdict ring             │◀── verdicts ───┤
//!          │                  └──────────────────────────┘                │
//!          └──────── Unix socket: HELLO + descriptors, WELCOME ───────────┘
//! ```
//!
//! **Comes in:** the plane's memory as 64-bit atomic words, and the octets of a HELLO. **Goes out:** events borrowed
//! from a private copy, counters, the octets of a WELCOME. **Never:** RADIUS; a clock, file or socket in the engine's
//! half; `unsafe` outside `client::memory`, which maps the memory for a plane.
//!
//! **A hostile plane** can write any word of its memory at any time. The engine's half reads every word once, relaxed,
//! into a private copy, and checks the copy; it computes every offset itself from a private copy of the header. What is
//! malformed is named and skipped ([`Refused`]); an index that no honest plane can have closes the link
//! ([`LinkError::HostileIndex`]). No loop is longer than a ring.
//!
//! **Full:** an event ring without room makes the plane keep its event ([`SendError::Full`]); a verdict ring without
//! room makes the engine keep its verdict ([`VerdictError::Full`]). Nothing is dropped on either side.
//!
//! **How many, how much:** up to 64 event rings of 16 to 1,048,576 records of 256 octets, up to 16,777,216 counter
//! slots of 64 or 128 octets, 16 to 1,048,576 verdicts of 128 octets; all of it the plane's memory. The engine's half
//! takes about a hundred octets per ring and shard.
//!
//! | module | what it knows |
//! |---|---|
//! | [`layout`] | where everything stands in the memory: the drawing, and the numbers computed from it |
//! | [`record`] | an event as the fields of records: tags, sizes, both directions |
//! | [`event_ring`] | reading and writing events; who has read how far |
//! | [`counter_table`], [`verdict_ring`], [`doorbell`] | the other three things in the memory |
//! | [`region`] | the memory as a whole, checked when it is opened |
//! | [`hello`] | the two messages of the handshake |
//! | [`refusal`] | the names of what is refused, and how often it was |
//! | [`sweep`] | counters that are fetched instead: who is asked for, what is answered, what a session makes of it |
//! | [`netlink`] | rtnetlink messages: octets ↔ messages |
//! | [`links`] | the network interfaces of a system: who is there, who went, what each has counted |
//! | [`maps`] | the entries of a map in which a program of the kernel counts |
//! | [`client`] | a packet plane's half, in Rust; the same in C is `include/tollgate_plane.h` |

#![deny(unsafe_code)]

#[cfg(not(loom))]
pub mod client;
pub mod counter_table;
pub mod doorbell;
pub mod event_ring;
pub mod hello;
pub mod layout;
#[cfg(not(loom))]
pub mod links;
#[cfg(not(loom))]
pub mod maps;
#[cfg(not(loom))]
pub mod netlink;
pub mod record;
pub mod refusal;
pub mod region;
#[cfg(not(loom))]
pub mod sweep;
pub mod verdict_ring;

mod words;

pub use counter_table::{CounterTable, CounterTables, CounterWriter};
pub use event_ring::{Delivery, EventRing, EventScratch, EventWriter, Next, SendError};
pub use layout::{Geometry, LinkError, VERSION};
pub use refusal::{Malformed, Refusals, Refused};
pub use region::{PlaneReader, Region};
pub use verdict_ring::{OwnedVerdict, VerdictError, VerdictReader, VerdictWriter};

#[cfg(test)]
#[cfg(not(loom))]
mod fixture;
#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
