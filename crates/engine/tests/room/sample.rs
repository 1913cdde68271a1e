//! Every session is sampled once in a checkpoint interval, as far as there is something new.

use std::time::Duration;

use model::counters::Counters;
use model::record::{Record, Sampled};
use model::settings::StartFail;

use crate::stage::{Kept, Setup, Stage, at, moved, settings};

fn samples(stage: &Stage) -> Vec<Sampled> {
    let sampled = stage.records.iter().filter_map(|record| match record {
        Kept::Sampled(sampled) => Some(*sampled),
        _ => None,
    });
    sampled.collect()
}

/// One session that counts every second, for ten minutes: the greatest age that its last sample had, in seconds, and how
/// many samples there were.
fn oldest(setup: Setup, answers: bool) -> (u64, usize) {
    oldest_of(Stage::new(1, at(1000), setup), answers)
}

fn oldest_of(stage: Stage, answers: bool) -> (u64, usize) {
    let mut stage = stage.linked(1, 0);
    stage.up("a", 1);
    let (mut oldest, mut last) = (0, stage.now.mono);
    for second in 1..=600 {
        stage.table.set(1, moved(second));
        stage.run(Duration::from_secs(1), answers);
        last = samples(&stage).last().map_or(last, |sampled| sampled.at);
        oldest = oldest.max(stage.now.mono.since(last).as_secs());
    }
    (oldest, samples(&stage).len())
}

#[test]
fn no_sample_grows_older_than_the_interval() {
    let setup = |interim_s, checkpoint_interval_s| Setup { interim_s, checkpoint_interval_s, ..Setup::default() };
    for (what, setup, answers, most, count) in [
        ("without interims", setup(0, 60), true, 60, 9..=11),
        ("with rare interims", setup(300, 60), true, 60, 9..=13),
        ("with interims as often", setup(60, 60), true, 61, 9..=20),
        ("with interims more often", setup(30, 60), true, 60, 19..=21),
        ("every ten seconds", setup(0, 10), true, 10, 58..=61),
        ("start-failed", setup(0, 60), false, 60, 9..=11),
    ] {
        let (oldest, samples) = oldest(setup, answers);
        assert!(oldest <= most, "{what}: {oldest} s");
        assert!(count.contains(&samples), "{what}: {samples} samples");
    }
}

/// The walk leaves a session to its next interim, and then that is skipped: nobody has answered the last one.
#[test]
fn no_sample_grows_older_than_the_interval_where_nobody_answers() {
    for interim_s in [5, 7, 9, 11, 13, 15] {
        let start_fail = StartFail::OnlineKeepAccounting;
        let setup = Setup { interim_s, start_fail, checkpoint_interval_s: 10, ..Setup::default() };
        let mut settings = settings(setup);
        for group in settings.radius_groups.values_mut() {
            (group.retransmit, group.timeout_s) = (5, 5);
        }
        let (oldest, samples) = oldest_of(Stage::with(1, at(1000), &settings, 1), false);
        assert!(oldest <= 10, "every {interim_s} s: {oldest} s");
        let most = 60 + 2 * 600 / usize::from(interim_s);
        assert!((58..=most).contains(&samples), "every {interim_s} s: {samples} samples");
    }
}

#[test]
fn nothing_new_is_not_written() {
    let mut stage = Stage::new(1, at(1000), Setup::default()).linked(1, 0);
    stage.table.set(1, Counters::ZERO);
    stage.up("a", 1);
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 0);
    stage.table.set(1, moved(5));
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 1);
    stage.down("a");
    stage.table.set(1, moved(9));
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 1, "a session that is down is sampled no more");
    assert_eq!(stage.live().len(), 0);
}

#[test]
fn a_start_failed_session_bills_what_it_counted() {
    let setup = Setup { start_fail: StartFail::Online, ..Setup::default() };
    let mut stage = Stage::new(1, at(1000), setup).linked(1, 0);
    stage.up("a", 1);
    stage.run(Duration::from_secs(60), false);
    assert!(stage.only_live().start_failed.is_some());
    stage.table.set(1, moved(70));
    stage.run(Duration::from_secs(120), false);
    assert_eq!(stage.only_live().sampled.map(|sampled| sampled.counters), Some(moved(70)));
}

#[test]
fn records_weigh_something() {
    let mut stage = Stage::new(1, at(1000), Setup::default()).linked(1, 0);
    stage.up("a", 1);
    let record = stage.shard.poll_record();
    let Some(Record::Opened(opened)) = record else { panic!("{record:?}") };
    let longer = engine::record_octets(&Record::Opened(model::record::Opened { domain: "longer", ..opened }));
    assert_eq!(longer, engine::record_octets(&Record::Opened(opened)) + 3);
}
