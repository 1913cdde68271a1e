//! One TACACS+ interim: writing it, obfuscating it, reading the reply; obfuscation in batches against one by one, and both
//! against the `md-5` crate. Every figure is per packet: batches report their throughput.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use md5::{Digest, Md5};
use wire::tacacs::argument::{
    ADDR, BYTES_IN, BYTES_OUT, ELAPSED_TIME, PAKS_IN, PAKS_OUT, PROTOCOL, SERVICE, START_TIME, TASK_ID,
};
use wire::tacacs::encode::{AuthenMethod, AuthenService, AuthenType};
use wire::tacacs::{
    Clear, Encoder, Flags, HEADER_SIZE, Header, Record, Reply, Request, next_packet, obfuscate, obfuscate_all,
};

const BATCH: usize = 64;
const KEY: &[u8] = b"sixteen octets..";

/// What an interim of a PPPoE session says.
fn interim(buffer: &mut [u8], session_id: u32, octets: u64) -> &mut [u8] {
    let request = Request {
        session_id,
        flags: Flags::SINGLE_CONNECT,
        record: Record::WatchdogUpdate,
        authen_method: AuthenMethod::Radius,
        priv_lvl: 0,
        authen_type: AuthenType::Chap,
        authen_service: AuthenService::Ppp,
        user: b"subscriber-000001@isp",
        port: b"slot=0;subslot=1;port=0",
        rem_addr: b"02-00-00-00-00-01",
    };
    let mut encoder = Encoder::new(buffer, &request);
    encoder
        .text(TASK_ID, b"BNG10000001000320000000007AAAYfe!")
        .number(START_TIME, 1_795_000_000)
        .text(SERVICE, b"ppp")
        .text(PROTOCOL, b"ip")
        .display(ADDR, Ipv4Addr::new(100, 64, 0, 1))
        .number(ELAPSED_TIME, 300)
        .number(BYTES_IN, octets)
        .number(BYTES_OUT, octets)
        .number(PAKS_IN, 10)
        .number(PAKS_OUT, 40);
    encoder.finish().expect("it fits")
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("tacacs");
    let mut buffer = [0; 1024];
    let size = interim(&mut buffer, 0, 1 << 33).len();
    group.bench_function(format!("encode interim, {size} octets"), |b| {
        b.iter(|| black_box(interim(&mut buffer, black_box(7), black_box(1 << 33)).len()));
    });

    let mut answered =
        [&Header { sequence: 2, ..Header::of_request(Flags::NONE, 7, 5) }.octets()[..], &[0; 5]].concat();
    answered[HEADER_SIZE + 4] = 1;
    obfuscate(&mut answered, KEY);
    group.bench_function("find and open reply, 17 octets", |b| {
        b.iter(|| {
            let mut packet = [0; 17];
            packet.copy_from_slice(black_box(&answered));
            let found = next_packet(&packet);
            assert!(matches!(Reply::open(&mut packet, Some(KEY)), Ok(reply) if reply.data.is_empty()));
            found
        });
    });
    group.finish();
}

fn obfuscation(c: &mut Criterion) {
    let mut group = c.benchmark_group("obfuscate interim");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut buffer = [0; 1024];
    let mut packets: Vec<Vec<u8>> =
        (0..BATCH as u64).zip(0..).map(|(octets, id)| interim(&mut buffer, id, octets << 30).to_vec()).collect();
    group.bench_function("md-5 crate", |b| {
        b.iter(|| {
            for packet in &mut packets {
                mask_with_md5_crate(packet);
            }
        });
    });
    // What was obfuscated is revealed by the next turn, which is the same work.
    group.bench_function("one by one", |b| {
        b.iter(|| {
            for packet in &mut packets {
                obfuscate(packet, KEY);
            }
        });
    });
    let mut batch: Vec<Clear<'_>> = packets.iter_mut().map(|packet| Clear { packet, key: KEY }).collect();
    group.bench_function("batch of 16", |b| b.iter(|| batch.chunks_mut(16).for_each(obfuscate_all)));
    group.bench_function("batch of 64", |b| b.iter(|| obfuscate_all(&mut batch)));
    group.finish();
}

fn mask_with_md5_crate(packet: &mut [u8]) {
    let (head, body) = packet.split_at_mut(HEADER_SIZE);
    let seed = Md5::new().chain_update(&head[4..8]).chain_update(KEY).chain_update([head[0], head[2]]);
    let mut pad = seed.clone().finalize();
    for (index, piece) in body.chunks_mut(16).enumerate() {
        if index > 0 {
            pad = seed.clone().chain_update(pad).finalize();
        }
        for (octet, mask) in piece.iter_mut().zip(&pad) {
            *octet ^= mask;
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = codec, obfuscation
}
criterion_main!(benches);
