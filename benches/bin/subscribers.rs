//! A packet plane of many subscribers: all of them come as fast as the link takes them and stay, and their counters move.
//!
//! `subscribers --link PATH --sessions N [--dual-stack] [--with-mac] [--log-ins RATE] [--plane NAME] [--domain NAME]` runs until its
//! standard input ends. It prints a line of JSON when all have been let in, and with log-ins one every second: how many came on top in that second, each
//! for a moment, and how long the verdict took, in microseconds.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::collections::HashMap;
use std::error::Error;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Access, Down, Prefix, Subscriber, Up};
use model::verdict::Sentence;
use plane::client::{LinkState, Options, PlaneClient};
use plane::{Geometry, SendError};

/// How often the plane looks at everything.
const TICK: Duration = Duration::from_millis(1);
/// Every counter moves once in so many ticks.
const SWEEP: usize = 4000;
/// Slots beside those of the subscribers who stay.
const GUESTS: u32 = 1 << 16;

#[derive(Parser)]
struct Plan {
    #[arg(long)]
    link: String,
    #[arg(long)]
    sessions: u32,
    /// Everyone has IPv6 as well, and counters for it.
    #[arg(long)]
    dual_stack: bool,
    /// Everyone has a MAC address, from which three attributes are made.
    #[arg(long)]
    with_mac: bool,
    /// How many more come each second, and go.
    #[arg(long, default_value_t = 0)]
    log_ins: u32,
    /// What the plane calls itself.
    #[arg(long, default_value = "bench")]
    plane: String,
    /// Where everyone belongs.
    #[arg(long, default_value = "isp")]
    domain: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::parse();
    let ended = Arc::new(AtomicBool::new(false));
    let noted = ended.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        noted.store(true, Ordering::Relaxed);
    });
    let geometry = Geometry {
        rings: 1,
        records: 1 << 16,
        slots: plan.sessions + GUESTS,
        dual_stack: plan.dual_stack,
        verdicts: 1 << 16,
    };
    let mut client = PlaneClient::create(&Options { name: &plan.plane, geometry })?;
    client.connect(&plan.link);
    while client.poll_connect() != LinkState::Fresh {
        client.wait(Duration::from_millis(20));
    }
    client.announce(0, [], Duration::from_secs(10)).map_err(|error| format!("{error:?}"))?;
    let mut plane = Plane { client, slots: Vec::new(), moved: 0, rounds: 0, dual_stack: plan.dual_stack };
    plane.all_come(&plan)?;
    let mut guests = Guests::default();
    let mut told = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        plane.client.poll_connect();
        plane.move_counters();
        guests.come_and_go(&mut plane, &plan)?;
        if plan.log_ins > 0 && told.elapsed() >= Duration::from_secs(1) {
            guests.tell();
            told = Instant::now();
        }
        // Whoever measures how long a verdict takes does not sleep over it.
        if plan.log_ins == 0 {
            std::thread::sleep(TICK);
        } else {
            plane.client.wait(TICK);
        }
    }
    Ok(())
}

struct Plane {
    client: PlaneClient,
    slots: Vec<CounterSlot>,
    /// Where the sweep over the counters is, and how many there were.
    moved: usize,
    rounds: u64,
    dual_stack: bool,
}

impl Plane {
    fn all_come(&mut self, plan: &Plan) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        let (mut admitted, mut refused, mut ticked) = (0, 0, began);
        for number in 0..plan.sessions.into() {
            let slot = self.client.alloc_slot().ok_or("the plane has too few slots")?;
            self.slots.push(slot);
            while up(&mut self.client, plan, number, "s", slot)? == Said::Full {
                self.hear(&mut admitted, &mut refused);
                self.client.wait(TICK);
            }
            self.hear(&mut admitted, &mut refused);
            // Those who are there have traffic while the others come.
            if ticked.elapsed() >= TICK {
                self.move_counters();
                ticked = Instant::now();
            }
        }
        let said = began.elapsed().as_secs_f64();
        while admitted + refused < plan.sessions {
            self.hear(&mut admitted, &mut refused);
            self.client.wait(TICK);
        }
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{{\"admitted\":{admitted},\"refused\":{refused},\"said_seconds\":{said:.3},\"seconds\":{seconds:.3}}}"
        );
        Ok(())
    }

    fn hear(&mut self, admitted: &mut u32, refused: &mut u32) {
        while let Some(verdict) = self.client.poll_verdict() {
            *(if verdict.sentence == Sentence::Admit { &mut *admitted } else { &mut *refused }) += 1;
        }
    }

