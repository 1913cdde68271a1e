//! Playing: each line at its time, every verdict as it comes, and the link brought back when it is lost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters};
use model::event::{Down, PlaneEvent, Reset, Up, Update};
use model::time::Wall;
use model::verdict::{Reason, Sentence};
use plane::hello::Answer;

use super::link::{Link, Look};
use crate::args::FeedArgs;
use crate::exit::{Failure, Outcome};
use crate::output::print;
use crate::script::{At, Line, Op, Person};

/// How fast a script is played.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many times as fast as it is written.
    Speed(f64),
    /// As fast as the link takes it.
    Asap,
}

/// How long to sleep while nothing is due and nothing was heard.
pub(super) const NAP: Duration = Duration::from_millis(20);
/// Acct-Terminate-Cause *Admin Reset*: the engine said that the session be cut.
const ADMIN_RESET: u8 = 6;

/// A session that is up.
struct Live {
    person: Box<Person>,
    slot: CounterSlot,
    /// The one that it had before, while the engine may not have heard of the other.
    slot_before: Option<CounterSlot>,
    counters: Counters,
    at: Option<Wall>,
}

/// A script in play.
pub(super) struct Player {
    link: Link,
    pace: Pace,
    began: Instant,
    /// The first wall-clock time in the script: later ones are played at their distance from it.
    first_wall: Option<Wall>,
    live: HashMap<String, Live>,
    /// The script's first sessions are being announced as known ones.
    resyncing: bool,
    was_linked: bool,
}

impl Player {
    pub(super) fn new(args: &FeedArgs, name: &str, pace: Pace) -> Result<Player, Failure> {
        let mut player = Player {
            link: Link::new(&args.link, name, !args.resync)?,
            pace,
            began: Instant::now(),
            first_wall: None,
            live: HashMap::new(),
            resyncing: false,
            was_linked: false,
        };
        let patience = Instant::now() + Duration::from_secs(10);
        while !player.link.is_linked() {
            player.look()?;
            if Instant::now() > patience {
                return Err(Failure::failed(match player.link.refusal() {
                    Some(Answer::NameTaken) => format!("the engine refused the plane: {name} is linked already"),
                    Some(answer) => format!("the engine refused the plane: {}", answer.as_str()),
                    None => format!("no engine answers on {}: is its plane-link set?", args.link.display()),
                }));
            }
            player.link.wait(NAP);
        }
        player.began = Instant::now();
        if args.resync {
            player.resyncing = true;
            player.say(&PlaneEvent::ResyncBegin)?;
        }
        Ok(player)
    }

    /// Plays one line, at its time.
    pub(super) fn play(&mut self, line: &Line) -> Outcome {
        self.wait_for(line.at)?;
        let at = match line.at {
            At::Wall(wall) => Some(wall),
            At::Once | At::Offset(_) => None,
        };
        // The announcement ends with the first line that is no log-in, or that has a time of its own.
        let is_announced = matches!(line.op, Op::Up(_)) && matches!(line.at, At::Once | At::Offset(0.0));
        if self.resyncing && !is_announced {
            self.end_resync()?;
        }
        match &line.op {
            Op::Up(person) => self.up(&line.session, person, at),
            Op::Update(person) => {
                let changed = person.subscriber();
                self.say(&PlaneEvent::Update(Update { session: line.session.as_bytes(), changed, at }))
            }
            Op::Count(told) => {
                if let Some(live) = self.live.get_mut(&line.session) {
                    live.counters = told.over(live.counters);
                    self.link.count(live.slot, live.counters);
                }
                Ok(())
            }
            Op::Down { cause } => {
                if let (Some(told), Some(live)) = (line.counted, self.live.get_mut(&line.session)) {
                    live.counters = told.over(live.counters);
                }
                self.down(&line.session, *cause, at)
            }
            Op::Reset => self.reset(&line.session),
            Op::Resync => self.announce(),
        }
    }

    /// Stops what is still up unless it is kept, and waits until everything is taken over.
    pub(super) fn finish(mut self, keep: bool) -> Outcome {
        if self.resyncing {
            self.end_resync()?;
        }
        if !keep {
            let mut sessions: Vec<String> = self.live.keys().cloned().collect();
            sessions.sort_unstable();
            for session in sessions {
                self.down(&session, 0, None)?;
            }
        }
        while !self.link.is_taken_over() {
            self.look()?;
            self.link.wait(NAP);
        }
        // Verdicts that were on their way when the last event was taken over.
        self.look()
    }

    fn up(&mut self, session: &str, person: &Person, at: Option<Wall>) -> Outcome {
        if !self.resyncing && self.live.contains_key(session) {
            // An implied Down: the slot's last totals are read by the engine, and the new session has another slot.
            let old = self.live.remove(session).map(|live| live.slot);
            self.come_up(session, person, at)?;
            if let Some(slot) = old {
                self.wait_until_taken_over()?;
                self.link.give_slot_back(slot);
            }
            return Ok(());
        }
        self.come_up(session, person, at)
    }

