//! `display local-bill information` and `display local-bill cache` (BEHAVIOUR.md 7.6, 7.7).

use model::counters::Totals;
use model::report::{BillStoreInformation, LocalBill, LocalBillInformation};
use serde_json::{Value, json};

use super::Shown;
use super::table::{elapse, labelled, mac, mac_json, seconds, timestamp};

/// Octets of a bill in the vendor's pool; the figure is printed, not used.
const BILL_SIZE: u32 = 296;

/// What every bill is: its user has gone (BEHAVIOUR.md 7.6).
const STATUS: &str = "2(offline)";

/// How full the pool and the CF card are, and what no bill accounts for.
pub fn local_bill_information(information: &LocalBillInformation) -> Shown {
    let (cache, cfcard) = (&information.cache, &information.cfcard);
    let void = cache.capacity.saturating_sub(cache.bills);
    let locked = if information.is_locked { "Yes" } else { "No" };
    let text = [
        block(
            "Cache-Used-Information:",
            &[
                (format!("Bills: {}", cache.bills), format!("Void-No: {void}")),
                (format!("Max-Volume: {}", cache.capacity), alarm_threshold(cache)),
                (format!("Bill-Size: {BILL_SIZE}"), format!("Locked: {locked}")),
            ],
        ),
        block(
            "Cfcard or Hd-Bill-Information:",
            &[
                (format!("Bills-Num: {}", cfcard.bills), format!("Max-Volume: {}", cfcard.capacity)),
                (alarm_threshold(cfcard), String::new()),
            ],
        ),
        block(
            "Unaccounted-Information:",
            &[(
                format!("Unbilled: {}", information.unbilled),
                format!("Octets-Unaccounted: {}", information.octets_unaccounted),
            )],
        ),
    ];
    let json = json!({
        "cache": {
            "bills": cache.bills,
            "void": void,
            "max_volume": cache.capacity,
            "alarm_threshold_percent": cache.alarm_threshold_percent,
            "alarm_threshold_bills": threshold_count(cache),
            "bill_size": BILL_SIZE,
            "locked": information.is_locked,
        },
        "cfcard": {
            "bills": cfcard.bills,
            "max_volume": cfcard.capacity,
            "alarm_threshold_percent": cfcard.alarm_threshold_percent,
            "alarm_threshold_bills": threshold_count(cfcard),
        },
        "unbilled": information.unbilled,
        "octets_unaccounted": information.octets_unaccounted,
    });
    Shown { text: text.concat(), json }
}

/// Bills of the pool, as many as the daemon found; past the end there is only the trailer.
pub fn local_bill_cache(rows: &[LocalBill]) -> Shown {
    let mut text: String = rows.iter().map(text_of).collect();
    text.push_str(&format!("Total printed {} bills from cache.\n", rows.len()));
    Shown { text, json: rows.iter().map(json_of).collect() }
}

fn block(heading: &str, rows: &[(String, String)]) -> String {
    let line = |(left, right): &(String, String)| format!("  {left:<24}{right}").trim_end().to_owned() + "\n";
    format!("{heading}\n{}", rows.iter().map(line).collect::<String>())
}

fn alarm_threshold(store: &BillStoreInformation) -> String {
    format!("Alarm-Threshold: {}%({})", store.alarm_threshold_percent, threshold_count(store))
}

