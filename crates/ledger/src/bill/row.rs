//! A bill as a row of `display local-bill cache` (BEHAVIOUR.md 7.6).

use model::report::LocalBill;

use super::Bill;

impl Bill<'_> {
    /// The row of this bill; `number`: its number in the pool, from 0.
    pub fn row(&self, number: u64) -> LocalBill {
        let (who, opened, closed) = (&self.subscriber, &self.record.opened, &self.record.closed);
        let text = |octets: Option<&[u8]>| String::from_utf8_lossy(octets.unwrap_or_default()).into_owned();
        let interface = text(who.nas_port_id);
        let (auth_type, access_type) = if who.is_ppp { ("PPP", "PPPoE") } else { ("", "IPoE") };
        LocalBill {
            number,
            session_id: text(who.session_id),
            user: text(who.user),
            start: opened.at.wall,
            stop: closed.at.wall,
            session_time_s: closed.session_time_s,
            framed_ip: who.framed_ip,
            mac: who.mac,
            ipv6: who.framed_ipv6_address.or(who.framed_ipv6_prefix.map(|prefix| prefix.address)),
            auth_type: auth_type.to_owned(),
            access_type: access_type.to_owned(),
            vlans: vlans(&interface),
            interface,
            cause: closed.cause,
            counters: closed.counters,
        }
    }
}

/// Outer and inner VLAN of `slot=0;subslot=1;port=0;vlanid=100;vlanid2=7`. One alone is the inner one.
fn vlans(interface: &str) -> (Option<u16>, Option<u16>) {
    let named = |name: &str| {
        let parts = interface.split(';').filter_map(|part| part.trim().split_once('='));
        parts.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| value.trim().parse().ok())
    };
    match (named("vlanid"), named("vlanid2")) {
        (outer, Some(inner)) => (outer, Some(inner)),
        (inner, None) => (None, inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_read_from_the_port() {
        for (interface, expected) in [
            ("slot=0;subslot=1;port=0;vlanid=100;vlanid2=7", (Some(100), Some(7))),
            ("slot=0; subslot=1; port=0; vlanid=9;", (None, Some(9))),
            ("eth0", (None, None)),
            ("", (None, None)),
        ] {
            assert_eq!(vlans(interface), expected, "{interface}");
        }
    }
}
