//! # The engine: one shard of it, without I/O
//!
//! A shard owns the sessions of one core from Up to the last record: it decides what is told to which server and
//! when, what an unanswered request leads to, and what the ledger must know first. It is a machine that is told
//! what happened and asked what to do; the daemon and the simulator drive the same one.
//!
//! ```text
//!  PlaneEvent ─▶ handle_event ─▶ sessions ─▶ lanes ─▶ requests ─▶ poll_transmit ─▶ datagrams, packets for streams
//!                                  │  ▲                   ▲
//!                     poll_record ◀┘  └ handle_durable    └ handle_datagrams, handle_octets, handle_timeout
//! ```
//!
//! **Comes in:** plane events, datagrams, octets of streams and what becomes of these, time, *durable through N*, settings.
//! **Goes out:** datagrams, packets for streams, connections to make and to close, records, verdicts, notices, rows for
//! displays. **Never:** a clock, a socket, a file, a thread, unseeded randomness, an error.
//!
//! What may leave is bound to what is durable (DESIGN.md section 3, rule 5): no Start and no `admit` before `opened`, no
//! Stop before `closed`. A session has one transaction at a time, so Start, interims and Stop keep their order.
//!
//! **Full.** Session slots: the subscriber is refused, and counted. Identifiers, requests, the window of a server, octets that a
//! peer does not read: work waits in its lane. The ring: the shard keeps the record, and frees no session before it has been taken.
//! Verdicts: a session keeps its own; while 1,024 refusals wait, no event is taken. Two walks over the session table
//! write samples and checkpoints; both are paced, and wait for room like any record.
//!
//! **What gives way first** under too much of everything, in this order: interims, of which a session has the newest only and
//! for which every other kind of work goes before; Stops that have rested longest in a queue that is full, which become bills;
//! then events, which wait in the plane's ring. No Start is dropped, no session is forgotten, and a datagram that no server
//! signed costs its checksum and a count.
//!
//! **How many, how much:** per session two cache lines that each interim touches, 24 octets that it does not, its name and
//! attributes, about 9 octets of timer and 6 of index; all counted out by [`Limits`]. Nothing is allocated after [`Shard::new`] but for
//! configurations, displays, baselines and orders; while authorization servers are configured, their index of sessions has 12
//! octets more for each kind of name.
//!
//! | file | what it knows |
//! |---|---|
//! | `shard/` | the machine: one file for each thing that can happen to it |
//! | `policy` | what the end of a transaction leads to: total tables |
//! | `session`, `table`, `blob` | a session, where sessions are kept, what differs in length |
//! | `run`, `shared` | attributes in two pieces; those that many sessions have alike |
//! | `chains` | sessions by the hash of a name |
//! | `wheel`, `phase` | timers; when interims are due |
//! | `server`, `health` | identifiers; life and death |
//! | `window`, `losses`, `pace` | how much a server is asked at once; what is lost on the way; how fast it is asked |
//! | `probe` | asking a server that is Down whether it lives |
//! | `group`, `choice`, `flow` | lanes; whom a transaction asks; how fast work comes and goes |
//! | `authenticators`, `origins` | who authenticated users; which rings their events came by |
//! | `request`, `sequence` | what is out; in which order it left |
//! | `contract` | what a session took at log-in |
//! | `connection` | one connection of a server that is spoken to over TCP or TLS; when it is called again |
//! | `serial`, `identity`, `attributes` | a session's name; Acct-Session-Id; a session's attributes |
//! | `packet`, `tacacs` | a request's octets in either protocol |
//! | `memory` | memory made ready before a shard's life begins |
//! | `announce` | Accounting-On and -Off towards one server |
//! | `relayed` | what NAS have said last of the sessions that they report |
//! | `relay` | the accounting server that the box is to NAS, and Disconnect-Requests to them |
//! | `authorization` | what authorization servers ask for, judged for the whole box |
//! | `octets` | how long records are, for whoever keeps things in proportion |

#![forbid(unsafe_code)]

mod annex;
mod announce;
mod attributes;
mod authenticators;
pub mod authorization;
mod blob;
mod brake;
mod chains;
mod choice;
mod connection;
mod contract;
mod copies;
mod flow;
mod group;
mod health;
mod identity;
mod journal;
mod line;
mod losses;
mod memory;
mod names;
mod octets;
mod origins;
mod pace;
mod packet;
mod phase;
mod policy;
mod probe;
pub mod relay;
mod relayed;
mod request;
mod run;
mod sequence;
mod serial;
mod server;
mod session;
mod shard;
mod shared;
mod table;
mod tacacs;
pub mod wheel;
mod window;

pub use announce::Boot;
pub use health::News;
pub use memory::Memory;
pub use octets::record_octets;
pub use server::PortId;
pub use shard::{
    BATCH_MAX, Birth, Busy, Ceasing, Disconnected, Found, Limits, NasGone, NoSlot, NotTaken, Notice, RESTORE_BATCH,
    Received, RelayRules, Report, Reported, Restored, Search, Searched, Shard, StreamEnd, StreamOrder, Survey,
    TACACS_CONNECTIONS, Taken, Transmit, TransmitBatch,
};
