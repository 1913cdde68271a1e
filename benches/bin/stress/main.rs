//! The daemon and a real FreeRADIUS that writes detail, which is asked for more than it bears, held, killed, brought back, and put
//! behind a line that loses. In the end the detail file and the local bills together have to say what the packet plane counted.
//!
//! ```text
//!   plane ──link──▶ tollgate ──▶ line (loses a tenth for a while) ──▶ FreeRADIUS (held, killed, back) ──▶ detail
//!     │                 │                                                                                   │
//!     │                 └─ local bills of what was given up ─────────────────────────────┐                  │
//!     └─ what each subscriber moved, to the octet ───────────────────────────────────────┴── the same? ◀────┘
//! ```
//!
//! The parts of a run, of all its time:
//!
//! | from | what |
//! |---|---|
//! | 0 | everybody comes, as fast as the link takes them, and moves; each has an interim so often that the server is overrun |
//! | 20 % | two of five go until the end, evenly |
//! | 25 % | FreeRADIUS is held (SIGSTOP) for a while |
//! | 35 – 60 % | the line loses a tenth of all datagrams, each way |
//! | 70 % | FreeRADIUS is killed (SIGKILL), and comes back after a while |
//! | 100 % | the others go at once, and what waits drains |
//!
//! A Stop that is given up is a bill at once; so there are bills, and some of them have a Stop in the detail file as well, whose
//! reply was lost: such a bill has to say that nobody knows whether it was delivered.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for scripts")]

mod books;
mod daemon;
mod detail;
mod line;
mod pictures;
mod plane;
mod radius;
mod schedule;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::{Place, grouped};
use clap::Parser;
use nix::sys::statvfs::statvfs;

use crate::books::Books;
use crate::daemon::{Daemon, Sample};
use crate::line::Line;
use crate::plane::Plane;
use crate::radius::FreeRadius;
use crate::schedule::{Act, Schedule};

/// A record of the detail file with the attributes that are kept.
const DETAIL_OCTETS: u64 = 480;
/// FreeRADIUS writes no more records than this in a second, on any machine that this is meant for.
const RECORDS_MAX: u64 = 30_000;
/// Interims that are due in a second.
const DUE_MAX: u32 = 34_000;
/// Octets of the ledger for each session, and of other things, at the highest.
const LEDGER_OCTETS: u64 = 4096;

#[derive(Parser)]
#[command(name = "scripts/stress-freeradius", about = "A million sessions, and a FreeRADIUS that has a hard time.")]
struct Plan {
    /// Subscribers
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    sessions: u32,
    /// How long they are online; the drain comes on top
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(30..=3600))]
    seconds: u32,
    /// Two pictures of the run
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

fn main() -> ExitCode {
    match stress(&Plan::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn stress(plan: &Plan) -> Result<()> {
    let place = Place::new()?;
    ensure_room(&place, plan)?;
    if let Some(directory) = &plan.pictures {
        std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    }
    let mut server = FreeRadius::start(&place)?;
    let line = Line::lay(server.port())?;
    let schedule = Schedule::new(Duration::from_secs(plan.seconds.into()));
    let daemon = Daemon::start(&place, line.port(), interval_s(plan.sessions))?;
    let plane = Plane::start(daemon.link(), plan.sessions, schedule)?;
    let began = Instant::now();
    let mut samples = vec![daemon.sample(began)?];
    let mut last = (Duration::ZERO, Duration::ZERO);
    for (at, act) in schedule.acts() {
        // What was begun late lasts as long all the same.
        let until = if act.ends_another() { last.1 + (at - last.0) } else { at };
        watch(&daemon, &plane, began, until, &mut samples)?;
        last = (at, began.elapsed());
        println!("{:4} s  {act}", began.elapsed().as_secs());
        match act {
            Act::Hold => server.hold()?,
            Act::LetGo => server.let_go()?,
            Act::Lose => line.lose(schedule::LOST_PERMILLE),
            Act::Mend => line.lose(0),
            Act::Kill => server.kill(),
            Act::Return => server.come_back(&place)?,
            Act::AllGo => {}
        }
    }
    let all_went = Instant::now();
    let patience = Duration::from_secs(300 + u64::from(plan.sessions) / 2000);
    while !(plane.is_over() && daemon.is_empty()?) {
        ensure!(all_went.elapsed() < patience, "it does not drain: {:?}", samples.last());
        let next = began.elapsed() + Duration::from_secs(1);
        watch(&daemon, &plane, began, next, &mut samples)?;
    }
    let drained = all_went.elapsed();
    println!("{:4} s  drained", began.elapsed().as_secs());
    let truth = plane.finish()?;
    let bills = daemon.bills()?;
    let (lost, carried) = line.finish();
    server.end()?;
    let mut books = Books::new(plan.sessions);
    let octets = books.read_detail(&server.detail())?;
    books.read_bills(&bills)?;
    let sums = books.check(&truth)?;
    println!("{}", told(&samples, drained));
    println!("the line carried {carried} datagrams and lost {lost}; the detail file has {} MiB", octets >> 20);
    println!("{sums}");
    if let Some(directory) = &plan.pictures {
        pictures::draw(directory, plan.sessions, schedule, &samples)?;
    }
    Ok(())
}

/// More interims than a FreeRADIUS takes on two cores that it shares with everybody else here.
fn interval_s(sessions: u32) -> u32 {
    sessions.div_ceil(DUE_MAX)
}

/// Looks at the daemon each second until `end`, counted from `began`.
fn watch(daemon: &Daemon, plane: &Plane, began: Instant, end: Duration, samples: &mut Vec<Sample>) -> Result<()> {
    loop {
        let left = end.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_secs(1)));
        plane.check()?;
        samples.push(daemon.sample(began)?);
    }
}

fn ensure_room(place: &Place, plan: &Plan) -> Result<()> {
    let disk = statvfs(place.directory())?;
    let free = disk.blocks_available() * disk.fragment_size();
    let drain = u64::from(plan.sessions) / 10_000;
    let records = (u64::from(plan.seconds) + drain) * RECORDS_MAX;
    let needed = records * DETAIL_OCTETS + u64::from(plan.sessions) * LEDGER_OCTETS;
    let (directory, needed, free) = (place.directory().display(), needed >> 20, free >> 20);
    ensure!(free > needed, "{directory} has {free} MiB free, and this may take {needed} MiB: TMPDIR leads elsewhere");
    Ok(())
}

/// The figures of a run.
fn told(samples: &[Sample], drained: Duration) -> String {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return String::new() };
    let most = samples.iter().map(|sample| sample.backlog).max().unwrap_or(0);
    let seconds = last.at.saturating_sub(first.at).as_secs_f64();
    let rates = samples.windows(2).map(|pair| pair[1].acknowledged_since(&pair[0]));
    let best = rates.fold(0.0, f64::max);
    let grouped = |count: u64| u32::try_from(count).map_or_else(|_| count.to_string(), grouped);
    format!(
        "{} packets sent, {} of them again; {} acknowledged, {:.0}/s in the mean, {best:.0}/s at best; {} waited at most; \
         all had drained {:.0} s after the last log-out",
        grouped(last.sent),
        grouped(last.again),
        grouped(last.acknowledged),
        last.acknowledged as f64 / seconds,
        grouped(most),
        drained.as_secs_f64()
    )
}
