//! An accounting server that answers datagram by datagram and remembers nothing: what benches hold clients against.
//!
//! `sink ADDRESS:PORT SECRET` runs until it is ended, and prints one line when it is ready.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::error::Error;
use std::net::UdpSocket;

use wire::radius::Packet;
use wire::radius::server::respond;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(secret)) = (arguments.next(), arguments.next()) else {
        return Err("usage: sink ADDRESS:PORT SECRET".into());
    };
    let socket = UdpSocket::bind(&address)?;
    benches::hold_much(&socket)?;
    println!("sink ready on {address}");
    let mut request = [0; 4096];
    let mut reply = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut request)?;
        let Ok(packet) = Packet::parse(&request[..length]) else { continue };
        if let Ok(reply) = respond(&packet, secret.as_bytes(), &mut reply) {
            // A client that went away is no reason to stop.
            let _ = socket.send_to(reply, from);
        }
    }
}
