//! Writes the octets of the text vectors to `corpus/radius_packet` and `corpus/tacacs_reply`, and both messages of the plane
//! link to `corpus/plane_hello`, where the fuzzers start from them.

use std::{env, fs, io, path::Path};

use plane::hello::{Answer, Hello, HelloError, Welcome};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut radius, mut tacacs) = (Vec::new(), Vec::new());
    for file in fs::read_dir(fuzz.join("../crates/wire/tests/vectors"))? {
        let file = file?;
        let is_tacacs = file.file_name().to_string_lossy().starts_with("tacacs");
        let packets = packets_in(&fs::read_to_string(file.path())?);
        if is_tacacs { &mut tacacs } else { &mut radius }.extend(packets);
    }
    write(&fuzz.join("corpus/radius_packet"), &radius)?;
    write(&fuzz.join("corpus/tacacs_reply"), &tacacs)?;
    write(&fuzz.join("corpus/plane_hello"), &hellos())
}

/// A HELLO, one of another version, and what is answered.
fn hellos() -> Vec<Vec<u8>> {
    let hello = Hello::new("plane-0", 7, 1 << 20).expect("a good name").encode().to_vec();
    let mut other_version = hello.clone();
    other_version[8] = 2;
    let answers = [Welcome::new(Answer::Accepted), Welcome::refusing(HelloError::Version { plane: 2 })];
    [hello, other_version].into_iter().chain(answers.map(|answer| answer.encode().to_vec())).collect()
}

fn write(corpus: &Path, seeds: &[Vec<u8>]) -> io::Result<()> {
    fs::create_dir_all(corpus)?;
    for (number, octets) in seeds.iter().enumerate() {
        fs::write(corpus.join(format!("vector-{number:03}")), octets)?;
    }
    println!("{} seeds in {}", seeds.len(), corpus.display());
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
