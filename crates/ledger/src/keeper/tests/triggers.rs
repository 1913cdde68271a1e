use model::ids::BillId;
use model::record::{BillStore, Delivered, Departure};
use model::settings::{BillFormat, BillReplay, CacheBackupMode};

use super::world::{World, bill, settings};
use crate::keeper::{Abandonment, Alarm, Area, BackupRefused, CardFault, ResetRefused};
use crate::log::DiskFault;
use crate::transfer::{Outcome, UploadFailure};

fn with_bills(mode: CacheBackupMode, bills: u64) -> World {
    let mut world = World::new(settings(mode));
    for counted in 1..=bills {
        world.bill(counted);
    }
    world.settle().unwrap();
    world
}

/// Owner's decision 9.
#[test]
fn bills_of_hwtacacs_have_files_of_their_own_and_never_detail() {
    for format in [BillFormat::Detail, BillFormat::Csv, BillFormat::Json] {
        let mut world = World::new(settings(CacheBackupMode::Sftp));
        world.configure(|settings| (settings.format, settings.cache.backup_interval_min) = (format, 20));
        for counted in 1..=12 {
            if counted % 3 == 0 { world.bill_of_hwtacacs(counted) } else { world.bill(counted) }
        }
        world.settle().unwrap();
        world.pass(21 * 60).unwrap();
        assert!(world.pool().is_empty(), "{format:?}");
        let texts = world.servers.files.values().map(|octets| String::from_utf8_lossy(octets).into_owned());
        let (of_hwtacacs, others): (Vec<String>, Vec<String>) = texts.partition(|text| text.contains("hwtacacs"));
        assert_eq!((of_hwtacacs.len(), others.len()), (1, 2), "{format:?}: five to a file");
        assert!(!of_hwtacacs[0].contains("radius") && !of_hwtacacs[0].contains("Acct-"), "{}", of_hwtacacs[0]);
        let bill_lines = if format == BillFormat::Csv { 5 } else { 4 };
        assert_eq!(of_hwtacacs[0].lines().count(), bill_lines, "{format:?}");
    }
}

fn is_threshold(alarm: &Alarm) -> bool {
    matches!(alarm, Alarm::ReachThreshold { .. })
}

#[test]
fn the_interval_does_what_the_mode_says() {
    // Mode, in the pool afterwards, on the card, in files.
    for (mode, pool, card, files) in [
        (CacheBackupMode::Cfcard, 0, 12, 0),
        (CacheBackupMode::None, 12, 0, 0),
        (CacheBackupMode::Tftp, 0, 0, 12),
        (CacheBackupMode::Sftp, 0, 0, 12),
    ] {
        let mut world = with_bills(mode, 12);
        // The card's own interval comes later.
        world.configure(|settings| settings.cfcard.backup_interval_min = 5_000);
        world.pass(1_439 * 60).unwrap();
        assert_eq!(world.pool().len(), 12, "{mode:?}: not yet");
        world.pass(2 * 60).unwrap();
        assert_eq!(
            (world.pool().len(), world.on_card().len(), world.in_files().len()),
            (pool, card, files),
            "{mode:?}"
        );
        world.check();
        assert_eq!(world.alarms, []);
    }
}

#[test]
fn intervals_run_from_the_commit_that_set_them_and_an_empty_store_makes_no_file() {
    let mut world = World::new(settings(CacheBackupMode::Sftp));
    world.pass(600).unwrap();
    world.configure(|settings| settings.cache.backup_interval_min = 20);
    world.pass(20 * 60 + 1).unwrap();
    assert_eq!(world.servers.uploads, 0);
    world.bill(1);
    world.pass(19 * 60).unwrap();
    assert_eq!(world.servers.uploads, 0);
    // Another setting does not touch the timer.
    world.configure(|settings| settings.cache.alarm_threshold = 80);
    world.pass(60).unwrap();
    assert_eq!(world.servers.uploads, 1);
}

