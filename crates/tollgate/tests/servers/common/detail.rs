//! The text of a detail file, as records.

use std::collections::BTreeMap;
use std::path::Path;

use super::Totals;

/// Everything that a server has recorded, in order.
pub(crate) struct Detail {
    pub(crate) records: Vec<Record>,
}

/// One record. An attribute may stand in it several times.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    attributes: Vec<(String, String)>,
}

impl Detail {
    pub(crate) fn read(path: &Path) -> Detail {
        // None has come yet.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Detail::parse(&text)
    }

    /// A record that is being written has no blank line behind it yet, and is left out.
    pub(crate) fn parse(text: &str) -> Detail {
        let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
        Detail { records: whole.split("\n\n").filter(|block| !block.trim().is_empty()).map(Record::parse).collect() }
    }

    /// Records of a kind: `Start`, `Interim-Update`, `Stop`.
    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.text("Acct-Status-Type") == kind)
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.of(kind).count()
    }

    /// How many sessions have a record of a kind: after a crash one may come twice.
    pub(crate) fn sessions(&self, kind: &str) -> usize {
        self.of(kind).map(Record::session).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Records of a kind by User-Name.
    pub(crate) fn by_user(&self, kind: &str) -> BTreeMap<&str, Vec<&Record>> {
        let mut users: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in self.of(kind) {
            users.entry(record.text("User-Name")).or_default().push(record);
        }
        users
    }
}

impl Record {
    fn parse(block: &str) -> Record {
        let attribute = |line: &str| {
            let (name, value) = line.strip_prefix('\t')?.split_once(" = ")?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        };
        Record { attributes: block.lines().filter_map(attribute).collect() }
    }

    /// The names of its attributes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.attributes.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        let values = self.all(name);
        assert_eq!(values.len(), 1, "{name} stands {} times in {self:?}", values.len());
        values[0]
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("{name} is no number in {self:?}"))
    }

    pub(crate) fn session(&self) -> &str {
        self.text("Acct-Session-Id")
    }

    /// Octets with their gigawords, and packets.
    pub(crate) fn totals(&self) -> Totals {
        let octets = |low: &str, high: &str| {
            let high = self.all(high).first().map_or(0, |_| self.number(high));
            high << 32 | self.number(low)
        };
        Totals {
            in_octets: octets("Acct-Input-Octets", "Acct-Input-Gigawords"),
            in_packets: self.number("Acct-Input-Packets"),
            out_octets: octets("Acct-Output-Octets", "Acct-Output-Gigawords"),
            out_packets: self.number("Acct-Output-Packets"),
        }
    }

    /// Event-Timestamp in epoch seconds; the server writes `Nov 21 2026 05:24:12 UTC`, a bill file the seconds.
    pub(crate) fn event_time(&self) -> u64 {
        let text = self.text("Event-Timestamp");
        let seconds = text.parse().ok().or_else(|| epoch_seconds(text));
        seconds.unwrap_or_else(|| panic!("{text} is no time that FreeRADIUS writes"))
    }
}

fn epoch_seconds(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [month, day, year, time, "UTC"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    // March begins the year, so that the leap day ends it.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let parts = time.split(':').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>()?;
    let [hour, minute, second] = parts[..] else { return None };
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[test]
fn a_detail_file_is_read_as_the_server_wrote_it() {
    let text = "Sat Nov 21 05:24:12 2026\n\tAcct-Status-Type = Stop\n\tUser-Name = \"alice@isp\"\n\tClass = 0x0a\n\
                \tClass = 0x0b\n\tEvent-Timestamp = \"Nov 21 2026 05:24:12 UTC\"\n\tAcct-Input-Octets = 7\n\
                \tAcct-Input-Gigawords = 2\n\tAcct-Input-Packets = 1\n\tAcct-Output-Octets = 8\n\
                \tAcct-Output-Packets = 1\n\nSat Nov 21 05:24:13 2026\n\tAcct-Status-Type = Start\n";
    let detail = Detail::parse(text);
    assert_eq!(detail.records.len(), 1, "the second record is not whole yet");
    let record = &detail.records[0];
    assert_eq!(record.all("Class"), ["0x0a", "0x0b"]);
    assert_eq!(record.event_time(), 1_795_238_652);
    assert_eq!(record.totals().in_octets, (2 << 32) + 7);
}
