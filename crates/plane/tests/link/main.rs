//! Both halves of the link in one process or two, over a real socket and a real memory: the Rust client, and a C program
//! that includes nothing but `tollgate_plane.h`.

#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "what a test cannot do without, it may insist on")]

mod announce;
mod c_header;
mod client;
mod engine;
mod library;