#[test]
fn files_hold_the_oldest_bills_and_are_named_as_the_vendor_does() {
    let world = {
        let mut world = with_bills(CacheBackupMode::Sftp, 12);
        world.keeper.backup_cache(world.now).unwrap();
        world.settle().unwrap();
        world
    };
    let names: Vec<&String> = world.servers.files.keys().collect();
    assert_eq!(names, ["bills-20261118110640001.lam", "bills-20261118110640002.lam", "bills-20261118110640003.lam"]);
    let lens: Vec<usize> =
        world.servers.files.values().map(|octets| octets.split(|octet| *octet == b'\n').count() - 1).collect();
    assert_eq!(lens, [5, 5, 2]);
    world.check();
}

#[test]
fn the_threshold_transfers_instead_of_alarming() {
    for mode in [CacheBackupMode::Cfcard, CacheBackupMode::Sftp] {
        let world = with_bills(mode, 75);
        assert_eq!(world.pool().len(), 0, "{mode:?}");
        assert_eq!(world.alarms, [], "{mode:?}");
        world.check();
    }
    let world = with_bills(CacheBackupMode::None, 76);
    assert_eq!(world.pool().len(), 76);
    let expected = Alarm::ReachThreshold { store: BillStore::Cache, bills_free: 25, threshold_free: 25 };
    let alarms: Vec<&Alarm> = world.alarms.iter().collect();
    assert!(matches!(alarms[..], [Alarm::ReachThreshold { store: BillStore::Cache, .. }]), "{alarms:?} {expected:?}");
}

#[test]
fn a_failing_server_is_alarmed_once_and_tried_less_and_less_with_the_same_octets() {
    let mut world = with_bills(CacheBackupMode::Sftp, 10);
    world.servers.failure = Some(UploadFailure::Unreachable);
    for counted in 11..=80 {
        world.bill(counted);
    }
    world.settle().unwrap();
    assert_eq!(world.servers.uploads, 1);
    let [Alarm::TransferFail { store: BillStore::Cache, reason: UploadFailure::Unreachable, .. }, threshold] =
        &world.alarms[..]
    else {
        panic!("{:?}", world.alarms);
    };
    assert!(is_threshold(threshold), "the bills have no way out");
    // 30 s, 60 s, 120 s, 240 s, 480 s, 900 s, 900 s …
    for (seconds, uploads) in [(29, 1), (2, 2), (60, 3), (121, 4), (241, 5), (481, 6), (901, 7), (890, 7), (12, 8)] {
        world.pass(seconds).unwrap();
        assert_eq!(world.servers.uploads, uploads, "after {seconds} s more");
    }
    assert_eq!(world.alarms.len(), 2, "one alarm per outage");
    // By hand it is tried at once.
    world.servers.failure = None;
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.in_files().len(), 80);
    assert_eq!(world.alarms[2..], [Alarm::TransferHealed]);
    world.check();
}

#[test]
fn what_waits_for_the_server_holds_up_nothing_else() {
    let mut world = with_bills(CacheBackupMode::Sftp, 10);
    world.servers.failure = Some(UploadFailure::Timeout);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    world.configure(|settings| settings.cache.backup_mode = CacheBackupMode::Cfcard);
    world.bill(11);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert_eq!((world.pool(), world.on_card()), ((1..=5).collect(), (6..=11).collect()));
    assert!(world.keeper.information().is_locked);
    world.check();
}

