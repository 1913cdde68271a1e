//! The newest steps of all sessions: what was sent when and to whom, and what came back.
//!
//! **Comes in:** a step whenever one is taken. **Goes out:** the steps of one session, for an operator who asks why. **Never:**
//! anything that a session needs. **Full:** the oldest step is forgotten. **Memory:** [`STEPS`] steps of 32 octets, taken at start.

use model::ids::SessionSerial;
use model::time::Mono;
use model::verdict::{Reason, Sentence};

use crate::policy::Kind;

/// Steps that a shard remembers.
pub(crate) const STEPS: usize = 1 << 16;

/// A server that is not known any more.
pub(crate) const NO_SERVER: u16 = u16::MAX;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It came up.
    Up,
    /// It went down with this Acct-Terminate-Cause.
    Down { cause: u8 },
    /// A packet left for a server, for the so-manieth time.
    Sent { kind: Kind, is_copy: bool, server: u16, transmission: u8 },
    /// The server acknowledged it.
    Answered { kind: Kind, is_copy: bool, server: u16 },
    /// The server did not, in all its transmissions.
    Silent { kind: Kind, is_copy: bool, server: u16 },
    /// No server did: the transaction failed.
    Failed { kind: Kind, is_copy: bool },
    /// Its Stop rests and is tried again.
    Rests,
    /// Its Stop was given up: a bill stands for it.
    Billed,
    /// Its NAS has reported it.
    Reported,
    /// The plane was told.
    Verdict { sentence: Sentence, reason: Reason },
}

#[derive(Clone, Copy)]
struct Entry {
    at: Mono,
    sequence: u64,
    epoch: u32,
    step: Step,
}

const _: () = assert!(size_of::<Entry>() <= 32);

/// A ring of steps.
pub(crate) struct Journal {
    entries: Box<[Entry]>,
    /// Steps noted so far; the next one's place is what is left after division by the length.
    noted: usize,
}

impl Journal {
    pub(crate) fn new(steps: usize) -> Journal {
        let empty = Entry { at: Mono::ZERO, sequence: 0, epoch: 0, step: Step::Up };
        Journal { entries: vec![empty; steps.next_power_of_two()].into_boxed_slice(), noted: 0 }
    }

    pub(crate) fn note(&mut self, at: Mono, serial: SessionSerial, step: Step) {
        let place = self.noted & (self.entries.len() - 1);
        self.entries[place] = Entry { at, sequence: serial.sequence, epoch: serial.epoch, step };
        self.noted = self.noted.wrapping_add(1);
    }

    /// The server of this number is another one from now on: what was sent to the one before it is told without a name.
    pub(crate) fn forget_server(&mut self, number: u16) {
        for entry in &mut self.entries {
            let (Step::Sent { server, .. } | Step::Answered { server, .. } | Step::Silent { server, .. }) =
                &mut entry.step
            else {
                continue;
            };
            if *server == number {
                *server = NO_SERVER;
            }
        }
    }

    /// The steps of one session that are still known, oldest first.
    pub(crate) fn of(&self, serial: SessionSerial) -> impl Iterator<Item = (Mono, Step)> + '_ {
        let known = self.noted.min(self.entries.len());
        let places = (self.noted - known..self.noted).map(|number| number & (self.entries.len() - 1));
        let entries = places.map(|place| &self.entries[place]);
        entries
            .filter(move |entry| (entry.epoch, entry.sequence) == (serial.epoch, serial.sequence))
            .map(|entry| (entry.at, entry.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_steps_of_a_session_are_known_in_their_order() {
        let mut journal = Journal::new(4);
        let serial = |sequence| SessionSerial { epoch: 1, sequence };
        let causes = |journal: &Journal, sequence| -> Vec<u8> {
            let cause = |(_, step)| match step {
                Step::Down { cause } => cause,
                _ => 0,
            };
            journal.of(serial(sequence)).map(cause).collect()
        };
        assert_eq!(causes(&journal, 0), [], "what nobody noted is nobody's");
        for (at, sequence) in [(1, 7), (2, 8), (3, 7), (4, 8), (5, 7), (6, 9)] {
            journal.note(Mono::from_nanos(at.into()), serial(sequence), Step::Down { cause: at });
        }
        assert_eq!((causes(&journal, 7), causes(&journal, 8), causes(&journal, 9)), (vec![3, 5], vec![4], vec![6]));
        assert_eq!(journal.of(SessionSerial { epoch: 2, sequence: 7 }).count(), 0);
    }

    #[test]
    fn a_number_that_is_another_server_s_now_names_nobody_who_was_asked_before() {
        let mut journal = Journal::new(4);
        let serial = SessionSerial { epoch: 1, sequence: 7 };
        let sent = |server| Step::Sent { kind: Kind::Start, is_copy: false, server, transmission: 1 };
        for server in [1, 2] {
            journal.note(Mono::ZERO, serial, sent(server));
        }
        journal.forget_server(1);
        journal.note(Mono::ZERO, serial, sent(1));
        let steps: Vec<Step> = journal.of(serial).map(|(_, step)| step).collect();
        assert_eq!(steps, [sent(NO_SERVER), sent(2), sent(1)]);
    }
}
