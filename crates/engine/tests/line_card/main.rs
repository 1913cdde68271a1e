//! A line card's worth of subscribers against a server that bears so much and no more, in virtual time: how evenly interims
//! leave and how punctually all day long, what an outage leaves behind, what the engine foretells of its end, and
//! how much gets through over lines that lose.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod card;
mod day;
mod even;
mod lossy;
#[path = "../support/one_server.rs"]
mod one_server;
mod outage;