#[test]
fn overflow_goes_to_the_card_and_only_mode_none_drops() {
    // The bill server is dead, so that the pool fills up.
    let mut world = World::new(settings(CacheBackupMode::Sftp));
    world.servers.failure = Some(UploadFailure::Refused);
    for counted in 1..=250 {
        world.bill(counted);
        world.turn().unwrap();
    }
    world.settle().unwrap();
    assert_eq!((world.pool().len(), world.on_card().len()), (100, 150));
    world.check();

    let mut world = World::new(settings(CacheBackupMode::None));
    for counted in 1..=102 {
        world.bill(counted);
        world.settle().unwrap();
    }
    assert_eq!(world.pool().len(), 100);
    let dropped = |dropped| Alarm::BillDropped { store: BillStore::Cache, dropped };
    assert_eq!(world.alarms.len(), 3, "{:?}", world.alarms);
    assert_eq!(world.alarms[0], Alarm::ReachThreshold { store: BillStore::Cache, bills_free: 25, threshold_free: 25 });
    assert_eq!(world.alarms[1..], [dropped(1), dropped(2)]);
    // A restart knows of it.
    world.restart();
    world.alarms.clear();
    world.settle().unwrap();
    assert_eq!(world.pool().len(), 100);
    let is_dropped = |alarm: &Alarm| matches!(alarm, Alarm::BillDropped { .. });
    assert!(!world.alarms.iter().any(is_dropped), "nothing was dropped in this life: {:?}", world.alarms);
}

#[test]
fn bills_that_may_be_on_the_server_say_so_and_its_names_are_not_left_for_others() {
    use UploadFailure::{ManifestTaken, NameTaken, NameTakenUnseen, Timeout, Unverified};
    let (first, later) = (Some(Abandonment::NameTaken), Some(Abandonment::NameTakenLater));
    for (failures, why, delivered) in [
        (&[NameTaken][..], first, Delivered::No),
        (&[NameTakenUnseen], first, Delivered::No),
        (&[ManifestTaken], later, Delivered::Unknown),
        (&[Timeout, NameTaken], later, Delivered::Unknown),
        (&[Unverified, NameTaken], later, Delivered::Unknown),
        // Its own file, which it can neither read nor write over: no name after the other.
        (&[Unverified, NameTakenUnseen, NameTakenUnseen], None, Delivered::No),
    ] {
        let mut world = with_bills(CacheBackupMode::Sftp, 3);
        world.servers.failure = failures.first().copied();
        world.keeper.backup_cache(world.now).unwrap();
        world.settle().unwrap();
        for (failure, seconds) in failures[1..].iter().zip([31, 61]) {
            world.servers.failure = Some(*failure);
            world.pass(seconds).unwrap();
        }
        assert_eq!(world.servers.uploads, failures.len() as u64, "{failures:?}");
        let abandoned = world.alarms.iter().find_map(|alarm| match alarm {
            Alarm::TransferAbandoned { why, .. } => Some(*why),
            _ => None,
        });
        assert_eq!(abandoned, why, "{failures:?}");
        assert!(world.keeper.book().pool().bills(0).all(|bill| bill.delivered == delivered), "{failures:?}");
    }
}

#[test]
fn a_file_that_one_server_may_have_is_not_sent_to_another_one() {
    use UploadFailure::{LoginRefused, Timeout};
    for (failure, is_unknown) in [(Timeout, true), (LoginRefused, false)] {
        let mut world = with_bills(CacheBackupMode::Sftp, 3);
        world.servers.failure = Some(failure);
        world.keeper.backup_cache(world.now).unwrap();
        world.settle().unwrap();
        world.servers.failure = None;
        world.configure(|settings| settings.bill_server = None);
        world.pass(60).unwrap();
        let mut other = world.settings.clone();
        other.bill_server = settings(CacheBackupMode::Sftp).bill_server;
        other.bill_server.as_mut().unwrap().address = [192, 0, 2, 10].into();
        world.configure(|settings| *settings = other);
        world.settle().unwrap();
        let _ = world.keeper.backup_cache(world.now);
        world.pass(60).unwrap();
        assert_eq!(world.in_files(), (1..=3).map(|counted| (counted, is_unknown)).collect(), "{failure}");
        let is_left = |alarm: &Alarm| matches!(alarm, Alarm::TransferAbandoned { why: Abandonment::OtherServer, .. });
        assert_eq!(world.alarms.iter().any(is_left), is_unknown, "{failure}: {:?}", world.alarms);
    }
}

