//! The shard as its drivers see it: what it remembers over restarts and reboots, and what it lets be forgotten.

#![expect(clippy::unwrap_used, reason = "a test's own stage may fail")]
#![expect(clippy::cast_possible_truncation, reason = "numbers that the test itself chose")]
#![expect(clippy::large_enum_variant, reason = "a handful of records")]

mod authorization;
mod copies;
mod counters;
mod disconnects;
mod domain;
mod forget;
mod gathering;
mod groups;
mod hwtacacs;
mod interim_fail;
mod lanes;
mod missed;
mod on_off;
mod paths;
mod preference;
mod probing;
mod queue;
mod quota;
mod reboot;
mod relay;
mod relaying;
mod replay;
mod reread;
mod sample;
mod scene;
mod scheme;
mod shared_runs;
mod stage;
mod start_delay;
mod start_phase;
mod streams;
mod tls;
mod transaction;
mod transcript;
mod vectors;
mod verdicts;
mod whose_verdict;
