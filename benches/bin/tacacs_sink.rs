//! A TACACS+ accounting server that answers SUCCESS to whatever it is sent and remembers nothing, over as many connections as
//! are made: what benches hold HWTACACS against. It reads RFC 8907 for itself, and shares nothing with `wire`.
//!
//! `tacacs_sink ADDRESS:PORT KEY` runs until it is ended, and prints one line when it is ready.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use md5::{Digest, Md5};

const HEADER: usize = 12;
/// Header and body of a reply without texts.
const REPLY: usize = HEADER + 5;
const SUCCESS: u8 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tacacs_sink ADDRESS:PORT KEY".into());
    };
    let listener = TcpListener::bind(&address)?;
    let key: Arc<[u8]> = key.into_bytes().into();
    println!("sink ready on {address}");
    for stream in listener.incoming() {
        let (stream, key) = (stream?, key.clone());
        // A client that went away is no reason to stop.
        std::thread::spawn(move || serve(stream, &key));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, key: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut received, mut replies) = (Vec::new(), Vec::new());
    let mut room = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut room)?;
        if length == 0 {
            return Ok(());
        }
        received.extend_from_slice(&room[..length]);
        let mut rest = &received[..];
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let Some(later) = rest.get(HEADER + length_of(header)..) else { break };
            replies.extend(reply(header, key));
            rest = later;
        }
        let used = received.len() - rest.len();
        received.drain(..used);
        stream.write_all(&replies)?;
        replies.clear();
    }
}

/// Octets behind the header.
fn length_of(header: &[u8; HEADER]) -> usize {
    let &[.., a, b, c, d] = header;
    u32::from_be_bytes([a, b, c, d]) as usize
}

/// SUCCESS under the pad of RFC 8907 section 4.5; its flags are the request's.
fn reply(header: &[u8; HEADER], key: &[u8]) -> [u8; REPLY] {
    let &[version, kind, _, flags, a, b, c, d, ..] = header;
    let body = [0, 0, 0, 0, SUCCESS];
    let pad = Md5::new().chain_update([a, b, c, d]).chain_update(key).chain_update([version, 2]).finalize();
    let mut reply = [0; REPLY];
    reply[..HEADER].copy_from_slice(&[version, kind, 2, flags, a, b, c, d, 0, 0, 0, 5]);
    for (place, (octet, pad)) in reply[HEADER..].iter_mut().zip(body.into_iter().zip(pad)) {
        *place = octet ^ pad;
    }
    reply
}
