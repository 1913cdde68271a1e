//! After start nothing on the packet path allocates: a counting allocator stands behind this program.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "../support/one_server.rs"]
mod one_server;
mod shard;

use std::time::Duration;

use shard::Counted;

const SESSIONS: u32 = 20_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Of so many requests one is lost, where some are.
const LOST: u64 = 50;

/// So many come, some at a time.
fn come(shard: &mut Counted, numbers: std::ops::Range<u32>) {
    for number in numbers {
        shard.up(number);
        if number % 50 == 49 {
            shard.pass(Duration::from_millis(10));
        }
    }
    shard.pass(Duration::from_secs(20));
}

#[test]
fn interims_samples_checkpoints_and_lost_requests_allocate_nothing() {
    let mut shard = Counted::new(SESSIONS as usize, LOST);
    come(&mut shard, 0..SESSIONS);
    shard.pass(2 * MINUTE);
    shard.begin();
    shard.pass(3 * MINUTE);
    let told = shard.told;
    println!("{told:?}");
    assert!(told.sent > 3 * u64::from(SESSIONS) && told.answered > 3 * u64::from(SESSIONS) * 9 / 10, "{told:?}");
    assert!(told.samples > 100, "{told:?}");
    assert!(shard.allocations.is_empty(), "{:?}", shard.allocations);
}

/// Everybody goes and somebody else comes, each minute a tenth of all.
#[test]
fn log_ins_and_log_outs_allocate_nothing_while_there_are_no_more_sessions_than_before() {
    let mut shard = Counted::new(SESSIONS as usize, 0);
    come(&mut shard, 0..SESSIONS);
    let go_and_come = |shard: &mut Counted, rounds: std::ops::Range<u32>| {
        for round in rounds {
            let oldest = round * SESSIONS / 10;
            for number in oldest..oldest + SESSIONS / 10 {
                shard.down(number);
                shard.pass(Duration::from_millis(6));
            }
            shard.pass(Duration::from_secs(20));
            come(shard, oldest + SESSIONS..oldest + SESSIONS + SESSIONS / 10);
        }
    };
    go_and_come(&mut shard, 0..2);
    shard.begin();
    go_and_come(&mut shard, 2..5);
    let told = shard.told;
    println!("{told:?}");
    let moved = u64::from(3 * SESSIONS / 10);
    assert_eq!((told.admitted, told.ended, shard.sessions()), (moved, moved, SESSIONS.into()), "{told:?}");
    assert!(shard.allocations.is_empty(), "{:?}", shard.allocations);
}

/// The first of all, in memory that nobody has used.
#[test]
fn the_first_log_ins_allocate_nothing_either() {
    let mut shard = Counted::new(SESSIONS as usize, 0);
    // What a configuration and the first packet bring about is not of the packet path.
    shard.up(0);
    shard.pass(Duration::from_secs(1));
    shard.begin();
    come(&mut shard, 1..SESSIONS);
    assert_eq!(shard.told.admitted, u64::from(SESSIONS) - 1);
    assert!(shard.allocations.is_empty(), "{:?}", shard.allocations);
}

#[test]
fn an_allocation_is_counted() {
    let measured = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 100])));
    assert_eq!(measured.count_total, 1);
}