    fn come_up(&mut self, session: &str, person: &Person, at: Option<Wall>) -> Outcome {
        let slot = self.link.take_slot()?;
        let live = Live { person: Box::new(person.clone()), slot, slot_before: None, counters: Counters::ZERO, at };
        // Live before it is said: if the link breaks meanwhile, it is announced.
        self.live.insert(session.to_owned(), live);
        self.say(&PlaneEvent::Up(Up {
            session: session.as_bytes(),
            subscriber: person.subscriber(),
            counters: slot,
            at,
        }))
    }

    fn down(&mut self, session: &str, cause: u8, at: Option<Wall>) -> Outcome {
        // A session that was refused or cut is down already.
        let Some(live) = self.live.remove(session) else {
            return self.say(&PlaneEvent::Down(Down { session: session.as_bytes(), cause, totals: None, at }));
        };
        let totals = Some(live.counters);
        self.say(&PlaneEvent::Down(Down { session: session.as_bytes(), cause, totals, at }))?;
        self.link.give_slot_back(live.slot);
        Ok(())
    }

    fn reset(&mut self, session: &str) -> Outcome {
        let Some(live) = self.live.get_mut(session) else { return Ok(()) };
        let old = live.slot;
        live.slot = self.link.take_slot_after(old)?;
        live.slot_before = Some(old);
        live.counters = Counters::ZERO;
        let counters = live.slot;
        self.say(&PlaneEvent::Reset(Reset { session: session.as_bytes(), counters }))?;
        // The engine reads what the old slot counted, and goes on from there.
        self.wait_until_taken_over()?;
        if let Some(live) = self.live.get_mut(session) {
            live.slot_before = None;
        }
        self.link.give_slot_back(old);
        Ok(())
    }

    /// Announces every live session between the two marks.
    fn announce(&mut self) -> Outcome {
        self.say(&PlaneEvent::ResyncBegin)?;
        let mut sessions: Vec<String> = self.live.keys().cloned().collect();
        sessions.sort_unstable();
        for session in sessions {
            let Some(live) = self.live.get(&session) else { continue };
            let (person, slot, at) = (live.person.clone(), live.slot, live.at);
            let up = Up { session: session.as_bytes(), subscriber: person.subscriber(), counters: slot, at };
            self.say(&PlaneEvent::Up(up))?;
        }
        self.say(&PlaneEvent::ResyncEnd)
    }

    fn end_resync(&mut self) -> Outcome {
        self.resyncing = false;
        self.say(&PlaneEvent::ResyncEnd)
    }

    /// Says an event, however long the ring is full.
    fn say(&mut self, event: &PlaneEvent<'_>) -> Outcome {
        while !self.link.say(event)? {
            self.hear()?;
            // What the engine does not take now it takes when it is back; the announcement can wait for room.
            self.was_linked |= self.link.look()? == Look::Linked;
            self.link.wait(NAP);
        }
        Ok(())
    }

    /// Waits until a line is due; verdicts and the link are looked after meanwhile.
    fn wait_for(&mut self, at: At) -> Outcome {
        let due = self.due(at);
        loop {
            self.look()?;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.link.wait(left.min(NAP));
        }
    }

    fn due(&mut self, at: At) -> Instant {
        let offset = match at {
            At::Once => 0.0,
            At::Offset(offset) => offset,
            At::Wall(wall) => {
                let first = *self.first_wall.get_or_insert(wall);
                Duration::from_millis(wall.as_millis().saturating_sub(first.as_millis())).as_secs_f64()
            }
        };
        match self.pace {
            Pace::Asap => self.began,
            Pace::Speed(speed) => {
                self.began + Duration::try_from_secs_f64(offset / speed).unwrap_or(Duration::from_secs(u32::MAX.into()))
            }
        }
    }

    fn wait_until_taken_over(&mut self) -> Outcome {
        while !self.link.is_taken_over() {
            self.look()?;
            self.link.wait(NAP);
        }
        Ok(())
    }

    /// Hears verdicts, and announces the live sessions when the link has come back.
    pub(super) fn look(&mut self) -> Outcome {
        let came_back = self.link.look()? == Look::Linked && self.was_linked;
        self.was_linked |= self.link.is_linked();
        if came_back {
            self.announce()?;
        }
        self.hear()
    }

    /// Prints every verdict, and does what it says.
    fn hear(&mut self) -> Outcome {
        while let Some(verdict) = self.link.poll_verdict() {
            let session = String::from_utf8_lossy(verdict.session()).into_owned();
            let line = serde_json::json!({
                "session": session,
                "verdict": verdict.sentence.as_str(),
                "reason": verdict.reason.as_str(),
                "at": (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            });
            print(&format!("{line}\n"))?;
            let Some(live) = self.live.get(&session) else { continue };
            if !verdict.is_on(&[live.slot, live.slot_before.unwrap_or(live.slot)]) {
                continue;
            }
            match verdict.sentence {
                // It stays, but it is not spoken of any more.
                Sentence::Redirect if verdict.reason == Reason::AccountingStopped => {
                    self.down(&session, ADMIN_RESET, None)?;
                }
                Sentence::Admit | Sentence::Redirect => {}
                Sentence::Refuse => {
                    if let Some(live) = self.live.remove(&session) {
                        self.link.give_slot_back(live.slot);
                    }
                }
                Sentence::Cut => self.down(&session, ADMIN_RESET, None)?,
            }
        }
        Ok(())
    }
}
