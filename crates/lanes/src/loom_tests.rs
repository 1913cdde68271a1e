//! What worker and writer do with a bill ring, the two numbers that come back, and the writer's sleep, in every order that the
//! memory model allows: `RUSTFLAGS="--cfg loom" cargo test -p lanes --release loom`.

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};

use crate::doze::Doze;
use crate::growing::Growing;
use crate::ring::{Consumer, Producer, ring};

const RECORDS: u8 = 2;

fn push(producer: &mut Producer, record: u8) {
    let mut grant = producer.reserve(8).expect("the ring has room for all of them");
    grant.fill(record);
    grant.commit();
    producer.publish();
}

fn pop(consumer: &mut Consumer) -> Option<u8> {
    let record = consumer.peek()?[0];
    consumer.release();
    Some(record)
}

/// What is on the disk for each record, which whoever goes by a number touches without a lock.
#[derive(Default)]
struct Disk([UnsafeCell<u8>; RECORDS as usize]);

#[test]
fn what_is_announced_as_durable_is_on_the_disk_and_what_is_needed_stays_there() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(64);
        let (disk, durable, needed) =
            (Arc::new(Disk::default()), Arc::new(Growing::default()), Arc::new(Growing::default()));
        let writer = {
            let (disk, durable, needed) = (disk.clone(), durable.clone(), needed.clone());
            loom::thread::spawn(move || {
                for record in 1..=RECORDS {
                    let popped = loop {
                        match pop(&mut consumer) {
                            Some(popped) => break popped,
                            None => loom::thread::yield_now(),
                        }
                    };
                    assert_eq!(popped, record);
                    disk.0[usize::from(record) - 1].with_mut(|octet| {
                        // SAFETY: nobody reads it before it is announced, which loom proves.
                        unsafe { *octet = record }
                    });
                    durable.announce(record.into());
                }
                // What nobody needs any more is overwritten.
                for gone in 0..needed.reached().saturating_sub(1) {
                    disk.0[usize::try_from(gone).unwrap()].with_mut(|octet| {
                        // SAFETY: whoever needed it has said that it does not, which loom proves.
                        unsafe { *octet = 0 }
                    });
                }
            })
        };
        for record in 1..=RECORDS {
            push(&mut producer, record);
        }
        for record in 1..=RECORDS {
            while durable.reached() < record.into() {
                loom::thread::yield_now();
            }
            // SAFETY: it is durable, and is overwritten when it is needed no more, which loom proves.
            let read = disk.0[usize::from(record) - 1].with(|octet| unsafe { *octet });
            assert_eq!(read, record);
            needed.announce(u64::from(record) + 1);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_that_sleeps_misses_no_record() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(64);
        let (doze, woken) = (Arc::new(Doze::default()), Arc::new(Notify::new()));
        let worker = {
            let (doze, woken) = (doze.clone(), woken.clone());
            loom::thread::spawn(move || {
                for record in 1..=RECORDS {
                    push(&mut producer, record);
                    if doze.must_be_woken() {
                        woken.notify();
                    }
                }
            })
        };
        let mut popped = 0;
        while popped < RECORDS {
            match pop(&mut consumer) {
                Some(record) => {
                    popped += 1;
                    assert_eq!(record, popped);
                }
                None => {
                    doze.lie_down();
                    if consumer.peek().is_none() {
                        woken.wait();
                    }
                    doze.get_up();
                }
            }
        }
        worker.join().unwrap();
    });
}
