//! What a session source works with: its plane, its counters, and what it has to tell of itself.

use std::sync::{Arc, Mutex, PoisonError};

use model::counters::Counters;
use model::report::SourceReport;
use model::settings::ObjectName;
use model::time::Wall;
use plane::OwnedVerdict;
use serde_json::{Map, Value};

use super::counting::{Counting, Port};
use super::register::Entry;
use super::source_plane::{Fault, Position, SourcePlane, person_of};
use crate::run::clock;
use crate::script::{Told, on_one_line};

/// A report that the control thread reads and the source's thread writes.
pub(crate) type SharedReport = Arc<Mutex<SourceReport>>;

/// The desk of one source.
pub(crate) struct Desk {
    pub(crate) plane: SourcePlane,
    pub(crate) counting: Counting,
    /// The domain of sessions that do not say theirs.
    pub(crate) domain: Option<ObjectName>,
    report: SharedReport,
}

impl Desk {
    pub(crate) fn new(
        plane: SourcePlane,
        counting: Counting,
        domain: Option<ObjectName>,
        report: SharedReport,
    ) -> Desk {
        Desk { plane, counting, domain, report }
    }

    /// A subscriber came online; `said` has the fields of the plane script. `port`: it is a network interface.
    pub(crate) fn up(
        &mut self,
        session: &str,
        mut said: Map<String, Value>,
        at: Option<Wall>,
        port: Option<Port>,
    ) -> Result<Position, Fault> {
        if let Some(domain) = &self.domain
            && !said.contains_key("domain")
        {
            said.insert("domain".to_owned(), domain.as_str().into());
        }
        let person = person_of(session, said.clone()).map_err(Fault::Refused)?;
        if self.plane.live().contains_key(session) {
            self.last_reading(session);
            self.change(|report| report.downs += 1);
        }
        let (tallies, begun) = self.counting.begin(session, &person, port);
        self.note_failed(begun);
        let up = self.plane.up(session, said, person, at, (port.map(|port| port.index), tallies));
        if !self.plane.live().contains_key(session) {
            self.counting.forget(session);
        }
        let sessions = self.plane.live().len() as u64;
        self.change(|report| (report.ups, report.sessions) = (report.ups + u64::from(up.is_ok()), sessions));
        up
    }

    /// Something has changed.
    pub(crate) fn update(
        &mut self,
        session: &str,
        changed: Map<String, Value>,
        at: Option<Wall>,
    ) -> Result<Position, Fault> {
        let position = self.plane.update(session, changed, at)?;
        let moved = self.counting.moved(session, &mut self.plane);
        self.note_failed(moved);
        Ok(position)
    }

    /// Totals came with an event. Where octets are counted elsewhere they say nothing.
    pub(crate) fn count(&mut self, session: &str, told: Told) -> Result<(), Fault> {
        match self.counting {
            Counting::Told => self.plane.count(session, told),
            Counting::Swept(_) => self.is_up(session),
        }
    }

    /// Counters of which events tell begin again at zero. Those that are counted elsewhere do not.
    pub(crate) fn reset(&mut self, session: &str) -> Result<(), Fault> {
        match self.counting {
            Counting::Told => self.plane.reset(session),
            Counting::Swept(_) => self.is_up(session),
        }
    }

    fn is_up(&self, session: &str) -> Result<(), Fault> {
        match self.plane.live().contains_key(session) {
            true => Ok(()),
            false => Err(Fault::Refused("no such session is up".to_owned())),
        }
    }

    /// A subscriber went offline; its counters are read for the last time.
    pub(crate) fn down(&mut self, session: &str, cause: u8, at: Option<Wall>) -> Result<Position, Fault> {
        self.last_reading(session);
        self.end(session, cause, at)
    }

    /// As [`down`](Self::down), of a session that is an interface, of which this was heard last. Gives back what it has said last, where
    /// that counts.
    pub(crate) fn down_with(
        &mut self,
        session: &str,
        cause: u8,
        told: Option<Counters>,
    ) -> Result<Option<Counters>, Fault> {
        let (last, read) = self.counting.end(session, told, &mut self.plane);
        self.note_failed(read);
        self.end(session, cause, None).map(|_| last)
    }

    fn end(&mut self, session: &str, cause: u8, at: Option<Wall>) -> Result<Position, Fault> {
        let position = self.plane.down(session, cause, at)?;
        self.counting.forget(session);
        let sessions = self.plane.live().len() as u64;
        self.change(|report| (report.downs, report.sessions) = (report.downs + 1, sessions));
        Ok(position)
    }

    /// A session was refused.
    pub(crate) fn refused(&mut self, session: &str) {
        self.plane.forget(session);
        self.counting.forget(session);
        let sessions = self.plane.live().len() as u64;
        self.change(|report| report.sessions = sessions);
    }

    /// Goes on with what an earlier life has left.
    pub(crate) fn restore(&mut self, entries: Vec<Entry>) -> Result<(), Fault> {
        let restored = self.plane.restore(entries);
        let sessions = self.plane.live().len() as u64;
        self.change(|report| report.sessions = sessions);
        restored?.iter().for_each(|problem| self.note(problem));
        let resumed = self.counting.resume(&mut self.plane);
        self.note_failed(resumed);
        Ok(())
    }

    /// Octets are counted elsewhere from now on.
    pub(crate) fn count_by(&mut self, counting: Counting) {
        let read = self.counting.read_all(&mut self.plane);
        self.note_failed(read);
        self.counting = counting;
        let taken_over = self.counting.take_over(&mut self.plane);
        self.note_failed(taken_over);
    }

    /// Sweeps the counters when that is due.
    pub(crate) fn sweep(&mut self) {
        let Some((took, uncounted, swept)) = self.counting.sweep(&mut self.plane) else { return };
        self.change(|report| {
            (report.sweep_time, report.uncounted) = (took, uncounted);
            report.sweeps += 1;
        });
        self.note_failed(swept);
    }

    /// The next verdict.
    pub(crate) fn poll_verdict(&mut self) -> Option<OwnedVerdict> {
        self.plane.poll_verdict()
    }

    /// Something went wrong, and the operator should know. The same again is counted and not logged.
    pub(crate) fn note(&mut self, problem: &str) {
        // A session may be called anything.
        let problem = &*on_one_line(problem);
        let now = clock::now().wall;
        let mut is_new = false;
        self.change(|report| {
            is_new = report.last_error.as_ref().is_none_or(|(_, last)| last != problem);
            report.errors += 1;
            report.last_error = Some((now, problem.to_owned()));
        });
        if is_new {
            let source = self.report.lock().unwrap_or_else(PoisonError::into_inner).place.to_string();
            tracing::warn!(source, "{problem}");
        }
    }

    /// Changes what is told of the source.
    pub(crate) fn change(&self, change: impl FnOnce(&mut SourceReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn last_reading(&mut self, session: &str) {
        let read = self.counting.read_last(session, &mut self.plane);
        self.note_failed(read);
    }

    fn note_failed(&mut self, done: Result<(), String>) {
        if let Err(problem) = done {
            self.note(&problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::counting::Counting;
    use super::super::fixture;

    #[test]
    fn a_session_whose_name_has_a_line_end_does_not_end_the_line() {
        let place = tempfile::tempdir().unwrap();
        let (mut desk, report) = fixture::desk(place.path(), Counting::Told);
        desk.note("session a\nb: it is refused");
        let noted = report.lock().unwrap().last_error.as_ref().unwrap().1.clone();
        assert_eq!(noted, r"session a\nb: it is refused");
    }
}
