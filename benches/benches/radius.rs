//! One accounting packet: writing, reading, signing, verifying; signing and verifying in batches against one by
//! one, and both against the `md-5` crate. Every figure is per packet: batches report their throughput.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanes::md5::{Job, Path, digest_all_on};
use md5::{Digest, Md5};
use wire::radius::attribute::{acct_status_type, huawei, nas_port_type};
use wire::radius::authenticator::{
    Unsigned, Unverified, sign_request, sign_requests, verify_response, verify_responses,
};
use wire::radius::{Code, Encoder, Packet, Type, server};

const BATCH: usize = 64;
const SECRET: &[u8] = b"sixteen octets..";

/// The attributes of a PPPoE session that never change.
fn static_run() -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut encoder = Encoder::run(&mut buffer);
    encoder
        .bytes(Type::USER_NAME, b"subscriber-000001@isp")
        .u32(Type::NAS_IP_ADDRESS, 0xc000_0201)
        .u32(Type::NAS_PORT, 16_781_313)
        .u32(Type::SERVICE_TYPE, 2)
        .u32(Type::FRAMED_PROTOCOL, 1)
        .u32(Type::FRAMED_IP_ADDRESS, 0x6440_0001)
        .bytes(Type::CLASS, b"class-00001")
        .bytes(Type::CALLING_STATION_ID, b"02-00-00-00-00-01")
        .bytes(Type::NAS_IDENTIFIER, b"BNG1")
        .bytes(Type::ACCT_SESSION_ID, b"BNG10000001000320000000007AAAYfe!")
        .u32(Type::ACCT_AUTHENTIC, 1)
        .u32(Type::NAS_PORT_TYPE, nas_port_type::PPPOEOVLAN)
        .bytes(Type::NAS_PORT_ID, b"slot=0;subslot=1;port=0")
        .vendor_u32(huawei::CONNECT_ID, 94_208);
    encoder.finish().expect("it fits").to_vec()
}

/// An interim of 255 octets: the static run and what each interim says anew.
fn interim<'a>(buffer: &'a mut [u8], identifier: u8, run: &[u8], octets: u64) -> &'a mut [u8] {
    let mut encoder = Encoder::packet(buffer, Code::ACCOUNTING_REQUEST, identifier);
    encoder
        .raw(run)
        .u32(Type::ACCT_STATUS_TYPE, acct_status_type::INTERIM_UPDATE)
        .u32(Type::ACCT_DELAY_TIME, 0)
        .u32(Type::EVENT_TIMESTAMP, 1_700_537_520)
        .u32(Type::ACCT_SESSION_TIME, 300)
        .u64(Type::ACCT_INPUT_OCTETS, Type::ACCT_INPUT_GIGAWORDS, octets)
        .u64(Type::ACCT_OUTPUT_OCTETS, Type::ACCT_OUTPUT_GIGAWORDS, octets)
        .u32(Type::ACCT_INPUT_PACKETS, 10)
        .u32(Type::ACCT_OUTPUT_PACKETS, 40);
    encoder.finish().expect("it fits")
}

