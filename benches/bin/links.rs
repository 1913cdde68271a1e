//! One sweep of many network interfaces beside one question for each: processor time of both, kernel included, taken in turn.
//!
//! `links [INTERFACES [ROUNDS]]`, by default 10,000 and 10, makes the interfaces (ifb) in a network namespace of its own, which
//! ends with it. It needs root, and `ip` of iproute2.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use benches::processor_time;
use kernel::netlink::{Family, NetlinkSocket, Received};
use model::counters::Totals;
use nix::sched::{CloneFlags, unshare};
use plane::links::LinkTable;
use plane::netlink::{self, Body};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse());
    let (interfaces, rounds) = (numbers.next().unwrap_or(Ok(10_000))?, numbers.next().unwrap_or(Ok(10))?);
    unshare(CloneFlags::CLONE_NEWNET)?;
    let began = Instant::now();
    make(interfaces)?;
    println!("{interfaces} interfaces made in {:.1} s", began.elapsed().as_secs_f64());

    let mut reader = Reader::open()?;
    let links = reader.links()?;
    let (mut swept, mut asked) = (Cost::default(), Cost::default());
    for _ in 0..rounds {
        let by_sweep = swept.of(|| reader.sweep())?;
        let by_question =
            asked.of(|| links.iter().map(|index| reader.question(*index)).collect::<Outcome<Vec<_>>>())?;
        let of_links = |(index, _): &&(u32, Totals)| links.contains(index);
        assert_eq!(by_sweep.iter().filter(of_links).count(), links.len(), "a sweep brings every interface");
        assert_eq!(by_question.len(), links.len());
    }
    swept.print("one sweep", rounds, links.len());
    asked.print("one question for each", rounds, links.len());
    println!("ratio of processor time: {:.1}", asked.processor.as_secs_f64() / swept.processor.as_secs_f64());
    Ok(())
}

/// Makes the interfaces with one process.
fn make(count: u32) -> Outcome<()> {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    let mut lines = ip.stdin.take().ok_or("ip reads nothing")?;
    for number in 0..count {
        writeln!(lines, "link add sub{number} type ifb")?;
    }
    drop(lines);
    if ip.wait()?.success() { Ok(()) } else { Err("ip did not make the interfaces".into()) }
}

/// What something took, over all rounds.
#[derive(Default)]
struct Cost {
    processor: Duration,
    elapsed: Duration,
}

impl Cost {
    fn of<T>(&mut self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let (process, began) = (std::process::id(), Instant::now());
        let before = processor_time(process)?;
        let done = work()?;
        self.elapsed += began.elapsed();
        self.processor += processor_time(process)? - before;
        Ok(done)
    }

    fn print(&self, name: &str, rounds: u32, links: usize) {
        let (processor, elapsed) = (self.processor / rounds, self.elapsed / rounds);
        println!(
            "{name}: {:.2} ms of processor time, {:.2} ms; {:.2} µs for each interface",
            processor.as_secs_f64() * 1e3,
            elapsed.as_secs_f64() * 1e3,
            processor.as_secs_f64() * 1e6 / links as f64,
        );
    }
}

/// Asks the kernel, as the daemon does.
struct Reader {
    socket: NetlinkSocket,
    room: Vec<u8>,
    sequence: u32,
    table: LinkTable,
    statistics: Vec<(u32, Totals)>,
}

impl Reader {
    fn open() -> Outcome<Reader> {
        let socket = NetlinkSocket::open(Family::Route, 1 << 20)?;
        let room = vec![0; netlink::DATAGRAM_BYTES_MAX];
        Ok(Reader { socket, room, sequence: 0, table: LinkTable::new(), statistics: Vec::new() })
    }

    /// The indices of all interfaces, which the table knows from now on.
    fn links(&mut self) -> Outcome<BTreeSet<u32>> {
        self.sequence += 1;
        self.socket.send(&netlink::dump_links(self.sequence))?;
        let mut links = Vec::new();
        self.answers(|body| {
            if let Body::NewLink(message) = body {
                links.push(message.link());
            }
            false
        })?;
        let indices = links.iter().map(|link| link.index).collect();
        self.table.dump_begins();
        self.table.handle_links(links, true);
        Ok(indices)
    }

    /// The totals of all interfaces, taken into the table.
    fn sweep(&mut self) -> Outcome<Vec<(u32, Totals)>> {
        self.sequence += 1;
        self.socket.send(&netlink::dump_statistics(self.sequence))?;
        let mut statistics = std::mem::take(&mut self.statistics);
        statistics.clear();
        self.answers(|body| {
            if let Body::Statistics { index, totals } = body {
                statistics.push((index, totals));
            }
            false
        })?;
        self.table.dump_begins();
        self.table.handle_statistics(&statistics);
        Ok(statistics)
    }

    /// The totals of one interface.
    fn question(&mut self, index: u32) -> Outcome<Totals> {
        self.sequence += 1;
        self.socket.send(&netlink::get_link(self.sequence, index))?;
        let mut totals = None;
        self.answers(|body| {
            if let Body::NewLink(message) = body {
                totals = message.totals;
            }
            totals.is_some()
        })?;
        totals.ok_or_else(|| "an interface without statistics".into())
    }

    /// Hands on the answers to the last request, until the dump ends or `take` has what it wants.
    fn answers(&mut self, mut take: impl FnMut(Body<'_>) -> bool) -> Outcome<()> {
        loop {
            let octets = match self.socket.receive(&mut self.room)? {
                Received::Datagram(octets) => octets,
                Received::Lost => return Err("an answer was lost".into()),
                Received::Nothing if self.socket.wait(Duration::from_secs(10))? => continue,
                Received::Nothing => return Err("no answer".into()),
            };
            for message in netlink::messages(&self.room[..octets]) {
                let message = message.map_err(|why| format!("{why:?}"))?;
                match message.body {
                    Body::Done(0) => return Ok(()),
                    Body::Done(errno) | Body::Answer(errno) => return Err(io::Error::from_raw_os_error(errno).into()),
                    body if take(body) => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}
