//! The floor: what an acknowledged interim costs when nothing is done but what the wire asks for. Ready-made packets of
//! one length leave by segmentation offload, replies come in by multishot receive, and each pair has its two MD5s. There
//! is no session, no timer, no retransmission and no ledger; whoever keeps accounting can only cost more.
//!
//! `floor --server ADDRESS:PORT --secret SECRET --seconds N [--rate PER_SECOND] [--runs N] [--length OCTETS] [--gather]`
//!
//! ```text
//!   run: 64 packets of one port, identifiers 0–63, 64–127, …    one message out, 64 replies in, and again
//! ```
//!
//! Without a rate as fast as the server answers, `--runs` messages at a time. With one, every 20 ms what is due by then;
//! in between it sleeps. `--gather` takes replies that the server has sent as one message without cutting them apart. Prints
//! one line of JSON: replies, seconds, and the processor time of the whole process.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

mod port;
mod wire;

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use benches::processor_time;
use clap::Parser;
use port::{Port, RUN, RUNS};
use wire::Wire;

/// Source ports, as many as a server of ours has.
const PORTS: usize = 16;
/// How often a paced floor wakes.
const TICK: Duration = Duration::from_millis(20);
/// A run that is not whole by then lacks what was lost.
const LOST_AFTER: Duration = Duration::from_secs(1);

#[derive(Parser)]
struct Plan {
    #[arg(long)]
    server: SocketAddr,
    #[arg(long)]
    secret: String,
    #[arg(long)]
    seconds: f64,
    /// Packets a second; without it as many as the server answers.
    #[arg(long)]
    rate: Option<u32>,
    /// Messages out at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=64))]
    runs: u8,
    /// Octets of each packet.
    #[arg(long, default_value_t = 255, value_parser = clap::value_parser!(u16).range(60..=1452))]
    length: u16,
    /// Take replies that come as one message as one.
    #[arg(long)]
    gather: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::parse();
    // The kernel may fill buffers as long as the process lives.
    let wire = Box::leak(Box::new(Wire::open(plan.server, PORTS, plan.gather)?));
    let mut floor = Floor {
        wire,
        ports: (0..PORTS).map(|number| Port::new(number, plan.length.into())).collect(),
        secret: plan.secret.as_bytes(),
        answered: 0,
        lost: 0,
        next: 0,
    };
    // The first replies warm what a second run finds warm.
    floor.run(&plan, Duration::from_millis(500))?;
    let own = std::process::id();
    let (began, used, answered) = (Instant::now(), processor_time(own)?, floor.answered);
    floor.run(&plan, Duration::from_secs_f64(plan.seconds))?;
    let (time, used) = (began.elapsed(), processor_time(own)? - used);
    let replies = floor.answered - answered;
    println!(
        "{{\"replies\":{replies},\"lost\":{},\"seconds\":{:.3},\"processor_seconds\":{:.6}}}",
        floor.lost,
        time.as_secs_f64(),
        used.as_secs_f64()
    );
    Ok(())
}

struct Floor<'a> {
    wire: &'static mut Wire,
    ports: Vec<Port>,
    secret: &'a [u8],
    answered: u64,
    lost: u64,
    /// Where the next run is looked for.
    next: usize,
}

impl Floor<'_> {
    fn run(&mut self, plan: &Plan, time: Duration) -> std::io::Result<()> {
        match plan.rate {
            None => self.run_freely(plan.runs.into(), time),
            Some(rate) => self.run_paced(rate, time),
        }
    }

    /// As many runs out as may be, always.
    fn run_freely(&mut self, runs: usize, time: Duration) -> std::io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            let out: usize = self.ports.iter().map(Port::runs_out).sum();
            for _ in out..runs {
                self.send(RUN)?;
            }
            self.wire.wait(true)?;
            self.take_replies()?;
            self.give_up();
        }
        Ok(())
    }

    /// At each tick what is due by then.
    fn run_paced(&mut self, rate: u32, time: Duration) -> std::io::Result<()> {
        let began = Instant::now();
        let (mut sent, mut ticks) = (0, 0);
        while began.elapsed() < time {
            let due = benches::due(began.elapsed(), rate);
            while sent < due {
                let count = usize::try_from(due - sent).unwrap_or(RUN).min(RUN);
                sent += count as u64;
                self.send(count)?;
            }
            self.wire.wait(false)?;
            ticks += 1;
            std::thread::sleep((TICK * ticks).saturating_sub(began.elapsed()));
            self.wire.wait(false)?;
            self.take_replies()?;
            self.give_up();
        }
        Ok(())
    }

    /// One message of so many packets, from a run that is not out.
    fn send(&mut self, count: usize) -> std::io::Result<()> {
        for _ in 0..PORTS * RUNS {
            let (port, run) = (self.next % PORTS, self.next / PORTS % RUNS);
            self.next += 1;
            if self.ports[port].is_idle(run) {
                let (octets, segment) = self.ports[port].begin(run, count, self.secret);
                return self.wire.send(port, run, octets, segment);
            }
        }
        // Every identifier is out: what is due is late, and is not made up for.
        Ok(())
    }

    fn take_replies(&mut self) -> std::io::Result<()> {
        while self.wire.take(|replies| {
            let genuine = port::verify(&self.ports, replies, self.secret);
            for (reply, genuine) in replies.iter().zip(genuine) {
                self.answered += u64::from(genuine && self.ports[reply.port].answered(reply.octets[1]));
            }
        }) {
            self.wire.wait(false)?;
        }
        Ok(())
    }

    fn give_up(&mut self) {
        for port in &mut self.ports {
            self.lost += port.give_up(LOST_AFTER);
        }
    }
}
