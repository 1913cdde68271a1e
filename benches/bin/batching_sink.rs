//! An accounting server that takes and sends many datagrams as one message, computes their authenticators together, and
//! remembers nothing: the fastest that a client can be held against. It answers requests without Proxy-State and
//! Message-Authenticator.
//!
//! `batching_sink ADDRESS:PORT SECRET` runs until it is ended, and prints one line when it is ready.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::error::Error;
use std::net::UdpSocket;

use benches::{gather, hold_much, receive, send};
use lanes::md5::{Job, digest_all};

const REPLY: u16 = 20;
const RESPONSE: u8 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(secret)) = (arguments.next(), arguments.next()) else {
        return Err("usage: batching_sink ADDRESS:PORT SECRET".into());
    };
    let socket = UdpSocket::bind(&address)?;
    gather(&socket)?;
    hold_much(&socket)?;
    println!("sink ready on {address}");
    let mut room = vec![0; 1 << 16];
    loop {
        let message = receive(&socket, &mut room)?;
        let replies = respond(room[..message.length].chunks(message.segment), secret.as_bytes());
        // A client that went away is no reason to stop.
        let _ = send(&socket, message.from, &replies, REPLY);
    }
}

/// The replies to some requests, one behind the other.
fn respond<'a>(requests: impl Iterator<Item = &'a [u8]>, secret: &[u8]) -> Vec<u8> {
    let requests: Vec<&[u8]> = requests.filter(|request| request.len() >= REPLY.into()).collect();
    let heads: Vec<[u8; 4]> = requests.iter().map(|request| [RESPONSE, request[1], 0, 20]).collect();
    let mut jobs: Vec<Job<'_>> = requests
        .iter()
        .zip(&heads)
        .map(|(request, head)| Job { parts: [head, &request[4..20], secret, &[]], digest: [0; 16] })
        .collect();
    digest_all(&mut jobs);
    jobs.iter().zip(&heads).flat_map(|(job, head)| head.iter().chain(&job.digest)).copied().collect()
}
