//! Whose a verdict is: names are given again, and a verdict may come when its session is gone.

use model::counters::CounterSlot;
use model::settings::{AccountingMode, ObjectName};
use model::verdict::Sentence;

use crate::stage::{Setup, Stage, at, settings};

/// Room for so many, whose Downs are the end of them.
fn not_accounted(sessions: usize) -> Stage {
    let mut settings = settings(Setup::default());
    settings.schemes.get_mut(&ObjectName::from("scheme")).unwrap().mode = Some(AccountingMode::None);
    Stage::with(1, at(0), &settings, sessions).linked(1, 0)
}

/// As the next verdict has it.
fn next(stage: &mut Stage) -> Option<(String, Sentence, CounterSlot)> {
    let verdict = stage.shard.poll_verdict()?;
    Some((String::from_utf8_lossy(verdict.session).into_owned(), verdict.sentence, verdict.counters))
}

fn slot(slot: u32) -> CounterSlot {
    CounterSlot { slot, generation: 1 }
}

#[test]
fn a_verdict_says_where_its_session_is_counted() {
    let mut stage = Stage::new(1, at(0), Setup::default()).linked(1, 0);
    stage.up("a", 3);
    stage.hand_out(usize::MAX);
    stage.make_durable(1);
    assert_eq!(next(&mut stage), Some(("a".to_owned(), Sentence::Admit, slot(3))));
    // The plane has lost its memory, and has another one.
    let mut stage = stage.linked(2, 0);
    stage.resync(&[("a", 8)]);
    assert_eq!(next(&mut stage), Some(("a".to_owned(), Sentence::Admit, slot(8))));
    assert_eq!(next(&mut stage), None);
}

/// Its name is another's when the refusal is read: it must not be taken for one of the other.
#[test]
fn who_was_refused_is_told_from_who_comes_behind_it() {
    let mut stage = not_accounted(1);
    stage.up("a", 1);
    assert_eq!(next(&mut stage), Some(("a".to_owned(), Sentence::Admit, slot(1))));
    stage.up("b", 2);
    stage.down("b");
    stage.up("b", 3);
    let refused = [2, 3].map(|number| Some(("b".to_owned(), Sentence::Refuse, slot(number))));
    assert_eq!([next(&mut stage), next(&mut stage)], refused);
}

/// Otherwise the plane would drop, by the first, whom it lets in by the second, and nobody would end its accounting.
#[test]
fn who_is_announced_once_more_and_finds_room_is_not_refused_any_more() {
    let mut stage = not_accounted(2);
    stage.up("a", 1);
    stage.up("c", 4);
    while next(&mut stage).is_some() {}
    stage.up("b", 2);
    stage.up("d", 5);
    stage.down("a");
    stage.resync(&[("b", 2), ("c", 4)]);
    let told: Vec<_> = std::iter::from_fn(|| next(&mut stage)).collect();
    let expected = [("d", Sentence::Refuse, 5), ("b", Sentence::Admit, 2), ("c", Sentence::Admit, 4)];
    assert_eq!(told, expected.map(|(name, sentence, number)| (name.to_owned(), sentence, slot(number))));
}
