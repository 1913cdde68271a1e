//! Answers that wait until what they answer is durable.
//!
//! They are written when a request is taken, and signed many at once. **Full:** [`WAITING_MAX`] wait; what comes then is not taken.

use std::collections::VecDeque;
use std::net::SocketAddr;

use arrayvec::ArrayVec;
use model::settings::Secret;
use wire::radius::authenticator::{Unsealed, sign_responses};
use wire::radius::server::respond_unsigned;
use wire::radius::{PACKET_SIZE_MAX, Packet};

/// As many as may wait.
pub(super) const WAITING_MAX: usize = 1 << 16;
/// Answers that need not wait and have not left.
const READY_MAX: usize = 4096;
/// Octets of an answer that need no memory of their own: a header, and some Proxy-State.
const SHORT: usize = 84;
/// Answers that are signed together.
const BATCH: usize = 64;

/// The octets of an answer.
enum Octets {
    Short(ArrayVec<u8, SHORT>),
    Long(Box<[u8]>),
}

/// An answer.
pub(super) struct Answer {
    pub(super) to: SocketAddr,
    /// The client, by its place.
    pub(super) client: usize,
    octets: Octets,
}

impl Answer {
    /// To this request, not signed yet.
    pub(super) fn new(to: SocketAddr, client: usize, request: &Packet<'_>, secret: &Secret) -> Answer {
        let mut room = [0; PACKET_SIZE_MAX];
        // It is never longer than its request.
        let octets = respond_unsigned(request, secret.octets(), &mut room).map_or(&[][..], |octets| octets);
        let octets = ArrayVec::try_from(octets).map_or_else(|_| Octets::Long(octets.into()), Octets::Short);
        Answer { to, client, octets }
    }

    pub(super) fn octets(&self) -> &[u8] {
        match &self.octets {
            Octets::Short(octets) => octets,
            Octets::Long(octets) => octets,
        }
    }

    pub(super) fn octets_mut(&mut self) -> &mut [u8] {
        match &mut self.octets {
            Octets::Short(octets) => octets,
            Octets::Long(octets) => octets,
        }
    }
}

/// Those of a shard, in the order in which their requests were taken.
#[derive(Default)]
pub(super) struct Answers {
    waiting: VecDeque<(u64, Answer)>,
    /// The last so many do not know yet which records they wait for, and are not signed.
    unmarked: usize,
    unsigned: usize,
    /// Answers that need not wait.
    ready: VecDeque<Answer>,
    /// How many have left the line.
    left: u64,
    polled: Option<Answer>,
}

impl Answers {
    /// Whether no more can wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The clients of those that wait, by their places.
    pub(super) fn waiting_clients(&self) -> impl Iterator<Item = usize> {
        self.waiting.iter().map(|(_, answer)| answer.client)
    }

    /// One more waits. Gives its number.
    pub(super) fn wait(&mut self, answer: Answer) -> u64 {
        self.waiting.push_back((0, answer));
        self.unmarked += 1;
        self.unsigned += 1;
        self.left + self.waiting.len() as u64 - 1
    }

    /// Whether the answer of this number waits still.
    pub(super) fn is_waiting(&self, number: u64) -> bool {
        number >= self.left
    }

    /// One that is signed and may leave. Where too many are about to, it does not: it is asked for again.
    pub(super) fn is_ready(&mut self, answer: Answer) {
        if self.ready.len() < READY_MAX {
            self.ready.push_back(answer);
        }
    }

    /// Signs what is not signed.
    pub(super) fn sign<'a>(&mut self, secret_of: impl Fn(usize) -> &'a [u8]) {
        let first = self.waiting.len() - std::mem::take(&mut self.unsigned);
        let mut unsigned = self.waiting.range_mut(first..).map(|(_, answer)| answer);
        loop {
            let mut some = ArrayVec::<Unsealed<'_>, BATCH>::new();
            for answer in unsigned.by_ref().take(BATCH) {
                let secret = secret_of(answer.client);
                some.push(Unsealed { packet: answer.octets_mut(), secret });
            }
            if some.is_empty() {
                return;
            }
            sign_responses(&mut some);
        }
    }

    /// Everything that was taken stands in the first `through` records.
    pub(super) fn mark(&mut self, through: u64) {
        let first = self.waiting.len() - std::mem::take(&mut self.unmarked);
        self.waiting.range_mut(first..).for_each(|(mark, _)| *mark = through);
    }

    /// The next that may leave when so many records are durable.
    pub(super) fn poll(&mut self, durable: u64) -> Option<&Answer> {
        let marked = self.waiting.len() - self.unmarked;
        let next = self.ready.pop_front().or_else(|| {
            let is_durable = marked > 0 && self.waiting.front().is_some_and(|(through, _)| *through <= durable);
            let (_, answer) = self.waiting.pop_front_if(|_| is_durable)?;
            self.left += 1;
            Some(answer)
        })?;
        Some(self.polled.insert(next))
    }

    /// Another configuration: who stands at which place of the clients now. Whoever is none any more is not answered.
    pub(super) fn replace_clients(&mut self, place_of: impl Fn(&Answer) -> Option<usize>) {
        for (_, answer) in &mut self.waiting {
            match place_of(answer) {
                Some(client) => answer.client = client,
                None => answer.octets = Octets::Short(ArrayVec::new()),
            }
        }
        self.ready.retain_mut(|answer| {
            place_of(answer).is_some_and(|client| {
                answer.client = client;
                true
            })
        });
    }
}
