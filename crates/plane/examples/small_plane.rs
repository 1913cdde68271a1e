//! The smallest packet plane: one subscriber, who comes online, moves something, and goes.
//!
//! ```text
//! cargo run -p plane --example small_plane -- /run/tollgate/plane.sock alice@isp
//! ```
//!
//! The loop in `run` is all that a plane needs: it links, links again however often the engine goes, and leaves when what
//! it said is on the engine's disk. `small_plane.c` is the same in C.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use plane::client::{Counters, Down, LinkState, Options, OwnedVerdict, PlaneClient, Sentence, Subscriber, Totals, Up};

const SESSION: &[u8] = b"session-1";
/// How often it counts.
const ROUNDS: u32 = 20;
/// Acct-Terminate-Cause *User Request* (RFC 2866 section 5.10).
const USER_REQUEST: u8 = 1;

/// What the plane knows of its subscriber.
#[derive(Default)]
struct Alice {
    totals: Totals,
    rounds: u32,
    was_online: bool,
    has_to_go: bool,
    has_gone: bool,
}

impl Alice {
    fn obey(&mut self, verdict: &OwnedVerdict) {
        println!("{} {}", verdict.sentence.as_str(), verdict.reason.as_str());
        match verdict.sentence {
            Sentence::Admit | Sentence::Redirect => self.was_online = true,
            Sentence::Refuse => self.has_gone = true,
            Sentence::Cut => self.has_to_go = true,
        }
    }

    /// What a packet plane does all day.
    fn forward_packets(&mut self) -> Counters {
        if self.was_online && !self.has_gone {
            self.totals.in_octets += 1500;
            self.totals.in_packets += 1;
            self.totals.out_octets += 64;
            self.totals.out_packets += 1;
            self.rounds += 1;
            self.has_to_go |= self.rounds == ROUNDS;
        }
        Counters { v4: self.totals, v6: Totals::default() }
    }
}

/// Plays the plane until its subscriber has gone; what the subscriber has sent.
pub(crate) fn run(socket: &str, user: &str) -> Result<Totals, Box<dyn Error>> {
    let mut plane = PlaneClient::create(&Options { name: "small-rust-plane", ..Options::default() })?;
    plane.connect(socket);
    let slot = plane.alloc_slot().ok_or("no counter slot is free")?;
    let subscriber = Subscriber { user: Some(user.as_bytes()), ..Subscriber::default() };
    let up = Up { session: SESSION, subscriber, counters: slot, at: None };
    let (mut alice, mut is_fresh) = (Alice::default(), false);

    while !alice.has_gone || !plane.taken_over() {
        match plane.poll_connect() {
            LinkState::Fresh => is_fresh = true,
            LinkState::Refused(why) => eprintln!("the engine refuses: {why}"),
            LinkState::Down | LinkState::Greeting | LinkState::Up => {}
        }
        let live = (!alice.has_gone).then_some(up);
        // When a ring was full for a second, once more in the next round.
        is_fresh = is_fresh && plane.announce(0, live, Duration::from_secs(1)).is_err();
        while let Some(verdict) = plane.poll_verdict() {
            alice.obey(&verdict);
        }
        let totals = alice.forward_packets();
        plane.counters().store(slot, totals);
        let down = Down { session: SESSION, cause: USER_REQUEST, totals: Some(totals), at: None };
        // The totals are in the event, so the slot is free at once. A full ring: said again in the next round.
        if alice.has_to_go && !alice.has_gone && plane.down(0, down).is_ok() {
            plane.free_slot(slot);
            alice.has_gone = true;
        }
        plane.wait(Duration::from_millis(100));
    }
    Ok(alice.totals)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, user] = &arguments[..] else {
        eprintln!("usage: small_plane SOCKET USER");
        return ExitCode::from(2);
    };
    match run(socket, user) {
        Ok(totals) => {
            println!("gone with {} octets in", totals.in_octets);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
