use std::net::SocketAddr;

use model::record::{Announced, Announcement};
use model::settings::{BillReplay, CacheBackupMode, ServerPath};

use super::world::{Dice, Died, World, settings};
use crate::transfer::UploadFailure;

/// Bills come while they are moved, sent and replayed; at the end everything has come to rest.
fn run(world: &mut World, first: u64) -> Result<(), Died> {
    for counted in first..first + 40 {
        world.bill(counted);
        if counted % 3 == 0 {
            world.turn()?;
        }
    }
    let now = world.now;
    world.keeper.handle_servers_answer(true, now);
    world.turn()?;
    world.keeper.backup_cache(now).ok();
    world.turn()?;
    world.keeper.backup_cfcard(None, now).ok();
    world.pass(100)?;
    world.keeper.backup_cfcard(None, now).ok();
    world.pass(100)
}

fn check_every_crash(mode: CacheBackupMode, replay: BillReplay) -> u64 {
    let fresh = || {
        let mut settings = settings(mode);
        settings.replay = replay;
        World::new(settings)
    };
    let mut world = fresh();
    run(&mut world, 1).unwrap();
    world.check();
    let steps = world.steps;
    for fuse in 0..steps {
        let mut dice = Dice(fuse);
        let mut world = fresh();
        world.fuse = Some(fuse);
        assert!(run(&mut world, 1).is_err());
        world.crash(&mut dice);
        world.settle().unwrap();
        world.check();
        assert_eq!(world.recovered().snapshot(), world.keeper.book().snapshot(), "step {fuse}");
        // A second crash, somewhere in what follows.
        world.fuse = Some(dice.below(120));
        if run(&mut world, 1_000).is_err() {
            world.crash(&mut dice);
            world.settle().unwrap();
        }
        world.check();
        run(&mut world, 2_000).unwrap();
        world.check();
        assert!(world.proof().is_complete(), "step {fuse}: {:?}", world.proof().gaps);
        assert_eq!(world.recovered().snapshot(), world.keeper.book().snapshot(), "step {fuse}");
    }
    steps
}

#[test]
fn no_step_of_an_upload_loses_or_doubles_a_bill() {
    let steps = check_every_crash(CacheBackupMode::Sftp, BillReplay::Disabled);
    println!("{steps} crash points of uploads");
}

#[test]
fn no_step_of_a_move_loses_or_doubles_a_bill() {
    let steps = check_every_crash(CacheBackupMode::Cfcard, BillReplay::Disabled);
    println!("{steps} crash points of moves and uploads from the card");
}

#[test]
fn no_step_of_a_replay_loses_or_doubles_a_bill() {
    let steps = check_every_crash(CacheBackupMode::Sftp, BillReplay::Enabled);
    println!("{steps} crash points of replays and uploads");
    let steps = check_every_crash(CacheBackupMode::Cfcard, BillReplay::Enabled);
    println!("{steps} crash points of replays and moves");
}

#[test]
fn no_step_of_a_reset_brings_a_bill_back() {
    let mut steps = 1;
    let mut fuse = 0;
    while fuse < steps {
        let mut world = World::new(settings(CacheBackupMode::Cfcard));
        for counted in 1..=12 {
            world.bill(counted);
        }
        world.settle().unwrap();
        world.keeper.backup_cache(world.now).unwrap();
        world.settle().unwrap();
        world.bill(13);
        world.settle().unwrap();
        world.keeper.backup_cache(world.now).unwrap();
        assert_eq!(world.keeper.reset_cfcard(world.now), Ok(12));
        let before = world.steps;
        world.fuse = Some(fuse);
        let died = world.settle().is_err();
        steps = steps.max(world.steps - before);
        let mut dice = Dice(fuse);
        if died {
            steps += 1;
            world.crash(&mut dice);
            world.settle().unwrap();
        }
        let card: Vec<u64> = world.on_card();
        let is_reset = card.iter().all(|counted| *counted == 13);
        assert!(is_reset || card.iter().filter(|counted| **counted <= 12).count() == 12, "all of it or nothing");
        assert!(world.pool().contains(&13) || card.contains(&13), "what was on the way is not reset");
        assert!(!died || fuse < 200, "it ends");
        fuse += 1;
    }
}

#[test]
fn a_file_that_failed_before_the_crash_is_sent_again_as_it_was() {
    let mut world = World::new(settings(CacheBackupMode::Sftp));
    for counted in 1..=7 {
        world.bill(counted);
    }
    world.settle().unwrap();
    world.servers.failure = Some(UploadFailure::Timeout);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    let open: Vec<String> = world.keeper.book().transfers().map(|open| open.file.clone()).collect();
    world.servers.failure = None;
    world.restart();
    world.settle().unwrap();
    assert_eq!(world.servers.files.keys().cloned().collect::<Vec<_>>(), open, "that file goes on by itself");
    assert_eq!(world.pool(), [6, 7], "the others wait for the next trigger");
}

/// A life that is killed while a boot begins leaves a boot that has not begun, or every server that is to be told of it; and what
/// was recovered is acted upon behind that. There are more servers than one batch holds.
#[test]
fn a_boot_begins_with_every_server_that_is_to_be_told() {
    let due = |number: u16| {
        let server = ServerPath::from(SocketAddr::from(([192, 0, 2, 1], 1 + number)));
        Announced { server, boot_id: [7; 16], state: Announcement::Due }
    };
    let due: Vec<Announced> = (0..300).map(due).collect();
    let (mut begun, mut unbegun, mut early) = (0, 0, 0);
    for fuse in 0..60 {
        let mut world = World::new(settings(CacheBackupMode::None));
        world.settle().unwrap();
        world.begin(Some(due.clone()));
        world.fuse = Some(fuse);
        let mut is_begun = world.keeper.is_begun();
        while !is_begun && world.operate().is_ok_and(|any| any) {
            is_begun = world.keeper.is_begun();
        }
        world.crash(&mut Dice(fuse));
        let replay = world.replayed();
        let has_begun = replay.booted() == Some([7; 16]);
        assert!(has_begun || !is_begun, "step {fuse}: acted upon too soon");
        assert!(!has_begun || due.iter().all(|due| replay.announced().contains(due)), "step {fuse}");
        (begun, unbegun) = (begun + u32::from(has_begun), unbegun + u32::from(!has_begun));
        early += u32::from(!has_begun && !replay.announced().is_empty());
    }
    assert!(begun > 0 && unbegun > 0 && early > 0, "{begun}, {unbegun}, {early}");
}
