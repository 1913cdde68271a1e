//! The memory of a shard's sessions, which may be taken before the shard begins its life.
//!
//! **Comes in:** how many sessions there will be. **Goes out:** memory that the system has made ready, page by page, for as many.
//! **Never:** a session. A restart learns the number while it reads the ledger; a thread that has time then makes the memory ready,
//! which takes longer than making the sessions.

use crate::shard::Limits;
use crate::table::Table;

/// Sessions whose memory is made ready at once: a few milliseconds.
const STEP: usize = 8192;

/// Memory for the sessions of one shard.
pub struct Memory {
    pub(crate) limits: Limits,
    pub(crate) table: Table,
}

impl Memory {
    /// Memory for as many sessions as `limits` says. None of it is ready; it takes nothing of the box until it is touched.
    pub fn new(limits: Limits) -> Memory {
        Memory { limits, table: Table::new(limits.sessions, [0; 16]) }
    }

    /// Goes on to make the memory for so many sessions in all ready, a little at each call. False: all of that is ready, or there
    /// is no more. What was made ready stays so.
    pub fn make_ready(&mut self, sessions: usize) -> bool {
        let wanted = sessions.min(self.limits.sessions);
        let ready = self.table.ready();
        if ready < wanted {
            self.table.make_ready(wanted.min(ready + STEP));
        }
        ready < wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_becomes_ready_step_by_step_and_no_further_than_there_is() {
        let mut memory = Memory::new(Limits { sessions: 3 * STEP, ..Limits::default() });
        for (sessions, ready) in [(100, 100), (STEP, STEP), (2 * STEP, 2 * STEP), (5 * STEP, 3 * STEP)] {
            assert!(memory.make_ready(sessions));
            assert_eq!(memory.table.ready(), ready);
        }
        assert!(!memory.make_ready(5 * STEP));
        assert!(!memory.make_ready(1));
        let table = memory.table.begin([1; 16]);
        assert_eq!((table.len(), table.slots()), (0, 0..0));
    }
}