#[test]
fn another_mode_ends_what_the_one_before_had_begun() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 60);
    world.keeper.backup_cache(world.now).unwrap();
    world.configure(|settings| settings.cache.backup_mode = CacheBackupMode::Sftp);
    world.settle().unwrap();
    // One was on its way.
    assert_eq!((world.pool().len(), world.on_card().len()), (59, 1));
}

#[test]
fn a_card_that_vanishes_under_a_file_leaves_the_file_s_sums() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 4);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    world.servers.is_held = true;
    world.keeper.backup_cfcard(None, world.now).unwrap();
    world.settle().unwrap();
    let upload = world.keeper.poll_upload().unwrap();
    world.card.fault = Some(DiskFault::Io);
    world.bill(5);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.keeper.card_bills().count(), 0);
    world.keeper.handle_uploaded(upload.number, Outcome::Delivered, world.now);
    world.settle().unwrap();
    let departures = world.keeper.book().departures();
    assert_eq!(departures.total(BillStore::Cfcard, Departure::Transferred).in_octets, 1 + 2 + 3 + 4);
}

#[test]
fn a_disk_that_does_not_bring_bills_for_hours_costs_none() {
    let mut world = with_bills(CacheBackupMode::Sftp, 3);
    world.ledger.read_fault = Some(DiskFault::Io);
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(3 * 3600).unwrap();
    assert_eq!(world.in_files().len(), 0);
    let id = |sequence| BillId { epoch: 1, sequence };
    let alarms: Vec<&Alarm> = world.alarms.iter().collect();
    assert!(matches!(alarms[..], [Alarm::BillUnreadable { area: Area::Ledger, id: first }, ..] if *first == id(1)));
    world.ledger.read_fault = None;
    world.pass(2 * 3600).unwrap();
    let _ = world.keeper.backup_cache(world.now);
    world.settle().unwrap();
    assert_eq!(world.in_files().len(), 3, "{:?}", world.alarms);
    world.check();
}

#[test]
fn a_card_that_cannot_be_read_is_closed_at_once_and_holds_up_no_other_read() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 4);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    world.card.read_fault = Some(DiskFault::Io);
    world.keeper.backup_cfcard(None, world.now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.alarms, [Alarm::CardFailing(CardFault::Disk(DiskFault::Io))]);
    world.card.read_fault = None;
    world.bill(5);
    world.configure(|settings| settings.cache.backup_mode = CacheBackupMode::Sftp);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert!(world.in_files().contains_key(&5));
}

#[test]
fn a_keeper_that_ends_begins_nothing() {
    let mut world = with_bills(CacheBackupMode::Sftp, 10);
    world.keeper.handle_shutdown();
    world.keeper.backup_cache(world.now).unwrap();
    world.bill(11);
    world.settle().unwrap();
    assert_eq!((world.servers.uploads, world.keeper.waiting(), world.announced.len()), (0, 0, 11));
}

#[test]
fn a_threshold_of_all_is_alarmed_while_there_is_room() {
    let mut world = World::new(settings(CacheBackupMode::None));
    world.configure(|settings| settings.cache.alarm_threshold = 100);
    for counted in 1..=94 {
        world.bill(counted);
        world.settle().unwrap();
    }
    assert_eq!(world.alarms, [Alarm::ReachThreshold { store: BillStore::Cache, bills_free: 6, threshold_free: 0 }]);
}

#[test]
fn a_full_card_takes_what_fits() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 70);
    world.configure(|settings| settings.cfcard.capacity = 30);
    world.servers.failure = Some(UploadFailure::NoSpace);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert_eq!((world.pool().len(), world.on_card().len()), (40, 30));
    // When the card is emptied there is room again.
    world.servers.failure = None;
    world.keeper.backup_cfcard(Some("mine"), world.now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.on_card().len(), 0);
    assert_eq!(world.servers.files.keys().filter(|name| name.starts_with("mine-")).count(), 5);
    world.check();
}

