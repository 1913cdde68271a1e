//! Deliveries to tftpd-hpa: what arrives, what is there already, a disk that is full, a link that is bad.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ledger::tftp::ErrorCode;

use super::proxy::bad_link;
use super::servers::tftpd::Tftpd;
use super::{Delivered, DeliveryError, MANIFEST_NAME, NAME, check_arrivals, files, octets, whole};

/// A file that others may write, as the server needs it.
fn write(path: &std::path::Path, octets: &[u8]) {
    std::fs::write(path, octets).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
}

#[tokio::test]
async fn what_arrives_is_what_was_sent() {
    let server = Tftpd::start("", "022");
    check_arrivals(&server.way(), &server.inbox(), &[0, 1, 1_428, 1_428 * 3 - 1, 1_428 * 3, 1_000_000]).await;
}

#[tokio::test]
async fn another_file_of_that_name_is_never_touched() {
    let server = Tftpd::start("", "022");
    let (way, file) = (server.way(), octets(5_000));
    let mut longer = file.clone();
    longer.push(0);
    let mut other = file.clone();
    other[3] ^= 1;
    for taken in [&longer[..], &other, &other[..5]] {
        write(&server.inbox().join(NAME), taken);
        assert_eq!(way.deliver(&file).await, Err(DeliveryError::NameTaken));
        let found = files(&server.inbox());
        assert!(found.len() == 1 && found[NAME] == taken, "{:?}", found.keys());
    }
    // What begins as our file does is a try that was broken off.
    for begun in [0, 7, 1_428, 4_999] {
        let _ = std::fs::remove_file(server.inbox().join(MANIFEST_NAME));
        write(&server.inbox().join(NAME), &file[..begun]);
        assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified), "{begun}");
        assert!(files(&server.inbox()) == whole(&file), "{begun}");
    }
}

#[tokio::test]
async fn a_full_disk_shows_when_the_file_is_read_back() {
    let server = Tftpd::start("64k", "022");
    let (way, file) = (server.way(), octets(200_000));
    let outcome = way.deliver(&file).await;
    assert!(matches!(outcome, Err(DeliveryError::Incomplete | DeliveryError::NoSpace)), "{outcome:?}");
    let found = files(&server.inbox());
    assert!(!found.contains_key(MANIFEST_NAME), "a manifest says that the file is complete: {:?}", found.keys());
    assert!(found[NAME].len() < file.len());
    let fits = octets(20_000);
    std::fs::remove_file(server.inbox().join(NAME)).unwrap();
    assert_eq!(way.deliver(&fits).await, Ok(Delivered::Verified));
    assert!(files(&server.inbox()) == whole(&fits));
}

#[tokio::test]
async fn a_server_that_lets_nobody_read_leaves_it_unverified() {
    let server = Tftpd::start("", "0466");
    let (way, file) = (server.way(), octets(5_000));
    for _ in 0..2 {
        assert_eq!(way.deliver(&file).await, Ok(Delivered::Unverified));
        assert!(files(&server.inbox()) == whole(&file));
    }
}

/// RFC 1350 section 5: 2 is an access violation, 6 a file that exists.
#[tokio::test]
async fn a_file_that_may_be_neither_read_nor_written_over_may_be_an_earlier_try() {
    let server = Tftpd::start("", "022");
    let refusing = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut way = server.way();
    way.settings.tftp_port = refusing.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        let mut room = [0; 600];
        while let Ok((_, from)) = refusing.recv_from(&mut room).await {
            let code = if room[1] == 1 { 2 } else { 6 };
            refusing.send_to(&[0, 5, 0, code, 0], from).await.unwrap();
        }
    });
    assert_eq!(way.deliver(&octets(1_000)).await, Err(DeliveryError::NameTakenUnseen));
    answering.abort();
}

#[tokio::test]
async fn only_the_manifest_s_name_is_taken() {
    let server = Tftpd::start("", "022");
    write(&server.inbox().join(MANIFEST_NAME), b"somebody else's");
    let file = octets(1_000);
    assert_eq!(server.way().deliver(&file).await, Err(DeliveryError::ManifestTaken));
    assert_eq!(files(&server.inbox())[NAME], file);
}

#[tokio::test]
async fn servers_that_do_not_serve() {
    let server = Tftpd::start("", "022");
    let file = octets(1_000);
    std::fs::set_permissions(server.inbox(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut way = server.way();
    // This server has no code for it.
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::TftpFailure(ErrorCode::Undefined)));
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    way.settings.tftp_port = silent.local_addr().unwrap().port();
    way.be_impatient(Duration::from_secs(20), Duration::from_millis(200));
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::TimedOut));
}

#[tokio::test]
async fn a_bad_link_changes_nothing_but_the_time() {
    let server = Tftpd::start("", "022");
    let (port, relaying) = bad_link(server.address()).await;
    let mut way = server.way();
    way.settings.tftp_port = port;
    let file = octets(1_428 * 5 + 7);
    assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified));
    assert!(files(&server.inbox()) == whole(&file));
    relaying.abort();
}
