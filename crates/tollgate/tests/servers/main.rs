//! The daemon against real servers: FreeRADIUS is an outside oracle, its own detail files say what was accounted.
//! Every test has a directory, ports and processes of its own, and ends what it started.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod common;

mod accounts;
mod adapters;
mod attributes;
mod authorization;
mod bad_lines;
mod bills;
mod come_through;
mod commands;
mod confined;
mod copies;
mod crashes;
mod cuts;
mod disks;
mod examples;
mod hostile_planes;
mod hostile_replies;
mod hwtacacs;
mod interface_sessions;
mod local_bills;
mod many_shells;
mod memory;
mod mistakes;
mod nas;
mod on_off;
mod paths;
mod plays;
mod radsec;
mod real_input;
mod reboots;
mod session_sources;
mod shells;
mod small_planes;
mod start_fail;
mod status_server;
mod storm;
mod survives;
mod tacacs_peers;
mod tacacs_streams;