#[test]
fn a_card_that_vanishes_is_alarmed_once_and_heals() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 20);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.on_card().len(), 20);
    world.card.fault = Some(DiskFault::Io);
    for counted in 21..=40 {
        world.bill(counted);
    }
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(600).unwrap();
    assert_eq!(world.pool(), (21..=40).collect::<Vec<_>>(), "they stay in the pool");
    assert_eq!(world.alarms, [Alarm::CardFailing(CardFault::Disk(DiskFault::Io))]);
    assert_eq!(world.keeper.information().cfcard.bills, 20, "as it was last seen");
    world.card.fault = None;
    world.pass(61).unwrap();
    assert_eq!(world.alarms[1..], [Alarm::CardHealed]);
    assert_eq!((world.pool().len(), world.on_card().len()), (0, 40));
    world.check();
}

#[test]
fn a_card_that_cannot_be_written_does_not_flap() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 20);
    world.card.write_fault = Some(DiskFault::NoSpace);
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(900).unwrap();
    assert_eq!(world.alarms, [Alarm::CardFailing(CardFault::Disk(DiskFault::NoSpace))]);
    assert_eq!(world.pool().len(), 20);
    world.check();
}

#[test]
fn a_card_of_another_box_is_not_touched() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 5);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    let mut settings = settings(CacheBackupMode::Cfcard);
    settings.cache.capacity = 50;
    let card = world.card.clone();
    // Another box has another key.
    let mut other = World::new(settings);
    other.ledger = Default::default();
    other.rekey([1; 16]);
    other.card = card;
    other.pass(1).unwrap();
    assert_eq!(other.alarms, [Alarm::CardFailing(CardFault::Foreign)]);
    assert_eq!(other.on_card(), Vec::<u64>::new());
}

#[test]
fn a_reset_is_for_good_and_explained() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 30);
    assert_eq!(world.keeper.reset_cfcard(world.now), Ok(0));
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    world.bill(31);
    world.settle().unwrap();
    assert_eq!(world.keeper.reset_cfcard(world.now), Ok(30));
    world.settle().unwrap();
    assert_eq!((world.pool(), world.on_card()), (vec![31], vec![]));
    let reset: Vec<(u64, u64)> =
        world.keeper.book().departures().runs().map(|run| (run.first.sequence, run.count)).collect();
    assert_eq!(reset, [(1, 30)]);
    assert_eq!(world.card.segments().count(), 0, "the card is empty");
    let proof = world.proof();
    assert!(proof.is_complete());
    assert_eq!((proof.in_pool, proof.on_card, proof.departed.into_values().collect()), (1, 0, vec![30]));
    world.restart();
    world.settle().unwrap();
    assert!(world.on_card().is_empty());
    world.card.fault = Some(DiskFault::Io);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.keeper.reset_cfcard(world.now), Err(ResetRefused::NoCard));
}

#[test]
fn what_cannot_be_done_by_hand_is_refused() {
    let mut world = World::new(settings(CacheBackupMode::Sftp));
    let now = world.now;
    world.settle().unwrap();
    assert_eq!(world.keeper.backup_cache(now), Err(BackupRefused::Empty));
    assert_eq!(world.keeper.backup_cfcard(None, now), Err(BackupRefused::Empty));
    world.bill(1);
    world.settle().unwrap();
    world.configure(|settings| settings.bill_server.as_mut().unwrap().login = None);
    assert_eq!(world.keeper.backup_cache(now), Err(BackupRefused::NoLogin));
    world.configure(|settings| settings.bill_server = None);
    assert_eq!(world.keeper.backup_cache(now), Err(BackupRefused::NoServer));
    assert_eq!(world.keeper.backup_cfcard(None, now), Err(BackupRefused::NoServer));
    // BEHAVIOUR.md 11.6: without a server mode none goes to the card.
    world.configure(|settings| settings.cache.backup_mode = CacheBackupMode::None);
    world.keeper.backup_cache(now).unwrap();
    world.settle().unwrap();
    assert_eq!(world.on_card(), [1]);
    world.configure(|settings| settings.pool_enabled = false);
    assert_eq!(world.keeper.backup_cache(now), Err(BackupRefused::NoPool));
}

