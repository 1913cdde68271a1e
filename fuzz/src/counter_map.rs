//! Any layout that an operator declares of a map, any shape that the map has, and any entries in it: it is refused by name, or every
//! reading is of an entry that was handed in, and none falls within a generation.
//!
//! The first twelve octets say the layout and the shape; what follows is handed in as entries, sweep by sweep.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use model::counters::Counters;
use model::event::Prefix;
use plane::maps::{Key, Layout, MapTable, Shape, Values};
use plane::sweep::Subject;

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let Some((head, mut rest)) = input.split_first_chunk::<12>() else { return };
    let [kind, length, a, b, c, d, switches, key_bytes, value_bytes, cpus, each, at] = head.map(u32::from);
    let key = match kind % 3 {
        0 => Key::V4,
        1 => Key::V6 { length: head[1] },
        _ => Key::Interface,
    };
    let packets = |at: u32, bit: u32| (switches & bit != 0).then_some(at);
    let far = if switches & 4 != 0 { u32::MAX - 3 } else { 0 };
    let values = Values {
        in_octets: a,
        in_packets: packets(b, 1),
        out_octets: c.saturating_add(far),
        out_packets: packets(d, 2),
    };
    let shape = Shape {
        key_bytes: key_bytes as usize % 20,
        value_bytes: value_bytes as usize,
        cpus: (switches & 8 != 0).then_some(cpus as usize % 5),
    };
    let layout = Layout { key, values };
    let Ok(mut table) = MapTable::new(layout, shape) else {
        assert!(!layout.check(shape).expect_err("it was refused").to_string().is_empty());
        return;
    };
    let fits = |at: u32| at as usize + 8 <= shape.value_bytes;
    assert!(fits(values.in_octets) && fits(values.out_octets), "what is taken fits");
    let subjects = [
        Subject::V4(Ipv4Addr::from([at as u8; 4])),
        Subject::Interface(u32::from_ne_bytes([at as u8; 4])),
        Subject::V6(Prefix { address: [at as u8; 16].into(), length: 128 }),
        Subject::V6(Prefix { address: [0; 16].into(), length: (length % 129) as u8 }),
    ];
    let mut known: HashMap<Subject, (u32, Counters)> = HashMap::new();
    while !rest.is_empty() {
        let (sweep, behind) = rest.split_at(rest.len().min(1 + each as usize * 4));
        rest = behind;
        let (keys, values) = sweep.split_at(sweep.len().min(shape.key_bytes * 2));
        table.sweep_begins();
        table.handle_entries(keys, values);
        table.sweep_ends();
        assert!(table.entry_count() <= keys.len() / shape.key_bytes.max(1), "nobody is there who was not handed in");
        for subject in subjects {
            let Some(reading) = table.reading(subject) else {
                known.remove(&subject);
                continue;
            };
            let own = table.key_of(subject).expect("it has an entry");
            let mut entries = keys.chunks_exact(shape.key_bytes);
            assert!(entries.any(|key| key == table.octets(&own)), "it is the entry of its own key");
            if let Some((generation, before)) = known.insert(subject, (reading.generation, reading.counters)) {
                assert!(generation != reading.generation || !reading.counters.falls_below(before), "it fell");
            }
        }
    }
}
