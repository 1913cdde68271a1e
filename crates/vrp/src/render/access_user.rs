//! `display access-user`.

use model::counters::Totals;
use model::report::AccessUser;
use serde_json::{Value, json};

use super::Shown;
use super::table::{columns, elapse, labelled, mac, mac_json, seconds, timestamp, total};
use crate::error::Refusal;

/// Many users, a line each. `total_count` is how many there are; the daemon may hand over fewer rows.
pub fn access_users(rows: &[AccessUser], total_count: usize) -> Shown {
    let cells: Vec<_> = rows
        .iter()
        .map(|user| {
            let framed_ip = user.framed_ip.map_or("-".to_owned(), |ip| ip.to_string());
            let state = user.state.as_str().to_owned();
            [user_id(user), user.user.clone(), framed_ip, mac(user.mac), state, user.session_id.clone()]
        })
        .collect();
    let titles = ["UserID", "Username", "IP address", "MAC", "State", "Session-Id"];
    let text = columns(titles, &cells, &total(total_count, rows.len()));
    Shown { text, json: rows.iter().map(json_of).collect() }
}

/// One user in detail.
///
/// # Errors
/// [`Refusal::SessionMissing`] when the daemon found none.
pub fn access_user(row: Option<&AccessUser>) -> Result<Shown, Refusal> {
    let user = row.ok_or(Refusal::SessionMissing)?;
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let (v4, v6) = (&user.counters.v4, &user.counters.v6);
    let text = labelled(&[
        ("User-id", user_id(user)),
        ("User-name", user.user.clone()),
        ("Domain-name", user.domain.clone()),
        ("Acct-session-id", user.session_id.clone()),
        ("Plane", user.plane.clone()),
        ("Plane-session", user.plane_session.clone()),
        ("User-IP-address", optional(user.framed_ip.map(|ip| ip.to_string()))),
        ("User-MAC", mac(user.mac)),
        ("Accounting-state", user.state.as_str().to_owned()),
        ("RADIUS-server-group", optional(Some(user.group.clone()).filter(|group| !group.is_empty()))),
        ("Online-time", timestamp(user.opened)),
        ("Elapse", elapse(user.session_time_s)),
        (
            "Realtime-accounting-interval(sec)",
            optional(Some(user.interim_s).filter(|s| *s != 0).map(|s| s.to_string())),
        ),
        ("Next-realtime-accounting(sec)", optional(user.next_interim_s.map(|s| s.to_string()))),
        ("Realtime-accounting-failures", user.interim_failures.to_string()),
        ("Up-bytes", v4.in_octets.to_string()),
        ("Up-packets", v4.in_packets.to_string()),
        ("Down-bytes", v4.out_octets.to_string()),
        ("Down-packets", v4.out_packets.to_string()),
        ("IPv6-up-bytes", v6.in_octets.to_string()),
        ("IPv6-up-packets", v6.in_packets.to_string()),
        ("IPv6-down-bytes", v6.out_octets.to_string()),
        ("IPv6-down-packets", v6.out_packets.to_string()),
    ]);
    Ok(Shown { text, json: json_of(user) })
}

/// The names are those of the bill files (INTERFACES.md section 6).
fn json_of(user: &AccessUser) -> Value {
    let Totals { in_octets, in_packets, out_octets, out_packets } = user.counters.v4;
    let v6 = user.counters.v6;
    json!({
        "id": user_id(user),
        "session": user.session_id,
        "plane": user.plane,
        "plane_session": user.plane_session,
        "user": user.user,
        "domain": user.domain,
        "framed_ip": user.framed_ip.map(|ip| ip.to_string()),
        "mac": mac_json(user.mac),
        "state": user.state.as_str(),
        "group": user.group,
        "start": seconds(user.opened),
        "session_time": user.session_time_s,
        "interim_s": user.interim_s,
        "next_interim_s": user.next_interim_s,
        "interim_failures": user.interim_failures,
        "in_octets": in_octets,
        "in_packets": in_packets,
        "out_octets": out_octets,
        "out_packets": out_packets,
        "v6_in_octets": v6.in_octets,
        "v6_in_packets": v6.in_packets,
        "v6_out_octets": v6.out_octets,
        "v6_out_packets": v6.out_packets,
    })
}

fn user_id(user: &AccessUser) -> String {
    format!("{}-{}", user.serial.epoch, user.serial.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::counters::Counters;
    use model::ids::SessionSerial;
    use model::report::AccountingState;
    use model::time::Wall;
    use std::net::Ipv4Addr;

    fn alice() -> AccessUser {
        let v4 = Totals { in_octets: u64::MAX, in_packets: 10, out_octets: 12_020_245_692, out_packets: 40 };
        AccessUser {
            serial: SessionSerial { epoch: 7, sequence: 94_208 },
            session_id: "MALA-B-00210300100320ef3f87AAAYfe".to_owned(),
            user: "alice@isp".to_owned(),
            domain: "isp".to_owned(),
            plane: "p1".to_owned(),
            plane_session: "s1".to_owned(),
            framed_ip: Some(Ipv4Addr::new(100, 64, 0, 1)),
            mac: Some([2, 0, 0, 0, 0, 0xab]),
            state: AccountingState::Accounting,
            group: "g1".to_owned(),
            opened: Wall::from_millis(1_479_223_588_250),
            session_time_s: 3_661,
            interim_s: 6_000,
            next_interim_s: Some(12),
            interim_failures: 2,
            counters: Counters { v4, v6: Totals::default() },
        }
    }

    #[test]
    fn a_row_tells_who_is_online_and_how_to_ask_for_more() {
        let shown = access_users(&[alice()], 1_000_000);
        let row = shown.text.lines().nth(3).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(
            cells,
            ["7-94208", "alice@isp", "100.64.0.1", "0200-0000-00ab", "Accounting", "MALA-B-00210300100320ef3f87AAAYfe"]
        );
        assert!(shown.text.ends_with("  Total 1000000,1 printed\n"));
        assert_eq!(shown.json.as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn the_detail_has_every_counter_in_full() {
        let shown = access_user(Some(&alice())).unwrap();
        for line in [
            "  Up-bytes                              : 18446744073709551615\n",
            "  Down-bytes                            : 12020245692\n",
            "  Online-time                           : 2016/11/15 15:26:28\n",
            "  Elapse                                : 1:01:01\n",
            "  Realtime-accounting-failures          : 2\n",
            "  IPv6-down-packets                     : 0\n",
        ] {
            assert!(shown.text.contains(line), "{line}{}", shown.text);
        }
        assert_eq!(shown.json["in_octets"], u64::MAX);
        assert_eq!(shown.json["start"], 1_479_223_588.25);
        assert_eq!(shown.json["mac"], "02:00:00:00:00:ab");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let user = AccessUser {
            framed_ip: None,
            mac: None,
            group: String::new(),
            next_interim_s: None,
            interim_s: 0,
            ..alice()
        };
        let shown = access_user(Some(&user)).unwrap();
        assert_eq!(shown.text.matches(": -\n").count(), 5, "{}", shown.text);
        assert_eq!(shown.json["framed_ip"], Value::Null);
        assert_eq!(access_user(None), Err(Refusal::SessionMissing));
    }
}
