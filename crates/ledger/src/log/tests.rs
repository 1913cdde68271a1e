use super::*;
use crate::recover::{Life, RecordSink, Recovery};
use crate::segment::Place;

struct Nothing;

impl RecordSink for Nothing {
    fn record(&mut self, _: u64, _: Place, _: &Record<'_>, _: &[u8]) {}
}

/// A first life, with segments of three batches at least.
fn log() -> Log {
    let (_, start) = Recovery::new(Nothing).finish().unwrap();
    let life = Life { boot_id: [0; 16], at: Default::default(), fresh_store: [1; 16], fresh_key: [2; 16] };
    start.begin(life, LogBounds::new(1024 + 3 * 5120, 5120).unwrap()).0
}

/// A record of `len` octets; what is in it does not matter here.
fn record(len: usize) -> Vec<u8> {
    vec![255; len]
}

/// What the log asks for, in words; the id to answer it.
fn ask(log: &mut Log) -> Option<(String, OperationId)> {
    let operation = log.poll_operation()?;
    let text = match operation.request {
        Request::CreateSegment { segment, .. } => format!("create {segment}"),
        Request::Write { segment, offset, .. } => format!("write {segment} at {offset}"),
        Request::Sync { segment } => format!("sync {segment}"),
    };
    Some((text, operation.id))
}

/// Expects these requests in turn, each answered at once.
fn expect(log: &mut Log, requests: &[(&str, Result<(), DiskFault>)]) {
    for (expected, outcome) in requests {
        let (text, id) = ask(log).unwrap_or_else(|| panic!("{expected} is asked for"));
        assert_eq!(&text, expected);
        log.handle_completed(id, *outcome, Mono::ZERO);
    }
}

const OK: Result<(), DiskFault> = Ok(());
const IO: Result<(), DiskFault> = Err(DiskFault::Io);
const NO_SPACE: Result<(), DiskFault> = Err(DiskFault::NoSpace);

/// Past `started`.
fn started() -> Log {
    let mut log = log();
    assert_eq!((log.started_at(), log.durable_through(), log.waiting()), (1, 0, 1));
    expect(&mut log, &[("create 1", OK), ("write 1 at 0", OK), ("sync 1", OK)]);
    assert_eq!((log.durable_through(), log.waiting()), (1, 0));
    log
}

#[test]
fn what_arrives_meanwhile_is_the_next_batch() {
    let mut log = started();
    assert_eq!(log.append(&record(100)), Ok(2));
    let (text, id) = ask(&mut log).unwrap();
    assert_eq!(text, "write 1 at 1536");
    assert_eq!((log.append(&record(100)), log.append(&record(100))), (Ok(3), Ok(4)));
    assert_eq!(ask(&mut log), None, "one write is under way");
    log.handle_completed(id, OK, Mono::ZERO);
    expect(&mut log, &[("sync 1", OK)]);
    assert_eq!(log.durable_through(), 2);
    expect(&mut log, &[("write 1 at 2048", OK), ("sync 1", OK)]);
    assert_eq!(log.durable_through(), 4);
    assert_eq!(ask(&mut log), None);
}

#[test]
fn the_next_segment_is_made_before_it_is_needed() {
    let mut log = started();
    for _ in 0..2 {
        log.append(&record(4000)).unwrap();
        let (_, id) = ask(&mut log).unwrap();
        log.handle_completed(id, OK, Mono::ZERO);
        expect(&mut log, &[("sync 1", OK)]);
    }
    // More than half is written: the spare is asked for, and stops nothing.
    let (text, spare) = ask(&mut log).unwrap();
    assert_eq!(text, "create 2");
    log.append(&record(4000)).unwrap();
    expect(&mut log, &[("write 1 at 9728", OK), ("sync 1", OK)]);
    log.append(&record(4000)).unwrap();
    assert_eq!(ask(&mut log), None, "no segment has room, and the spare is on the way");
    log.handle_completed(spare, OK, Mono::ZERO);
    expect(&mut log, &[("write 2 at 0", OK), ("sync 2", OK)]);
    assert_eq!(log.durable_through(), 5);
}

#[test]
fn a_failed_sync_is_never_repeated() {
    let mut log = started();
    log.append(&record(100)).unwrap();
    expect(&mut log, &[("write 1 at 1536", OK), ("sync 1", IO)]);
    assert_eq!(log.poll_alarm(), Some(Alarm::Failing { segment: 1, fault: DiskFault::Io }));
    assert_eq!(log.durable_through(), 1);
    assert_eq!(ask(&mut log), None, "the disk is left alone for a while");
    log.append(&record(100)).unwrap();

    let until = log.poll_timeout().unwrap();
    log.handle_timeout(until);
    expect(&mut log, &[("create 2", OK), ("write 2 at 0", OK), ("sync 2", OK)]);
    assert_eq!(log.durable_through(), 2);
    assert_eq!(log.poll_alarm(), Some(Alarm::Healed));
    expect(&mut log, &[("write 2 at 1536", OK), ("sync 2", OK)]);
    assert_eq!((log.durable_through(), log.poll_timeout(), log.poll_alarm()), (3, None, None));
}

#[test]
fn a_failing_disk_is_not_filled_with_empty_segments_and_is_tried_less_and_less() {
    let mut log = started();
    log.append(&record(100)).unwrap();
    expect(&mut log, &[("write 1 at 1536", IO)]);
    let mut now = Mono::ZERO;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let until = log.poll_timeout().unwrap();
        waits.push(until.since(now).as_millis());
        now = until;
        log.handle_timeout(now);
        for (expected, outcome) in [("create 2", OK), ("write 2 at 0", OK), ("sync 2", IO)] {
            let (text, id) = ask(&mut log).unwrap();
            assert_eq!(text, expected);
            log.handle_completed(id, outcome, now);
        }
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
}

#[test]
fn a_full_disk_fills_memory_then_refuses_and_heals() {
    let mut log = log();
    expect(&mut log, &[("create 1", NO_SPACE)]);
    assert_eq!(log.poll_alarm(), Some(Alarm::Failing { segment: 1, fault: DiskFault::NoSpace }));
    let mut taken = 0;
    while log.append(&record(1000)).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 5, "one batch");
    assert_eq!(log.append(&record(1000)), Err(Full));
    let until = log.poll_timeout().unwrap();
    log.handle_timeout(until);
    expect(&mut log, &[("create 1", OK), ("write 1 at 0", OK), ("sync 1", OK)]);
    assert_eq!(log.poll_alarm(), Some(Alarm::Healed));
    expect(&mut log, &[("write 1 at 1536", OK)]);
    assert_eq!(log.append(&record(1000)), Ok(7), "there is room again");
    expect(&mut log, &[("sync 1", OK)]);
    assert_eq!(log.durable_through(), 6);
}

