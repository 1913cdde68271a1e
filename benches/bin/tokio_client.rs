//! The client of the crate `radius` (0.4, on tokio), as an example of a client that a Rust program would take from
//! crates.io: so many interims, 64 of them in flight. It opens a socket for each packet, parses each reply, and does not check
//! who has signed it.
//!
//! `tokio_client ADDRESS:PORT SECRET COUNT LENGTH` prints one line of JSON: replies, and the processor time of the whole
//! process.
#![expect(clippy::print_stdout, reason = "a program for scripts")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use radius::client::Client;
use radius::core::code::Code;
use radius::core::packet::Packet;
use radius::core::rfc2866::{self, ACCT_STATUS_TYPE_INTERIM_UPDATE};
use radius::core::{rfc2865, rfc2869};

const IN_FLIGHT: u32 = 64;
const PATIENCE: Duration = Duration::from_secs(5);

/// What all packets have in common.
struct Plan {
    server: SocketAddr,
    secret: String,
    count: u32,
    length: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, secret, count, length] = &arguments[..] else {
        return Err("usage: tokio_client ADDRESS:PORT SECRET COUNT LENGTH".into());
    };
    let (server, count, length) = (server.parse()?, count.parse()?, length.parse()?);
    let plan = Arc::new(Plan { server, secret: secret.clone(), count, length });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let own = std::process::id();
    let used = benches::processor_time(own)?;
    let replies = runtime.block_on(run(plan));
    let used = benches::processor_time(own)? - used;
    println!("{{\"replies\":{replies},\"processor_seconds\":{:.6}}}", used.as_secs_f64());
    Ok(())
}

async fn run(plan: Arc<Plan>) -> u32 {
    let next = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..IN_FLIGHT).map(|_| tokio::spawn(send_some(plan.clone(), next.clone()))).collect();
    let mut replies = 0;
    for task in tasks {
        replies += task.await.unwrap_or(0);
    }
    replies
}

/// One at a time, as long as there are any: how many were answered.
async fn send_some(plan: Arc<Plan>, next: Arc<AtomicU32>) -> u32 {
    let client = Client::new(None, Some(PATIENCE));
    let mut replies = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.count {
            return replies;
        }
        let packet = packet(&plan, number);
        replies += u32::from(client.send_packet(&plan.server, &packet).await.is_ok());
    }
}

fn packet(plan: &Plan, number: u32) -> Packet {
    let [.., b, c] = number.to_be_bytes();
    let mut packet = Packet::new(Code::AccountingRequest, plan.secret.as_bytes());
    rfc2865::add_user_name(&mut packet, &format!("user{number:07}@isp"));
    rfc2866::add_acct_session_id(&mut packet, &format!("BENCH00000000000000000{number:012}"));
    rfc2866::add_acct_status_type(&mut packet, ACCT_STATUS_TYPE_INTERIM_UPDATE);
    rfc2865::add_nas_identifier(&mut packet, "BENCH");
    rfc2865::add_framed_ip_address(&mut packet, &Ipv4Addr::new(100, 64, b, c));
    rfc2865::add_calling_station_id(&mut packet, &format!("02-00-00-00-{b:02x}-{c:02x}"));
    rfc2865::add_nas_port(&mut packet, number);
    rfc2866::add_acct_session_time(&mut packet, 100);
    rfc2866::add_acct_input_octets(&mut packet, number);
    rfc2866::add_acct_output_octets(&mut packet, number);
    rfc2869::add_acct_input_gigawords(&mut packet, 1);
    rfc2869::add_acct_output_gigawords(&mut packet, 2);
    rfc2866::add_acct_input_packets(&mut packet, 1000);
    rfc2866::add_acct_output_packets(&mut packet, 2000);
    let used = packet.encode().map_or(0, |octets| octets.len());
    let padding = plan.length.saturating_sub(used + 2).min(253);
    rfc2869::add_connect_info(&mut packet, &"x".repeat(padding));
    packet
}
