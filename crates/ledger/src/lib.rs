//! # The ledger: what the engine must not forget
//!
//! One append-only log of records, in segments, answers after any crash which sessions are live and what they last
//! counted, whose Stop is owed, and which bills wait (DESIGN.md section 4).
//!
//! ```text
//!  shard ─encode─▶ bill ring ─▶ Log::append ─▶ poll_operation ─▶ disk       durable_through ─▶ shard
//!                                   ▲                                           poll_bill ─▶ Pool ─▶ bill files
//!  segments ─▶ Recovery ─▶ LogStart ┘
//!                 └─▶ Replay: sessions, bills, ring positions
//! ```
//!
//! | module | its one job |
//! |---|---|
//! | [`frame`] | record ↔ octets |
//! | [`segment`] | segments, batches, checksums: the layout on the disk |
//! | [`log`] | the append machine: records in, writes and syncs out |
//! | [`recover`] | reading a store after a crash, every case by name |
//! | [`replay`] | records folded into sessions, bills and ring positions |
//! | [`keeper`] | all of the above and below as one machine: what the writer thread drives |
//! | [`pool`] | the bills there are, what is done with each, and where they went that are gone |
//! | [`card`] | the CF card, a second store of the same format |
//! | [`transfer`] | files of bills on their way to the bill server |
//! | [`bill`] | one bill, as csv, json and detail text, and the manifest beside a file of them |
//! | [`tftp`] | a bill file to a TFTP server, and back for comparison |
//! | [`verify`] | whether a store or a bill file is complete and undamaged |
//!
//! **Comes in:** encoded records, the outcome of disk operations, the moment; segments, at start. **Goes out:** disk
//! operations, the sequence number through which everything is durable, durable bills, alarms. **Never:** a file opened, a
//! clock read, a record announced before its sync, a damaged place stepped over in silence, a segment
//! appended to that an earlier life wrote.
//!
//! **Full:** two batches of at most 1 MiB are in memory, one under way and one open. When the open one has no room,
//! [`Log::append`](log::Log::append) refuses and the record stays in the ring (DESIGN.md section 2, row 8). The pool's *full* stands in [`pool`].
//!
//! **How many, how much:** a record is at most 4,096 octets; a session takes about 100 octets, its `opened` or `checkpointed`
//! record and its newest sample (87) while a store is replayed, a bill 64 in the pool. Segments are 16 MiB unless told
//! otherwise; those that nobody needs are removed, oldest first ([`keeper`]).

#![forbid(unsafe_code)]

pub mod bill;
pub mod card;
pub mod frame;
pub mod keeper;
pub mod log;
pub mod pool;
pub mod recover;
pub mod replay;
pub mod segment;
pub mod tftp;
pub mod transfer;
pub mod verify;
