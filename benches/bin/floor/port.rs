//! A source port: four runs of 64 identifiers, their packets and what was answered of them.

use std::time::{Duration, Instant};

use lanes::md5::{Job, digest_all};

use crate::wire::Reply;

/// Packets of one message: as many as segmentation offload cuts.
pub(crate) const RUN: usize = 64;
/// Runs of one port.
pub(crate) const RUNS: usize = 256 / RUN;

const HEADER: usize = 20;

struct Run {
    packets: Vec<u8>,
    authenticators: [[u8; 16]; RUN],
    /// A bit for each packet that is not answered.
    out: u64,
    began: Instant,
}

pub(crate) struct Port {
    length: usize,
    runs: [Run; RUNS],
}

impl Port {
    pub(crate) fn new(number: usize, length: usize) -> Port {
        let run = |run: usize| {
            let packets = (0..RUN).flat_map(|place| packet(number, run * RUN + place, length)).collect();
            Run { packets, authenticators: [[0; 16]; RUN], out: 0, began: Instant::now() }
        };
        Port { length, runs: std::array::from_fn(run) }
    }

    pub(crate) fn runs_out(&self) -> usize {
        self.runs.iter().filter(|run| run.out != 0).count()
    }

    pub(crate) fn is_idle(&self, run: usize) -> bool {
        self.runs[run].out == 0
    }

    /// Signs the first `count` packets of a run anew; they, and the length of each.
    pub(crate) fn begin(&mut self, run: usize, count: usize, secret: &[u8]) -> (&[u8], usize) {
        let (length, run) = (self.length, &mut self.runs[run]);
        run.packets.chunks_mut(length).take(count).for_each(|packet| packet[4..HEADER].fill(0));
        let mut jobs: [Job<'_>; RUN] =
            std::array::from_fn(|place| Job::of_two(&run.packets[place * length..(place + 1) * length], secret));
        digest_all(&mut jobs[..count]);
        run.authenticators = jobs.map(|job| job.digest);
        for (packet, authenticator) in run.packets.chunks_mut(length).zip(&run.authenticators).take(count) {
            packet[4..HEADER].copy_from_slice(authenticator);
        }
        run.out = u64::MAX >> (RUN - count);
        run.began = Instant::now();
        (&run.packets[..count * length], length)
    }

    fn authenticator(&self, identifier: u8) -> &[u8; 16] {
        &self.runs[usize::from(identifier) / RUN].authenticators[usize::from(identifier) % RUN]
    }

    /// A genuine reply came. False: to nothing that is out.
    pub(crate) fn answered(&mut self, identifier: u8) -> bool {
        let run = &mut self.runs[usize::from(identifier) / RUN];
        let bit = 1 << (usize::from(identifier) % RUN);
        let was_out = run.out & bit != 0;
        run.out &= !bit;
        was_out
    }

    /// What is out for longer is lost; how many.
    pub(crate) fn give_up(&mut self, after: Duration) -> u64 {
        let late = self.runs.iter_mut().filter(|run| run.out != 0 && run.began.elapsed() > after);
        late.map(|run| u64::from(std::mem::take(&mut run.out).count_ones())).sum()
    }
}

/// An Accounting-Request of this length: Interim-Update and one vendor's attribute after the other.
fn packet(port: usize, identifier: usize, length: usize) -> Vec<u8> {
    let mut octets = vec![4, identifier.to_le_bytes()[0]];
    octets.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    octets.extend([0; 16]);
    octets.extend([40, 6, 0, 0, 0, 3]);
    octets.extend(format!("\x2c\x12floor-{port:04}-{identifier:05}").into_bytes());
    while octets.len() < length {
        // Reply-Message texts fill it up; none is shorter than its own header.
        let rest = length - octets.len();
        let size = if rest > 255 { 200 } else { rest };
        octets.push(18);
        octets.push(size.to_le_bytes()[0]);
        octets.resize(octets.len() + size - 2, b'x');
    }
    octets
}

/// Which replies the server has signed.
pub(crate) fn verify(ports: &[Port], replies: &[Reply<'_>], secret: &[u8]) -> Vec<bool> {
    let mut jobs: Vec<Job<'_>> = replies
        .iter()
        .map(|reply| {
            let authenticator = &ports[reply.port].authenticator(reply.octets[1])[..];
            let (head, rest) = (&reply.octets[..4], &reply.octets[HEADER..]);
            Job { parts: [head, authenticator, rest, secret], digest: [0; 16] }
        })
        .collect();
    digest_all(&mut jobs);
    jobs.iter().zip(replies).map(|(job, reply)| job.digest == reply.octets[4..HEADER]).collect()
}
