//! Writes the octets of the text vectors to `corpus/radius_packet`, where the fuzzer starts from them.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = fuzz.join("corpus/radius_packet");
    fs::create_dir_all(&corpus)?;
    let mut count = 0;
    for file in fs::read_dir(fuzz.join("../crates/wire/tests/vectors"))? {
        for octets in packets_in(&fs::read_to_string(file?.path())?) {
            fs::write(corpus.join(format!("vector-{count:03}")), octets)?;
            count += 1;
        }
    }
    println!("{count} seeds in {}", corpus.display());
    Ok(())
}

/// Octets stand behind `<-`, or alone on lines that are indented by four.
fn packets_in(text: &str) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        if let Some((_, octets)) = line.split_once("<-") {
            packets.extend(unhex(octets));
        }
        let continued = line.strip_prefix("    ").and_then(unhex);
        match (continued, packets.last_mut()) {
            (Some(octets), Some(packet)) if goes_on => packet.extend(octets),
            (Some(octets), _) => packets.push(octets),
            (None, _) => {}
        }
        goes_on = line.starts_with("    ");
    }
    packets
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).ok()).collect()
}
