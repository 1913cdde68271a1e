//! # Fuzz targets: every place that reads octets which it did not write
//!
//! A target is a function from octets to nothing that panics when something does not hold. It is run in two ways: by libFuzzer,
//! for which `fuzz_targets/` has a program each, and over its seeds with a few thousand changes of them, which needs nothing but a
//! compiler (`tests/seeds.rs`).
//!
//! | module | its one job |
//! |---|---|
//! | those named in [`TARGETS`] | what must hold of one reader |
//! | [`seeds`] | what each begins with, made from the text vectors, from configurations and by the encoders |
//! | [`changes`] | octets that are nearly those of a seed |
//! | `stage`, `bills` | a shard with a plane, a server and a ledger around it, for targets whose octets reach a session |

#![forbid(unsafe_code)]

pub mod authorization_requests;
pub mod bill_file;
mod bills;
pub mod changes;
pub mod counter_map;
pub mod ledger_segment;
pub mod manifest;
pub mod netlink_messages;
pub mod plane_events;
pub mod plane_hello;
pub mod plane_link;
pub mod plane_records;
pub mod plane_script;
pub mod radius_packet;
pub mod radius_stream;
pub mod relay_requests;
pub mod seeds;
mod stage;
pub mod store_segments;
pub mod tacacs_reply;
pub mod tftp_replies;
pub mod vrp_shell;

/// The daemon's reader of plane scripts: it is pure, and the daemon is no library that could be depended on.
#[path = "../../crates/tollgate/src/script.rs"]
mod script;

/// One reader, and what must hold of it.
#[derive(Clone, Copy)]
pub struct Target {
    /// As in `targets.txt`.
    pub name: &'static str,
    /// Panics when something does not hold for these octets.
    pub check: fn(&[u8]),
    /// What it begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "authorization_requests", check: authorization_requests::check, seeds: seeds::requests },
    Target { name: "bill_file", check: bill_file::check, seeds: seeds::bill_files },
    Target { name: "counter_map", check: counter_map::check, seeds: seeds::counter_maps },
    Target { name: "ledger_segment", check: ledger_segment::check, seeds: seeds::segments },
    Target { name: "manifest", check: manifest::check, seeds: seeds::manifests },
    Target { name: "netlink_messages", check: netlink_messages::check, seeds: seeds::netlink },
    Target { name: "plane_events", check: plane_events::check, seeds: seeds::plane_events },
    Target { name: "plane_hello", check: plane_hello::check, seeds: seeds::hellos },
    Target { name: "plane_link", check: plane_link::check, seeds: seeds::plane_steps },
    Target { name: "plane_records", check: plane_records::check, seeds: seeds::plane_records },
    Target { name: "plane_script", check: plane_script::check, seeds: seeds::scripts },
    Target { name: "radius_packet", check: radius_packet::check, seeds: seeds::radius },
    Target { name: "radius_stream", check: radius_stream::check, seeds: seeds::radius_streams },
    Target { name: "relay_requests", check: relay_requests::check, seeds: seeds::requests },
    Target { name: "store_segments", check: store_segments::check, seeds: seeds::segments },
    Target { name: "tacacs_reply", check: tacacs_reply::check, seeds: seeds::tacacs },
    Target { name: "tftp_replies", check: tftp_replies::check, seeds: seeds::tftp },
    Target { name: "vrp_shell", check: vrp_shell::check, seeds: seeds::shell },
];
