//! # The simulator: the whole engine under one seed
//!
//! One number fixes a world: planes with subscribers, a network, servers, a disk, and an engine that is the daemon's
//! own, `engine::Shard` and `ledger::{log, recover, replay}`, driven in virtual time by the daemon's loop. Faults come
//! as the seed says. An oracle that sees everything outside of the machines holds them to what must always be true
//! (DESIGN.md section 3): at the first thing that is not, the world stops, and the seed tells it again.
//!
//! ```text
//!             verdicts            records                 bytes
//!   plane ◀──────────── worker ──────────▶ writer ─────────────────▶ disk
//!     │     events        │ ▲                                         │
//!     └──────────────────▶│ │        one process; dies at any step    │ segments, torn
//!                 requests│ │replies      ▲                           ▼
//!                         ▼ │             └──────── recovery ◀────────┘
//!   oracle ◀─ all ─      network ◀────▶ servers
//! ```
//!
//! | module | what it plays |
//! |---|---|
//! | `world` | what happens when; the faults |
//! | `plane` | a packet plane: event ring, counters, verdicts, restarts |
//! | `network`, `server` | the way, which forges and loses; RADIUS accounting servers with moods |
//! | `disk` | sectors that survive, vanish or tear |
//! | `driver` | the process around the shards and the ledger: the loops of worker and writer, recovery |
//! | `oracle` | the truth, and the rules |
//! | `scenario`, `seed`, `trace` | what a seed sets up; chance; what happened |
//!
//! **Comes in:** a seed. **Goes out:** what was violated, a trace, figures. **Never:** a clock, a thread's chance, the
//! order of a hash map, a test switch inside a machine. **Full** means what it means to the machines: rings, verdicts and
//! identifiers are kept scarce on purpose. A world takes a few megabytes and a fraction of a second.

#![forbid(unsafe_code)]

mod disk;
mod driver;
mod network;
mod oracle;
mod plane;
mod scenario;
mod seed;
mod server;
mod trace;
mod world;

pub use oracle::Violation;
pub use scenario::Knobs;
pub use world::{Outcome, World};
