//! MD5 (RFC 1321) over many messages at once.
//!
//! RADIUS authenticates every packet with one MD5 over a few hundred octets. A single message leaves most of a
//! core idle, because each of the 64 steps waits for the one before it; many messages side by side do not.
//!
//! **Comes in:** [`Job`]s, each a message in up to [`PARTS`] slices (`packet ++ secret`). **Goes out:** their
//! digests, in place. **Never:** allocation, a length limit below 2⁶¹ octets, a panic.
//!
//! ```text
//! jobs ─▶ chunks of 64 ─▶ ordered by block count ─▶ groups of 32 ──────▶ one step for all lanes ─▶ digests
//!         (on the stack)   (equal ones together)     (or 16, 8, 2, 1)     (AVX-512, AVX2, portable)
//! ```
//!
//! Lanes of a group that end earlier idle until the longest has ended; ordering keeps that rare.
//! MD5 is broken as a hash function; it is here because the protocol has it and for nothing else.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod message;
mod portable;
mod steps;
#[cfg(test)]
mod tests;

use message::Message;

/// Slices that one message may consist of.
pub const PARTS: usize = 4;

/// Jobs that are ordered and grouped together.
const CHUNK: usize = 64;

/// The state before the first block (RFC 1321 section 3.3).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// One message and its digest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Job<'a> {
    /// The message: these slices, one after the other.
    pub parts: [&'a [u8]; PARTS],
    /// MD5 of the message, once [`digest_all`] has run.
    pub digest: [u8; 16],
}

impl<'a> Job<'a> {
    /// The message `first ++ second`.
    pub const fn of_two(first: &'a [u8], second: &'a [u8]) -> Job<'a> {
        Job { parts: [first, second, &[], &[]], digest: [0; 16] }
    }
}

/// Which code runs. All give the same digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// One message after the other.
    Single,
    /// Two messages interleaved in plain Rust, which any processor that runs several instructions at once likes.
    Portable,
    /// Sixteen messages, twice eight lanes of 256-bit vectors interleaved; eight where eight are enough.
    Avx2,
    /// Thirty-two messages, twice sixteen lanes of 512-bit vectors interleaved; sixteen where sixteen are enough.
    Avx512,
}

impl Path {
    /// Every path there is.
    pub const ALL: [Path; 4] = [Path::Single, Path::Portable, Path::Avx2, Path::Avx512];

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        match self {
            Path::Single | Path::Portable => true,
            Path::Avx2 => avx2_is_available(),
            Path::Avx512 => avx512_is_available(),
        }
    }

    /// Messages that run side by side.
    const fn lanes(self) -> usize {
        match self {
            Path::Single => 1,
            Path::Portable => 2,
            Path::Avx2 => 16,
            Path::Avx512 => 32,
        }
    }

    /// The fastest path of this processor.
    pub fn best() -> Path {
        [Path::Avx512, Path::Avx2].into_iter().find(|path| path.is_available()).unwrap_or(Path::Portable)
    }
}

/// MD5 of one message, its parts one after the other.
pub fn digest(parts: &[&[u8]]) -> [u8; 16] {
    portable::digest(parts)
}

/// MD5 of every job's message, on the fastest path of this processor.
pub fn digest_all(jobs: &mut [Job<'_>]) {
    digest_all_on(Path::best(), jobs);
}

/// The same on a chosen path; one that is not available is replaced by [`Path::Portable`].
pub fn digest_all_on(path: Path, jobs: &mut [Job<'_>]) {
    match if path.is_available() { path } else { Path::Portable } {
        Path::Single => jobs.iter_mut().for_each(digest_one),
        path => jobs.chunks_mut(CHUNK).for_each(|chunk| digest_chunk(path, chunk)),
    }
}

/// State of `L` lanes: word by word, so that a word of all lanes is one vector.
type State<const L: usize> = [[u32; L]; 4];

/// Takes one block of each lane into the state.
type Compress<const L: usize> = fn(&mut State<L>, &[&[u8; 64]; L]);

#[cfg(target_arch = "x86_64")]
fn avx2_is_available() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn avx2_is_available() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
fn avx512_is_available() -> bool {
    std::is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn avx512_is_available() -> bool {
    false
}

/// `path` is available here.
fn digest_chunk(path: Path, jobs: &mut [Job<'_>]) {
    let mut order = [(0_u64, 0_u8); CHUNK];
    let order = &mut order[..jobs.len()];
    for ((place, job), index) in order.iter_mut().zip(jobs.iter()).zip(0_u8..) {
        *place = (message::block_count(&job.parts), index);
    }
    order.sort_unstable();
    for group in order.chunks(path.lanes()) {
        match (path, group) {
            (_, &[(_, index)]) => digest_one(&mut jobs[usize::from(index)]),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512, _) if group.len() > 16 => digest_group(avx512::compress_32, jobs, group),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx512, _) => digest_group(avx512::compress_16, jobs, group),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx2, _) if group.len() > 8 => digest_group(avx2::compress_16, jobs, group),
            #[cfg(target_arch = "x86_64")]
            (Path::Avx2, _) => digest_group(avx2::compress_8, jobs, group),
            _ => digest_group(portable::compress_2, jobs, group),
        }
    }
}

fn digest_one(job: &mut Job<'_>) {
    job.digest = portable::digest(&job.parts);
}

/// Runs the jobs that `group` points at, at most `L` of them, side by side to the end of the longest. Lanes
/// without a job hash the empty message.
fn digest_group<const L: usize>(compress: Compress<L>, jobs: &mut [Job<'_>], group: &[(u64, u8)]) {
    let mut messages: [Message<'_>; L] = std::array::from_fn(|lane| {
        Message::new(group.get(lane).map_or([&[]; PARTS], |&(_, index)| jobs[usize::from(index)].parts))
    });
    let mut state: State<L> = INITIAL.map(|word| [word; L]);
    let block_count_max = group.last().map_or(0, |&(block_count, _)| block_count);
    let mut pending = group.iter().enumerate();
    for block in 1..=block_count_max {
        let mut blocks = [&[0; 64]; L];
        for (place, message) in blocks.iter_mut().zip(&mut messages) {
            *place = message.next_block();
        }
        compress(&mut state, &blocks);
        // The group is ordered, so the lanes that end here are the next ones.
        while let Some((lane, &(_, index))) =
            pending.clone().next().filter(|(_, (block_count, _))| *block_count == block)
        {
            jobs[usize::from(index)].digest = lane_digest(&state, lane);
            pending.next();
        }
    }
}

fn lane_digest<const L: usize>(state: &State<L>, lane: usize) -> [u8; 16] {
    octets_of(state.each_ref().map(|word| word[lane]))
}

/// The state as the digest's octets, low order first (RFC 1321 section 3.5).
fn octets_of(state: [u32; 4]) -> [u8; 16] {
    let mut digest = [0; 16];
    for (octets, word) in digest.chunks_exact_mut(4).zip(state) {
        octets.copy_from_slice(&word.to_le_bytes());
    }
    digest
}
