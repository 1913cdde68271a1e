//! Any datagram: what the decoder takes must hold together, and everything that reads a packet must bear it.

use model::time::Wall;
use wire::radius::authenticator::{verify_request, verify_response};
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Packet, server, status_server};

/// Runs it on one input.
pub fn check(datagram: &[u8]) {
    let Ok(packet) = Packet::parse(datagram) else { return };

    // Written again, attribute by attribute, it is the same.
    let mut buffer = [0; PACKET_SIZE_MAX];
    let mut encoder = Encoder::packet(&mut buffer, packet.code(), packet.identifier());
    encoder.authenticator(packet.authenticator());
    for attribute in packet.attributes() {
        encoder.attribute(attribute);
        let _ = (attribute.as_u32(), attribute.as_ipv6(), attribute.as_prefix());
    }
    let written = encoder.finish().expect("a packet that was read fits a packet");
    assert_eq!(written, packet.octets());

    let inside: usize = packet.vendor_attributes().map(|attribute| attribute.value.len()).sum();
    assert!(inside < packet.octets().len());

    let _ = verify_request(&packet, b"secret");
    let _ = status_server::verify_reply(&packet, &[0; 16], b"secret");

    // The answer to whatever came is a good answer.
    let mut buffer = [0; PACKET_SIZE_MAX];
    let answer = server::respond(&packet, b"secret", &mut buffer).expect("an answer is no longer than its request");
    let answer = Packet::parse(answer).expect("our own packets are well-formed");
    assert_eq!(answer.code(), Code::ACCOUNTING_RESPONSE);
    assert_eq!(verify_response(&answer, packet.authenticator(), b"secret"), Ok(()));

    // As text it stays one entry.
    let mut text = String::new();
    wire::detail::write_entry(&mut text, Wall::from_millis(0), packet.attribute_run()).expect("a string has room");
    assert_eq!(text.matches("\n\n").count(), 1);
    assert!(text.ends_with("\tTimestamp = 0\n\n"));
}