#[test]
fn replays_take_bills_in_turn_and_leave_out_start_failed_ones() {
    let mut world = with_bills(CacheBackupMode::None, 40);
    let start_failed = model::record::Bill { reason: model::record::BillReason::StartFailed, ..bill(41) };
    world.append(&model::record::Record::Billed(start_failed));
    world.settle().unwrap();
    world.keeper.handle_servers_answer(true, world.now);
    world.settle().unwrap();
    assert_eq!(world.servers.acknowledged.len(), 0, "replay is off by default");
    world.configure(|settings| settings.replay = BillReplay::Enabled);
    world.settle().unwrap();
    assert_eq!((world.servers.acknowledged.len(), world.pool()), (40, vec![41]));
    world.configure(|settings| settings.replay = BillReplay::EnabledStartFailed);
    world.pass(31).unwrap();
    assert!(world.pool().is_empty());
    world.check();
}

#[test]
fn a_bill_that_comes_back_is_free_and_unknown_and_tried_again_later() {
    let mut world = with_bills(CacheBackupMode::None, 3);
    world.servers.accounting_fails = true;
    world.configure(|settings| settings.replay = BillReplay::Enabled);
    world.keeper.handle_servers_answer(true, world.now);
    world.settle().unwrap();
    let bills: Vec<_> = world.keeper.book().pool().bills(0).map(|bill| (bill.state, bill.delivered)).collect();
    assert_eq!(bills, [(crate::pool::BillState::Free, Delivered::Unknown); 3]);
    world.servers.accounting_fails = false;
    world.pass(31).unwrap();
    assert!(world.pool().is_empty());
}

#[test]
fn a_file_that_cannot_be_made_again_is_abandoned_and_its_bills_say_so() {
    let mut world = with_bills(CacheBackupMode::Sftp, 3);
    world.servers.failure = Some(UploadFailure::Timeout);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    // Another release prints otherwise.
    for open in world.keeper.book.transfers.values_mut() {
        open.sha256 = [0; 32];
    }
    world.servers.failure = None;
    world.pass(31).unwrap();
    assert!(world.alarms.iter().any(|alarm| matches!(alarm, Alarm::TransferAbandoned { .. })));
    world.keeper.backup_cache(world.now).ok();
    world.settle().unwrap();
    assert_eq!(world.in_files(), (1..=3).map(|counted| (counted, true)).collect());
}

#[test]
fn while_the_pool_is_disabled_nothing_is_transferred() {
    let mut world = World::new(settings(CacheBackupMode::Sftp));
    world.configure(|settings| settings.pool_enabled = false);
    for counted in 1..=90 {
        world.bill(counted);
    }
    world.pass(2_000 * 60).unwrap();
    assert_eq!((world.servers.uploads, world.pool().len()), (0, 0));
    assert_eq!(world.keeper.information().unbilled, 90);
    world.configure(|settings| settings.pool_enabled = true);
    world.settle().unwrap();
    assert_eq!(world.in_files().len(), 90);
    assert_eq!(world.keeper.book().departures().find(BillId { epoch: 1, sequence: 91 }), None);
}

#[test]
fn a_card_that_was_lost_is_a_gap_and_says_which() {
    let mut world = with_bills(CacheBackupMode::Cfcard, 30);
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    world.bill(31);
    world.settle().unwrap();
    assert!(world.proof().is_complete());
    world.card = Default::default();
    let gaps: Vec<(u64, u64)> = world.proof().gaps.iter().map(|gap| (gap.first.sequence, gap.count)).collect();
    assert_eq!(gaps, [(1, 30)]);
}