/// A batch of signed interims and the replies to them.
fn exchange() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let run = static_run();
    let mut buffer = [0; 4096];
    let asked: Vec<Vec<u8>> = (0..BATCH as u64)
        .zip(0..)
        .map(|(octets, identifier)| {
            let packet = interim(&mut buffer, identifier, &run, octets);
            sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
            packet.to_vec()
        })
        .collect();
    let answered = asked
        .iter()
        .map(|packet| {
            let request = Packet::parse(packet).expect("it is well-formed");
            server::respond(&request, SECRET, &mut buffer).expect("it fits").to_vec()
        })
        .collect();
    (asked, answered)
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("radius");
    let run = static_run();
    let mut buffer = [0; 4096];
    assert_eq!(interim(&mut buffer, 0, &run, 0).len(), 255);
    group.bench_function("encode interim, 255 octets", |b| {
        b.iter(|| black_box(interim(&mut buffer, black_box(7), black_box(&run), black_box(1 << 33)).len()));
    });
    let (asked, answered) = exchange();
    group.bench_function("decode interim, every attribute", |b| {
        b.iter(|| {
            let packet = Packet::parse(black_box(&asked[0])).expect("it is well-formed");
            packet.attributes().map(|attribute| usize::from(attribute.kind.0) + attribute.value.len()).sum::<usize>()
        });
    });
    group.bench_function("decode reply, 20 octets", |b| {
        b.iter(|| Packet::parse(black_box(&answered[0])).map(|packet| packet.identifier()));
    });
    group.finish();
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("sign request");
    group.throughput(Throughput::Elements(BATCH as u64));
    let (mut asked, _) = exchange();
    group.bench_function("md-5 crate", |b| {
        b.iter(|| {
            for packet in &mut asked {
                packet[4..20].fill(0);
                let digest = Md5::new().chain_update(&*packet).chain_update(SECRET).finalize();
                packet[4..20].copy_from_slice(&digest);
            }
        });
    });
    group.bench_function("one by one", |b| {
        b.iter(|| {
            for packet in &mut asked {
                sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
            }
        });
    });
    // Signing begins by zeroing the authenticator, so the same packets can be signed again and again.
    let mut batch: Vec<Unsigned<'_>> =
        asked.iter_mut().map(|packet| Unsigned { packet, secret: SECRET, message_authenticator: false }).collect();
    group.bench_function("batch of 64", |b| b.iter(|| sign_requests(&mut batch)));
    group.finish();
}

fn replies(c: &mut Criterion) {
    let mut group = c.benchmark_group("verify reply");
    group.throughput(Throughput::Elements(BATCH as u64));
    let (asked, answered) = exchange();
    let requests: Vec<Packet<'_>> =
        asked.iter().map(|octets| Packet::parse(octets).expect("it is well-formed")).collect();
    let mut batch: Vec<Unverified<'_>> = answered
        .iter()
        .zip(&requests)
        .map(|(octets, request)| Unverified {
            packet: Packet::parse(octets).expect("it is well-formed"),
            request_authenticator: request.authenticator(),
            secret: SECRET,
            verdict: Ok(()),
        })
        .collect();
    group.bench_function("md-5 crate", |b| {
        b.iter(|| {
            let good = |reply: &&Unverified<'_>| {
                let octets = reply.packet.octets();
                let digest = Md5::new()
                    .chain_update(&octets[..4])
                    .chain_update(reply.request_authenticator)
                    .chain_update(&octets[20..])
                    .chain_update(SECRET)
                    .finalize();
                digest[..] == octets[4..20]
            };
            batch.iter().filter(good).count()
        });
    });
    group.bench_function("one by one", |b| {
        b.iter(|| {
            let good = |reply: &&Unverified<'_>| {
                verify_response(&reply.packet, reply.request_authenticator, reply.secret).is_ok()
            };
            batch.iter().filter(good).count()
        });
    });
    group.bench_function("batch of 64", |b| b.iter(|| verify_responses(&mut batch)));
    group.finish();
}

/// The digest alone: 297 octets, a packet of 281 and a secret of 16.
fn digests(c: &mut Criterion) {
    let mut group = c.benchmark_group("md5 of 297 octets");
    group.throughput(Throughput::Elements(BATCH as u64));
    let packets: Vec<Vec<u8>> = (0..BATCH).map(|index| vec![u8::try_from(index).unwrap_or(0); 281]).collect();
    group.bench_function("md-5 crate", |b| {
        b.iter(|| {
            for packet in &packets {
                black_box(Md5::new().chain_update(packet).chain_update(SECRET).finalize());
            }
        });
    });
    for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
        let mut jobs: Vec<Job<'_>> = packets.iter().map(|packet| Job::of_two(packet, SECRET)).collect();
        group.bench_function(format!("{path:?}"), |b| b.iter(|| digest_all_on(path, &mut jobs)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = codec, requests, replies, digests
}
criterion_main!(benches);
