//! # The nouns that two rooms exchange
//!
//! A room that only computes needs words for what it is told and what it answers. They stand here, once, and
//! nothing here acts: no clock is read, no table is kept, and nothing is encoded but what one record has many of.
//!
//! | module | what it names |
//! |---|---|
//! | [`time`] | the two clocks: one that measures, one that is printed |
//! | [`ids`] | planes, sessions, bills |
//! | [`counters`] | octets and packets, and where to read them |
//! | [`event`] | what a packet plane says |
//! | [`verdict`] | what it is told in return |
//! | [`record`] | what the ledger remembers |
//! | [`samples`] | what it remembers of many sessions at once, in its octets |
//! | [`settings`] | the running configuration as one tree |
//! | [`domain`] | what a domain says of one subscriber |
//! | [`report`] | the rows of the displays |
//! | [`marks`] | odd branches of the machines, by name |
//!
//! **Comes in:** nothing. **Goes out:** types. **Never:** I/O, allocation on the packet path (events and records
//! borrow), or a helper that has no noun. **Full** has no meaning here.

#![forbid(unsafe_code)]

pub mod counters;
pub mod domain;
pub mod event;
pub mod ids;
pub mod marks;
pub mod record;
pub mod report;
pub mod samples;
pub mod settings;
pub mod time;
pub mod verdict;
