//! A line card's worth of subscribers against a server that bears so much and no more, in virtual time: how evenly interims
//! leave, what an outage leaves behind, and what the engine foretells of its end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod card;
mod even;
mod outage;
