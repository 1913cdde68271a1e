//! `display local-bill information` (BEHAVIOUR.md 7.7). The card's block comes with the card.

use model::report::LocalBillInformation;
use serde_json::json;

use super::Shown;

/// Octets of a bill in the vendor's pool; the figure is printed, not used.
const BILL_SIZE: u32 = 296;

/// The pool's fill.
pub fn local_bill_information(information: &LocalBillInformation) -> Shown {
    let pool = &information.cache;
    // The count that the threshold stands for, rounded down (BEHAVIOUR.md 7.3).
    let threshold_count = u128::from(pool.capacity) * u128::from(pool.alarm_threshold_percent) / 100;
    let void = pool.capacity.saturating_sub(pool.bills);
    let percent = pool.alarm_threshold_percent;
    let locked = if information.is_locked { "Yes" } else { "No" };
    let rows = [
        (format!("Bills: {}", pool.bills), format!("Void-No: {void}")),
        (format!("Max-Volume: {}", pool.capacity), format!("Alarm-Threshold: {percent}%({threshold_count})")),
        (format!("Bill-Size: {BILL_SIZE}"), format!("Locked: {locked}")),
    ];
    let rows: String = rows.iter().map(|(left, right)| format!("  {left:<24}{right}\n")).collect();
    let json = json!({ "cache": {
        "bills": pool.bills,
        "void": void,
        "max_volume": pool.capacity,
        "alarm_threshold_percent": percent,
        "alarm_threshold_bills": u64::try_from(threshold_count).unwrap_or(u64::MAX),
        "bill_size": BILL_SIZE,
        "locked": information.is_locked,
    }});
    Shown { text: format!("Cache-Used-Information:\n{rows}"), json }
}

#[cfg(test)]
mod tests {
    use model::report::BillStoreInformation;

    use super::*;

    fn information(bills: u64, capacity: u64, alarm_threshold_percent: u8, is_locked: bool) -> LocalBillInformation {
        let cache = BillStoreInformation { bills, capacity, alarm_threshold_percent };
        LocalBillInformation { cache, is_locked, ..LocalBillInformation::default() }
    }

    #[test]
    fn an_empty_pool_is_printed_as_in_the_sample() {
        let pool = information(0, 49_152, 75, false);
        let shown = local_bill_information(&pool);
        let words: Vec<&str> = shown.text.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "Cache-Used-Information: Bills: 0 Void-No: 49152 Max-Volume: 49152 Alarm-Threshold: 75%(36864) \
             Bill-Size: 296 Locked: No"
        );
        assert_eq!(shown.json["cache"]["alarm_threshold_bills"], 36_864);
    }

    #[test]
    fn a_pool_fuller_than_its_capacity_has_no_room_and_no_underflow() {
        let pool = information(9, 5, 50, true);
        let shown = local_bill_information(&pool);
        assert!(shown.text.contains("Void-No: 0\n") && shown.text.contains("Locked: Yes\n"), "{}", shown.text);
        assert!(shown.text.contains("Alarm-Threshold: 50%(2)"), "{}", shown.text);
    }
}
