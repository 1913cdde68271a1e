//! The segment after the one that is written to, made ahead of its need because making zeros takes long.

use super::OperationId;

/// Makes segments, one at a time, and numbers them.
pub(super) struct Spare {
    state: State,
    /// The number of the next segment to be asked for.
    number_next: u64,
}

enum State {
    Missing,
    Asked { id: OperationId, len: u64 },
    Ready { len: u64 },
}

impl Spare {
    pub(super) fn new(number_next: u64) -> Spare {
        Spare { state: State::Missing, number_next }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self.state, State::Missing)
    }

    /// The segment that is missing, asked for or ready.
    pub(super) fn number(&self) -> u64 {
        self.number_next
    }

    pub(super) fn ask(&mut self, id: OperationId, len: u64) -> (u64, u64) {
        self.state = State::Asked { id, len };
        (self.number_next, len)
    }

    /// False when it asked for no such thing.
    pub(super) fn handle_completed(&mut self, id: OperationId, succeeded: bool) -> bool {
        match self.state {
            State::Asked { id: asked, len } if asked == id => {
                self.state = if succeeded { State::Ready { len } } else { State::Missing };
                true
            }
            State::Missing | State::Asked { .. } | State::Ready { .. } => false,
        }
    }

    /// Number and length of the spare, if there is one.
    pub(super) fn take(&mut self) -> Option<(u64, u64)> {
        let State::Ready { len } = self.state else { return None };
        self.state = State::Missing;
        self.number_next += 1;
        Some((self.number_next - 1, len))
    }

    /// A segment was abandoned with nothing durable in it. Its number is used again, lest a failing disk be filled with
    /// empty segments; not when its successor has been asked for, for numbers only grow.
    pub(super) fn give_back(&mut self, number: u64) {
        if self.is_missing() && number + 1 == self.number_next {
            self.number_next = number;
        }
    }
}
