//! A NAS as accel-ppp is one, but faster: sessions that come up, and then interims of each in turn, so many requests in flight.
//! What is not answered is asked again after three seconds.
//!
//! `nas ADDRESS:PORT SECRET SESSIONS WINDOW LENGTH RATE` asks at most so many a second when all sessions are up, runs until its standard input is closed, says a line when all sessions are
//! up, and then, for each line that it reads, how many requests were answered so far.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::error::Error;
use std::io::BufRead;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wire::radius::attribute::acct_status_type::{INTERIM_UPDATE, START};
use wire::radius::authenticator::{Unsigned, sign_request};
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Type};

/// Requests of one port that are out at a time; its identifiers come again when the first are long answered.
const OF_PORT: usize = 64;
const PATIENCE: Duration = Duration::from_secs(3);

struct Plan {
    secret: String,
    sessions: u32,
    length: usize,
    rate: u32,
    answered: Arc<AtomicU64>,
}

/// A request that is out.
struct Out {
    packet: Vec<u8>,
    sent: Instant,
}

struct Port {
    socket: UdpSocket,
    out: Vec<Option<Out>>,
    in_flight: usize,
    next: u8,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, secret, sessions, window, length, rate] = &arguments[..] else {
        return Err("usage: nas ADDRESS:PORT SECRET SESSIONS WINDOW LENGTH RATE".into());
    };
    let answered = Arc::new(AtomicU64::new(0));
    let plan = Plan {
        secret: secret.clone(),
        sessions: sessions.parse()?,
        length: length.parse()?,
        rate: rate.parse()?,
        answered: answered.clone(),
    };
    let ports = window.parse::<usize>()?.div_ceil(OF_PORT);
    let ports = (0..ports).map(|_| Port::open(server)).collect::<std::io::Result<Vec<_>>>()?;
    std::thread::spawn(move || run(&plan, ports));
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("answered {}", answered.load(Ordering::Relaxed));
    }
    Ok(())
}

impl Port {
    fn open(server: &str) -> std::io::Result<Port> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        benches::hold_much(&socket)?;
        Ok(Port { socket, out: (0..=u8::MAX).map(|_| None).collect(), in_flight: 0, next: 0 })
    }

    /// Says what is next, as long as it may. A server that is away for a moment is asked again.
    fn say(&mut self, plan: &Plan, said: &mut u64, due: u64) {
        while *said < due && self.in_flight < OF_PORT && self.out[usize::from(self.next)].is_none() {
            let packet = packet(plan, self.next, *said);
            *said += 1;
            let _ = self.socket.send(&packet);
            self.out[usize::from(self.next)] = Some(Out { packet, sent: Instant::now() });
            self.in_flight += 1;
            self.next = self.next.wrapping_add(1);
        }
    }

    fn hear(&mut self, answered: &AtomicU64) {
        let mut room = [0; PACKET_SIZE_MAX];
        while let Ok(length) = self.socket.recv(&mut room) {
            if length >= 20 && self.out[usize::from(room[1])].take().is_some() {
                self.in_flight -= 1;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn ask_again(&mut self) {
        for out in self.out.iter_mut().flatten().filter(|out| out.sent.elapsed() > PATIENCE) {
            let _ = self.socket.send(&out.packet);
            out.sent = Instant::now();
        }
    }
}

fn run(plan: &Plan, mut ports: Vec<Port>) {
    let (mut said, mut looked) = (0, Instant::now());
    let mut up: Option<Instant> = None;
    loop {
        // The Starts as fast as they are answered.
        let paced = up.map_or(0, |up| benches::due(up.elapsed(), plan.rate));
        let due = u64::from(plan.sessions) + paced;
        for port in &mut ports {
            port.hear(&plan.answered);
            port.say(plan, &mut said, due);
        }
        if up.is_none() && plan.answered.load(Ordering::Relaxed) >= plan.sessions.into() {
            println!("all sessions are up");
            up = Some(Instant::now());
        }
        if looked.elapsed() > PATIENCE / 10 {
            ports.iter_mut().for_each(Port::ask_again);
            looked = Instant::now();
        }
        let mut readable: Vec<PollFd<'_>> =
            ports.iter().map(|port| PollFd::new(port.socket.as_fd(), PollFlags::POLLIN)).collect();
        // What interrupts it does no harm.
        let _ = poll(&mut readable, PollTimeout::from(2_u8));
    }
}

/// The Start of each session, and then interims in turn: each says more than the one before.
fn packet(plan: &Plan, identifier: u8, number: u64) -> Vec<u8> {
    let (session, round) = (number % u64::from(plan.sessions), number / u64::from(plan.sessions));
    let [.., b, c] = u32::try_from(session).unwrap_or_default().to_be_bytes();
    let round = u32::try_from(round).unwrap_or(u32::MAX);
    let mut room = [0; PACKET_SIZE_MAX];
    let mut encoder = Encoder::packet(&mut room, Code::ACCOUNTING_REQUEST, identifier);
    encoder
        .bytes(Type::USER_NAME, format!("user{session:07}@isp").as_bytes())
        .bytes(Type::NAS_IDENTIFIER, b"accel-ppp")
        .ipv4(Type::NAS_IP_ADDRESS, Ipv4Addr::LOCALHOST)
        .bytes(Type::CALLING_STATION_ID, format!("02:00:00:00:{b:02x}:{c:02x}").as_bytes())
        .bytes(Type::ACCT_SESSION_ID, format!("{session:016x}").as_bytes())
        .ipv4(Type::FRAMED_IP_ADDRESS, Ipv4Addr::new(100, 64, b, c))
        .u32(Type::ACCT_STATUS_TYPE, if round == 0 { START } else { INTERIM_UPDATE });
    if round > 0 {
        encoder
            .u32(Type::ACCT_SESSION_TIME, round)
            .u32(Type::ACCT_INPUT_OCTETS, round)
            .u32(Type::ACCT_INPUT_GIGAWORDS, 0)
            .u32(Type::ACCT_OUTPUT_OCTETS, round)
            .u32(Type::ACCT_OUTPUT_GIGAWORDS, 0)
            .u32(Type::ACCT_INPUT_PACKETS, round)
            .u32(Type::ACCT_OUTPUT_PACKETS, round);
    }
    // As long as what the other clients say; a Start has no room for counters.
    let used = if round > 0 { 132 + 42 } else { 132 };
    encoder.bytes(Type::CONNECT_INFO, "x".repeat(plan.length.saturating_sub(used + 2).min(253)).as_bytes());
    let Ok(packet) = encoder.finish() else { return Vec::new() };
    sign_request(&mut Unsigned { packet, secret: plan.secret.as_bytes(), message_authenticator: false });
    packet.to_vec()
}
