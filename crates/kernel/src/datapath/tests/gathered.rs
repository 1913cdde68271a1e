//! Datagrams that the kernel has put together. Loopback leaves together what was sent together.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Limits, SMALL, any_v4, check, receive, run};
use crate::datapath::{Choice, Completion, Datapath, RECEIVE_MAX};

/// Sends datagrams of these lengths in one go, each filled with its number.
fn send_together(to: SocketAddr, lengths: &[usize]) {
    let mut sender = Datapath::open(Choice::Epoll, SMALL).unwrap().datapath;
    let socket = sender.bind(any_v4()).unwrap();
    for (number, &length) in (0_u8..).zip(lengths) {
        sender.transmit(socket, to, &vec![number; length]).unwrap();
    }
    sender.submit_and_wait(Some(Duration::ZERO)).unwrap();
    assert_eq!(sender.counts().messages_out, 1);
}

#[test]
fn what_came_together_is_told_one_by_one() {
    // Longer together than one datagram may be, and the last is shorter.
    for lengths in [vec![20; 60], [vec![250; 40], vec![33]].concat(), vec![20, 20], vec![20, 7]] {
        check(SMALL, |mut datapath| {
            let socket = datapath.bind(any_v4()).unwrap();
            // The socket receives from the first wait on.
            datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
            send_together(datapath.local_addr(socket).unwrap(), &lengths);
            let datagrams: Vec<_> =
                receive(&mut datapath, lengths.len()).into_iter().map(|(_, _, octets)| octets).collect();
            let expected: Vec<Vec<u8>> = (0_u8..).zip(&lengths).map(|(number, &length)| vec![number; length]).collect();
            assert_eq!(datagrams, expected);
            let counts = datapath.counts();
            let messages = if datapath.engine_name() == "io-uring" { 1 } else { counts.datagrams_in };
            assert_eq!((counts.datagrams_in, counts.messages_in), (lengths.len() as u64, messages));
        });
    }
}

#[test]
fn buffers_of_gathered_datagrams_are_used_again() {
    check(Limits { receive_buffers: 2, ..SMALL }, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        for _ in 0..20 {
            send_together(datapath.local_addr(socket).unwrap(), &[100; 30]);
            assert_eq!(receive(&mut datapath, 30).len(), 30);
        }
    });
}

#[test]
fn a_long_datagram_is_cut_and_said_to_be() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let (peer, _) = super::peer();
        peer.send_to(&[7; RECEIVE_MAX + 1], datapath.local_addr(socket).unwrap()).unwrap();
        run(&mut datapath, |completion| {
            let Completion::Datagram { bytes, truncated, .. } = completion else { panic!("{completion:?}") };
            assert!(truncated && bytes == [7; RECEIVE_MAX]);
            true
        });
        assert_eq!(datapath.counts().truncated, 1);
    });
}

#[test]
fn what_is_left_of_a_message_goes_with_its_socket() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
        send_together(datapath.local_addr(socket).unwrap(), &[20; 10]);
        loop {
            datapath.submit_and_wait(Some(Duration::from_millis(100))).unwrap();
            if let Some(completion) = datapath.next() {
                assert!(matches!(completion, Completion::Datagram { .. }), "{completion:?}");
                break;
            }
        }
        datapath.close(socket);
        assert_eq!(datapath.next(), None);
    });
}
