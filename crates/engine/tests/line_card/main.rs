//! A line card's worth of subscribers against a server that bears so much and no more, in virtual time: how evenly interims
//! leave, what an outage leaves behind, what the engine foretells of its end, and
//! how much gets through over lines that lose.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod card;
mod even;
mod lossy;
mod outage;
