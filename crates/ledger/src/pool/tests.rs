use super::*;

use model::settings::AccountingMode;

fn bill(sequence: u64) -> BillRef {
    let place = Place::new(1, 0, 100, 0);
    BillRef {
        id: BillId { epoch: 1, sequence },
        place,
        in_octets: sequence,
        out_octets: 1,
        reason: BillReason::StopUnanswered,
        delivered: Delivered::No,
        state: BillState::Free,
        is_leaving: false,
        hindrance: Hindrance::None,
        method: AccountingMode::Radius,
    }
}

fn settings(pool_enabled: bool, cache_capacity: u32) -> LocalAaaServer {
    let mut settings = LocalAaaServer { pool_enabled, ..LocalAaaServer::default() };
    settings.cache.capacity = cache_capacity;
    settings
}

fn sequences<'a>(bills: impl Iterator<Item = &'a BillRef>) -> Vec<u64> {
    bills.map(|bill| bill.id.sequence).collect()
}

#[test]
fn thresholds_are_the_vendors() {
    // BEHAVIOUR.md 7.3.
    for (capacity, percent, count) in
        [(49_152, 75, 36_864), (235_410, 85, 200_098), (1, 50, 0), (16_000_000, 100, 16_000_000)]
    {
        let mut settings = settings(true, capacity);
        settings.cache.alarm_threshold = percent;
        let pool = Pool::new(&settings);
        assert_eq!(pool.threshold_count(), count);
    }
}

#[test]
fn a_full_pool_hands_the_bill_back() {
    let mut pool = Pool::new(&settings(true, 2));
    assert_eq!([1, 2].map(|sequence| pool.take(bill(sequence), 2)), [Taken::Held; 2]);
    assert_eq!(pool.take(bill(3), 2), Taken::Overflow(bill(3)));
    assert_eq!(sequences(pool.bills(0)), [1, 2]);
    assert_eq!(pool.take(bill(3), 3), Taken::Held, "more is allowed");
    pool.count_dropped(BillStore::Cache, 1, 4);
    pool.count_dropped(BillStore::Cfcard, 2, 8);
    let dropped = [BillStore::Cache, BillStore::Cfcard].map(|store| pool.dropped(store));
    assert_eq!(dropped, [Dropped { bills: 1, octets: 4 }, Dropped { bills: 2, octets: 8 }]);
    assert_eq!(pool.octets_unaccounted(), 4 + 8);
}

#[test]
fn a_bill_that_was_carried_has_its_new_place() {
    let mut pool = Pool::new(&settings(true, 9));
    for sequence in 1..=3 {
        pool.take(bill(sequence), 9);
    }
    let moved = BillRef { place: Place::new(2, 512, 100, 0), ..bill(2) };
    assert!(pool.place_again(&moved));
    assert_eq!(pool.bills(1).next(), Some(&moved));
    assert_eq!(sequences(pool.bills(0)), [1, 2, 3]);
    assert!(!pool.place_again(&bill(4)));
}

#[test]
fn what_is_given_up_while_the_pool_is_disabled_becomes_a_bill_when_it_is_enabled() {
    let mut pool = Pool::new(&settings(false, 3));
    for sequence in 1..=4 {
        assert_eq!(pool.take(bill(sequence), 3), Taken::Unbilled);
    }
    assert_eq!((pool.bill_count(), pool.octets_unaccounted()), (0, 1 + 2 + 3 + 4 + 4));
    pool.settings(&settings(true, 3));
    assert_eq!(sequences(pool.bills(0)), [1, 2, 3]);
    assert_eq!(sequences(pool.unbilled()), [4]);
    assert!(pool.is_threshold_reached());
    pool.settings(&settings(true, 5));
    assert_eq!(sequences(pool.bills(0)), [1, 2, 3, 4]);
    assert_eq!(pool.octets_unaccounted(), 0);
    // And back, in order.
    pool.settings(&settings(false, 5));
    assert_eq!(sequences(pool.unbilled()), [1, 2, 3, 4]);
    assert_eq!(pool.information().cache.bills, 0);
}