#[test]
fn a_spare_that_cannot_be_made_stops_nothing_and_is_not_asked_for_in_haste() {
    let mut log = started();
    for _ in 0..2 {
        log.append(&record(4000)).unwrap();
        for _ in 0..2 {
            let (_, id) = ask(&mut log).unwrap();
            log.handle_completed(id, OK, Mono::ZERO);
        }
    }
    expect(&mut log, &[("create 2", NO_SPACE)]);
    assert!(matches!(log.poll_alarm(), Some(Alarm::Failing { segment: 2, .. })));
    log.append(&record(100)).unwrap();
    expect(&mut log, &[("write 1 at 9728", OK), ("sync 1", OK)]);
    assert_eq!(log.durable_through(), 4);
    assert_eq!((ask(&mut log), log.poll_alarm()), (None, None), "not healed yet");
    log.handle_timeout(log.poll_timeout().unwrap());
    expect(&mut log, &[("create 2", OK)]);
    assert_eq!(log.poll_alarm(), Some(Alarm::Healed));
}

#[test]
fn bounds_that_contradict_each_other_are_refused() {
    assert!(LogBounds::new(64 << 20, 1 << 20).is_ok());
    assert_eq!(LogBounds::new(16 << 20, 1 << 20), Ok(LogBounds::default()));
    for (segment_len, batch_len_max) in [
        (64 << 20, 2 << 20),
        (64 << 20, 4096),
        (64 << 20, 5121),
        (5120, 5120),
        (1024 + 5120 + 1, 5120),
        (2 << 30, 5120),
    ] {
        assert_eq!(LogBounds::new(segment_len, batch_len_max), Err(BadBounds));
    }
}
