//! Connections that have not said HELLO yet. An honest plane says it as soon as it is connected, so it is heard however
//! many others are silent.

use std::collections::VecDeque;

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Connections that may be silent at once. One more, and the one that has been silent for longest goes.
const SILENT_MAX: usize = 64;

/// Who is silent, the longest silent first.
#[derive(Default)]
pub(super) struct Greeting {
    silent: VecDeque<(u64, Sender<()>)>,
    tickets: u64,
}

impl Greeting {
    /// A connection has come. The receiver ends when the connection has to go; the ticket is given back by
    /// [`leave`](Self::leave).
    pub(super) fn enter(&mut self) -> (u64, Receiver<()>) {
        if self.silent.len() == SILENT_MAX {
            self.silent.pop_front();
        }
        let (sender, receiver) = channel();
        self.tickets += 1;
        self.silent.push_back((self.tickets, sender));
        (self.tickets, receiver)
    }

    /// It has spoken, or gone.
    pub(super) fn leave(&mut self, ticket: u64) {
        self.silent.retain(|(other, _)| *other != ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silent_goes_first() {
        let mut greeting = Greeting::default();
        let mut all: Vec<_> = (0..SILENT_MAX).map(|_| greeting.enter()).collect();
        let has_to_go = |(_, receiver): &mut (u64, Receiver<()>)| {
            receiver.try_recv().is_err_and(|error| error == tokio::sync::oneshot::error::TryRecvError::Closed)
        };
        assert!(!all.iter_mut().any(has_to_go));
        greeting.leave(all[0].0);
        all.push(greeting.enter());
        assert!(!all[1..].iter_mut().any(has_to_go), "one has spoken, so there is room");
        all.push(greeting.enter());
        assert!(has_to_go(&mut all[1]) && !all[2..].iter_mut().any(has_to_go));
    }
}
