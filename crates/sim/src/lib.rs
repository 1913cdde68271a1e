//! # The simulator: the whole engine under one seed
//!
//! One number fixes a world: planes with subscribers, a network, servers, a bill server, a disk, a CF card, and an engine
//! that is the daemon's own, `engine::Shard` and `ledger::{keeper, recover, replay}`, driven in virtual time by the
//! daemon's loop. Faults come
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
//!   oracle ◀─ all ─      network ◀────▶ servers           writer ──▶ CF card ──▶ bill server
//! ```
//!
//! | module | what it plays |
//! |---|---|
//! | `world` | what happens when; the faults, reboots of the box and the operator's commands among them; what rots, and what
//! | | some worlds are loaded with |
//! | `plane` | a packet plane: event ring, counters, verdicts, restarts |
//! | `network`, `server` | the way, which forges and loses; RADIUS accounting servers with moods |
//! | `authorizer` | who has subscribers logged out and changed |
//! | `bill_server` | what takes files of bills, refuses them, or takes them and is not heard |
//! | `disk` | sectors that survive, vanish or tear; a card that is pulled out |
//! | `fallible` | which operation of all fails, where each is to fail once |
//! | `driver` | the process around the shards and the ledger: the loops of worker and writer, recovery |
//! | `oracle` | the truth, and the rules |
//! | `scenario`, `seed`, `trace` | what a seed sets up; chance; what happened |
//!
//! **Comes in:** a seed. **Goes out:** what was violated, a trace, figures. **Never:** a clock, a thread's chance, the
//! order of a hash map, a test switch inside a machine. **Full** means what it means to the machines: rings, verdicts and
//! identifiers are kept scarce on purpose. A world takes a few megabytes and a fraction of a second.
//!
//! **Who watches the oracle:** bugs that are planted on purpose, one patch for each in `mutants/`. Each is put into a copy of the
//! workspace below the target directory, and 2,000 seeds must find it:
//!
//! ```text
//! TOLLGATE_TEST_FULL=1 cargo test -p sim --test mutants -- --nocapture
//! ```
//!
//! It names each bug, the seed and the rule that found it, and says at last that these seeds find nothing without any of them. A
//! bug that is not found is a hole in what worlds do or in what the oracle knows; the patch stays as it is. A patch that does not
//! apply any more, because its place was written anew, fails in every run of the tests: its bug is planted there again.
//!
//! **What worlds reach:** `model::marks` names odd branches of the machines. `cargo run --release -p sim --features marks -- --seeds
//! 2000 --marks` tells how often each was taken, and fails when one never was: then worlds lack something, or the branch can go.

#![forbid(unsafe_code)]

mod authorizer;
mod bill_server;
mod disk;
mod driver;
mod fallible;
mod network;
mod oracle;
mod plane;
mod scenario;
mod seed;
mod server;
mod trace;
mod world;

pub use fallible::{Fails, Struck};
pub use oracle::Violation;
pub use scenario::Knobs;
pub use world::{Load, Outcome, World};