    /// A part of all counters, as much as is due in one tick.
    fn move_counters(&mut self) {
        let part = self.slots.len().div_ceil(SWEEP);
        for _ in 0..part {
            let Some(slot) = self.slots.get(self.moved) else {
                (self.moved, self.rounds) = (0, self.rounds + 1);
                break;
            };
            let packets = (self.rounds + 1) * (1000 + self.moved as u64 % 977);
            let totals = Totals {
                in_octets: packets * 90,
                in_packets: packets,
                out_octets: packets * 3300,
                out_packets: packets * 3,
            };
            let v6 = if self.dual_stack { totals } else { Totals::default() };
            self.client.counters().store(*slot, Counters { v4: totals, v6 });
            self.moved += 1;
        }
    }
}

#[derive(PartialEq)]
enum Said {
    Yes,
    Full,
}

fn up(
    client: &mut PlaneClient,
    plan: &Plan,
    number: u64,
    prefix: &str,
    counters: CounterSlot,
) -> Result<Said, Box<dyn Error>> {
    let (session, user) = (format!("{prefix}{number}"), format!("user{number:07}@{}", plan.domain));
    let [.., a, b, c] = number.to_be_bytes();
    let calling = format!("02-00-00-{a:02x}-{b:02x}-{c:02x}");
    let v6 = |kind: u16| Ipv6Addr::new(0x2001, 0xdb8, kind, u16::from(a), u16::from_be_bytes([b, c]), 0, 0, 0);
    let prefix = |kind, length| plan.dual_stack.then(|| Prefix { address: v6(kind), length });
    let subscriber = Subscriber {
        user: Some(user.as_bytes()),
        framed_ip: Some(Ipv4Addr::new(100, 64 + a, b, c)),
        framed_ipv6_prefix: prefix(1, 64),
        delegated_prefix: prefix(2, 80),
        mac: plan.with_mac.then_some([2, 0, 0, a, b, c]),
        calling: (!plan.with_mac).then_some(calling.as_bytes()),
        nas_port: Some(u32::from_be_bytes([0, a, b, c])),
        access: Some(Access::Pppoe),
        ..Subscriber::default()
    };
    match client.up(0, Up { session: session.as_bytes(), subscriber, counters, at: None }) {
        Ok(()) => Ok(Said::Yes),
        Err(SendError::Full) => Ok(Said::Full),
        Err(error) => Err(format!("{error:?}").into()),
    }
}

/// Those who come for a moment.
#[derive(Default)]
struct Guests {
    began: Option<Instant>,
    come: u64,
    waiting: HashMap<Vec<u8>, (Instant, CounterSlot)>,
    took: Vec<u64>,
    refused: u32,
}

impl Guests {
    fn come_and_go(&mut self, plane: &mut Plane, plan: &Plan) -> Result<(), Box<dyn Error>> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let due = benches::due(began.elapsed(), plan.log_ins);
        while self.come < due {
            let Some(slot) = plane.client.alloc_slot() else { break };
            if up(&mut plane.client, plan, self.come, "g", slot)? == Said::Full {
                plane.client.free_slot(slot);
                break;
            }
            self.waiting.insert(format!("g{}", self.come).into_bytes(), (Instant::now(), slot));
            self.come += 1;
        }
        while let Some(verdict) = plane.client.poll_verdict() {
            let Some((since, slot)) = self.waiting.remove(verdict.session()) else { continue };
            self.took.push(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX));
            if verdict.sentence == Sentence::Admit {
                let down = Down { session: verdict.session(), cause: 1, totals: Some(Counters::ZERO), at: None };
                while plane.client.down(0, down).is_err() {
                    plane.client.wait(TICK);
                }
            } else {
                self.refused += 1;
            }
            plane.client.free_slot(slot);
        }
        Ok(())
    }

    fn tell(&mut self) {
        self.took.sort_unstable();
        let at = |hundredths: usize| {
            let place = self.took.len().saturating_sub(1) * hundredths / 100;
            self.took.get(place).copied().unwrap_or(0)
        };
        println!(
            "{{\"log_ins\":{},\"refused\":{},\"waiting\":{},\"p50_us\":{},\"p99_us\":{},\"most_us\":{}}}",
            self.took.len(),
            self.refused,
            self.waiting.len(),
            at(50),
            at(99),
            at(100)
        );
        self.took.clear();
    }
}