/// The count that the threshold stands for, rounded down (BEHAVIOUR.md 7.3).
fn threshold_count(store: &BillStoreInformation) -> u64 {
    let count = u128::from(store.capacity) * u128::from(store.alarm_threshold_percent) / 100;
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn text_of(bill: &LocalBill) -> String {
    let known = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let vlan = |vlan: Option<u16>| vlan.map_or("-".to_owned(), |vlan| vlan.to_string());
    let mut rows = vec![
        ("Bill-No", bill.number.to_string()),
        ("Session-Id", bill.session_id.clone()),
        ("User-name", bill.user.clone()),
        ("Start-Time", timestamp(bill.start)),
        ("Stop-Time", timestamp(bill.stop)),
        ("Elapse", elapse(bill.session_time_s.into())),
        ("IP-Addr", bill.framed_ip.map_or("-".to_owned(), |ip| ip.to_string())),
        ("MAC", mac(bill.mac)),
        ("IPv6-Addr", bill.ipv6.map_or("::".to_owned(), |ip| ip.to_string())),
        ("Auth-Type", known(&bill.auth_type)),
        ("Access-Type", known(&bill.access_type)),
        ("Interface", known(&bill.interface)),
        ("PeVlan/CeVlan", format!("{}/{}", vlan(bill.vlans.0), vlan(bill.vlans.1))),
        ("Status", STATUS.to_owned()),
        ("Code", bill.cause.to_string()),
        // The vendor's subcause; no plane tells one.
        ("Ref", "-".to_owned()),
    ];
    // Without a tariff switch everything was before it.
    rows.extend(accounted("Acc Data before Tariff Switch", bill.counters.v4, bill.counters.v6));
    rows.extend(accounted("Acc Data after Tariff Switch", Totals::default(), Totals::default()));
    format!("Contents of Bill {}:\n{}", bill.number, labelled(&rows))
}

/// The one priority there is. IPv6 is a part of its own where the plane tells the families apart.
fn accounted(heading: &'static str, v4: Totals, v6: Totals) -> Vec<(&'static str, String)> {
    let volume = |octets, packets| format!("Bytes={}, Pkts={}", halves(octets), halves(packets));
    let mut rows = vec![
        (heading, "1 Priority".to_owned()),
        ("  Priority", "0".to_owned()),
        ("    User-received", volume(v4.out_octets, v4.out_packets)),
        ("    User-sent", volume(v4.in_octets, v4.in_packets)),
    ];
    if v6 != Totals::default() {
        rows.push(("    User-received IPv6", volume(v6.out_octets, v6.out_packets)));
        rows.push(("    User-sent IPv6", volume(v6.in_octets, v6.in_packets)));
    }
    rows
}

/// `hi@lo`, the two halves of 32 bits in decimal; `lo` alone when the other is 0.
fn halves(number: u64) -> String {
    match (number >> 32, number & u64::from(u32::MAX)) {
        (0, low) => low.to_string(),
        (high, low) => format!("{high}@{low}"),
    }
}

/// The names are those of the bill files (INTERFACES.md section 6).
fn json_of(bill: &LocalBill) -> Value {
    let known = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let (v4, v6) = (bill.counters.v4, bill.counters.v6);
    json!({
        "number": bill.number,
        "session": bill.session_id,
        "user": bill.user,
        "start": seconds(bill.start),
        "stop": seconds(bill.stop),
        "session_time": bill.session_time_s,
        "framed_ip": bill.framed_ip.map(|ip| ip.to_string()),
        "mac": mac_json(bill.mac),
        "framed_ipv6": bill.ipv6.map(|ip| ip.to_string()),
        "auth_type": known(&bill.auth_type),
        "access": known(&bill.access_type),
        "nas_port_id": known(&bill.interface),
        "pe_vlan": bill.vlans.0,
        "ce_vlan": bill.vlans.1,
        "status": STATUS,
        "cause": bill.cause,
        "in_octets": v4.in_octets,
        "in_packets": v4.in_packets,
        "out_octets": v4.out_octets,
        "out_packets": v4.out_packets,
        "v6_in_octets": v6.in_octets,
        "v6_in_packets": v6.in_packets,
        "v6_out_octets": v6.out_octets,
        "v6_out_packets": v6.out_packets,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use model::counters::Counters;
    use model::time::Wall;

    use super::*;

    fn store(bills: u64, capacity: u64, alarm_threshold_percent: u8) -> BillStoreInformation {
        BillStoreInformation { bills, capacity, alarm_threshold_percent }
    }

    #[test]
    fn empty_stores_are_printed_as_in_the_sample() {
        let information = LocalBillInformation {
            cache: store(0, 49_152, 75),
            cfcard: store(0, 235_410, 85),
            ..LocalBillInformation::default()
        };
        let shown = local_bill_information(&information);
        let expected = "\
Cache-Used-Information:
  Bills: 0                Void-No: 49152
  Max-Volume: 49152       Alarm-Threshold: 75%(36864)
  Bill-Size: 296          Locked: No
Cfcard or Hd-Bill-Information:
  Bills-Num: 0            Max-Volume: 235410
  Alarm-Threshold: 85%(200098)
Unaccounted-Information:
  Unbilled: 0             Octets-Unaccounted: 0
";
        assert_eq!(shown.text, expected);
        assert_eq!(shown.json["cache"]["alarm_threshold_bills"], 36_864);
        assert_eq!(shown.json["cfcard"]["alarm_threshold_bills"], 200_098);
    }

    #[test]
    fn a_pool_fuller_than_its_capacity_has_no_room_and_no_underflow() {
        let information = LocalBillInformation {
            cache: store(9, 5, 50),
            cfcard: store(7, u64::MAX, 100),
            is_locked: true,
            unbilled: 3,
            octets_unaccounted: u64::MAX,
            ..LocalBillInformation::default()
        };
        let shown = local_bill_information(&information);
        for part in [
            "Void-No: 0\n",
            "Locked: Yes\n",
            "Alarm-Threshold: 50%(2)\n",
            "Bills-Num: 7 ",
            "Unbilled: 3 ",
            "Octets-Unaccounted: 18446744073709551615\n",
        ] {
            assert!(shown.text.contains(part), "{part}{}", shown.text);
        }
        assert_eq!(shown.json["octets_unaccounted"], u64::MAX);
    }

    fn bill() -> LocalBill {
        let v4 = Totals { in_octets: 1_000, in_packets: 10, out_octets: 12_020_245_692, out_packets: 40 };
        LocalBill {
            number: 1,
            session_id: "BNG1000000000000000000000002a00AYfe".to_owned(),
            user: "alice@isp".to_owned(),
            start: Wall::from_millis(1_479_223_588_250),
            stop: Wall::from_millis(1_479_227_249_250),
            session_time_s: 3_661,
            framed_ip: Some(Ipv4Addr::new(100, 64, 0, 1)),
            mac: Some([2, 0, 0, 0, 0, 0xab]),
            ipv6: None,
            auth_type: "PPP".to_owned(),
            access_type: "PPPoE".to_owned(),
            interface: "Eth-Trunk99.405".to_owned(),
            vlans: (None, None),
            cause: 6,
            counters: Counters { v4, v6: Totals::default() },
        }
    }

    #[test]
    fn a_bill_has_every_line_of_the_sample() {
        let shown = local_bill_cache(&[bill()]);
        let expected = "\
Contents of Bill 1:
---------------------------------------------------------------------------
  Bill-No                               : 1
  Session-Id                            : BNG1000000000000000000000002a00AYfe
  User-name                             : alice@isp
  Start-Time                            : 2016/11/15 15:26:28
  Stop-Time                             : 2016/11/15 16:27:29
  Elapse                                : 1:01:01
  IP-Addr                               : 100.64.0.1
  MAC                                   : 0200-0000-00ab
  IPv6-Addr                             : ::
  Auth-Type                             : PPP
  Access-Type                           : PPPoE
  Interface                             : Eth-Trunk99.405
  PeVlan/CeVlan                         : -/-
  Status                                : 2(offline)
  Code                                  : 6
  Ref                                   : -
  Acc Data before Tariff Switch         : 1 Priority
    Priority                            : 0
      User-received                     : Bytes=2@3430311100, Pkts=40
      User-sent                         : Bytes=1000, Pkts=10
  Acc Data after Tariff Switch          : 1 Priority
    Priority                            : 0
      User-received                     : Bytes=0, Pkts=0
      User-sent                         : Bytes=0, Pkts=0
---------------------------------------------------------------------------
Total printed 1 bills from cache.
";
        assert_eq!(shown.text, expected);
        assert_eq!(shown.json[0]["out_octets"], 12_020_245_692_u64);
        assert_eq!(shown.json[0]["stop"], 1_479_227_249.25);
        assert_eq!(shown.json[0]["mac"], "02:00:00:00:00:ab");
        assert_eq!(shown.json[0]["framed_ipv6"], Value::Null);
    }

    #[test]
    fn what_is_known_is_printed_and_what_is_not_is_a_dash() {
        let v6 = Totals { in_octets: 5, in_packets: 1, out_octets: u64::MAX, out_packets: 2 };
        let dual = LocalBill {
            number: 2,
            ipv6: Some("2001:db8::1".parse::<Ipv6Addr>().unwrap()),
            vlans: (Some(100), Some(7)),
            counters: Counters { v6, ..bill().counters },
            ..bill()
        };
        let bare = LocalBill { number: 3, ..LocalBill::default() };
        let shown = local_bill_cache(&[dual, bare]);
        for part in [
            "Contents of Bill 2:\n",
            "  IPv6-Addr                             : 2001:db8::1\n",
            "  PeVlan/CeVlan                         : 100/7\n",
            "      User-received IPv6                : Bytes=4294967295@4294967295, Pkts=2\n",
            "      User-sent IPv6                    : Bytes=5, Pkts=1\n",
            "Contents of Bill 3:\n",
            "  IP-Addr                               : -\n",
            "  MAC                                   : -\n",
            "  Interface                             : -\n",
            "  Start-Time                            : 1970/01/01 00:00:00\n",
            "Total printed 2 bills from cache.\n",
        ] {
            assert!(shown.text.contains(part), "{part}{}", shown.text);
        }
        assert_eq!(shown.json[0]["pe_vlan"], 100);
        assert_eq!(shown.json[1]["nas_port_id"], Value::Null);
    }

    #[test]
    fn past_the_end_there_is_only_the_trailer() {
        let shown = local_bill_cache(&[]);
        assert_eq!(shown, Shown { text: "Total printed 0 bills from cache.\n".to_owned(), json: json!([]) });
    }

    #[test]
    fn counters_of_64_bits_are_printed_in_halves() {
        for (number, text) in [
            (0, "0"),
            (u64::from(u32::MAX), "4294967295"),
            (1 << 32, "1@0"),
            (12_020_245_692, "2@3430311100"),
            (u64::MAX, "4294967295@4294967295"),
        ] {
            assert_eq!(halves(number), text);
        }
    }
}
