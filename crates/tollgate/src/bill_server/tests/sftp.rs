//! Deliveries to OpenSSH: logins, host keys, algorithms, names that are taken, disks that are full.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use model::settings::HostKeyPolicy;
use tokio::io::AsyncWriteExt;

use super::servers::free_port;
use super::servers::open_ssh::{OpenSsh, PASSWORD, Plan, USER, generate};
use super::{Delivered, DeliveryError, KeyFault, MANIFEST_NAME, NAME, check_arrivals, files, octets, whole};

#[tokio::test]
async fn what_arrives_is_what_was_sent() {
    let server = OpenSsh::start(Plan::default());
    check_arrivals(&server.way(), &server.inbox(), &[0, 1, 32 * 1024, 32 * 1024 + 1, 6_000_000]).await;
}

#[tokio::test]
async fn another_file_of_that_name_is_never_touched() {
    let server = OpenSsh::start(Plan::default());
    let (way, file) = (server.way(), octets(50_000));
    let mut longer = file.clone();
    longer.push(0);
    let mut other = file.clone();
    other[49_999] ^= 1;
    for taken in [&b""[..], &file[..49_999], &longer, &other] {
        std::fs::write(server.inbox().join(NAME), taken).unwrap();
        assert_eq!(way.deliver(&file).await, Err(DeliveryError::NameTaken));
        let found = files(&server.inbox());
        assert!(found.len() == 1 && found[NAME] == taken, "{:?}", found.keys());
    }
    // Our own leavings are no other file: half a temporary one, a longer one, and a delivery that ended before the manifest.
    for part in [&file[..7], &longer] {
        std::fs::remove_file(server.inbox().join(NAME)).unwrap();
        let path = server.inbox().join(format!(".{NAME}.part"));
        std::fs::write(&path, part).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified));
        assert!(files(&server.inbox()) == whole(&file));
    }
    std::fs::remove_file(server.inbox().join(MANIFEST_NAME)).unwrap();
    assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified));
    assert!(files(&server.inbox()) == whole(&file));
}

#[tokio::test]
async fn keys_log_in_and_passwords_only_where_they_are_right() {
    let server = OpenSsh::start(Plan::default());
    let file = octets(100);
    for (user, password) in [(USER, "wrong"), (USER, ""), ("nobody-here", PASSWORD)] {
        let mut way = server.way();
        way.log_in(user, password, server.port);
        assert_eq!(way.deliver(&file).await, Err(DeliveryError::LoginRefused), "{user} {password}");
    }
    generate(&server.path("stranger"), "ed25519", "");
    generate(&server.path("rsa"), "rsa", "");
    generate(&server.path("locked"), "ed25519", "passphrase");
    let key_file = |fault| Err(DeliveryError::KeyFile(fault));
    for (name, outcome) in [
        ("ed25519", Ok(Delivered::Verified)),
        ("ecdsa", Ok(Delivered::Verified)),
        ("stranger", Err(DeliveryError::LoginRefused)),
        ("rsa", key_file(KeyFault::Unsupported)),
        ("locked", key_file(KeyFault::Encrypted)),
        ("ed25519.pub", key_file(KeyFault::NotAKey)),
        ("missing", key_file(KeyFault::Unreadable(ErrorKind::NotFound))),
    ] {
        let mut way = server.way();
        // The key is what is used, and not the password beside it.
        let password = if outcome.is_ok() { "wrong" } else { PASSWORD };
        way.log_in(USER, password, server.port);
        way.settings.key_file = Some(server.path(name).to_str().unwrap().to_owned());
        assert_eq!(way.deliver(&file).await, outcome, "{name}");
        let expected = if outcome.is_ok() { whole(&file) } else { std::collections::BTreeMap::new() };
        assert!(files(&server.inbox()) == expected, "{name}");
        for name in files(&server.inbox()).keys() {
            std::fs::remove_file(server.inbox().join(name)).unwrap();
        }
    }
    let mut way = server.way();
    way.server.login = None;
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::NoLogin));
}

#[tokio::test]
async fn a_server_that_hangs_up_on_a_wrong_password_has_refused_it() {
    let server = OpenSsh::start(Plan { more: "MaxAuthTries 1", ..Plan::default() });
    let mut way = server.way();
    way.log_in(USER, "wrong", server.port);
    assert_eq!(way.deliver(b"").await, Err(DeliveryError::LoginRefused));
}

#[tokio::test]
async fn a_host_key_is_judged_before_anything_secret_is_sent() {
    let file = octets(100);
    let server = OpenSsh::start(Plan::default());
    let found = server.fingerprint().parse().unwrap();
    let mut way = server.way();
    way.settings.host_key = HostKeyPolicy::Refuse;
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::HostKeyUnknown { found }));
    let expected = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    way.settings.host_key = HostKeyPolicy::Pinned(expected.to_owned());
    let changed = DeliveryError::HostKeyChanged { expected: expected.parse().unwrap(), found };
    assert_eq!(way.deliver(&file).await, Err(changed));
    assert!(server.log().contains("Connection from") && !server.log().contains("userauth-request"), "{}", server.log());
    assert!(!way.known_hosts.exists());

    way.settings.host_key = HostKeyPolicy::AcceptFirst;
    way.log_in(USER, "wrong", server.port);
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::LoginRefused));
    assert!(server.log().contains("userauth-request"));
    way.log_in(USER, PASSWORD, server.port);
    assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified));
    let known = std::fs::read_to_string(&way.known_hosts).unwrap();
    assert_eq!(known, format!("127.0.0.1:{} {}\n", server.port, server.fingerprint()));

    // Another server takes its place.
    let (port, directory) = (server.port, server.directory);
    drop(server.server);
    let other = OpenSsh::start_at(Plan::default(), port);
    let found_now = other.fingerprint().parse().unwrap();
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::HostKeyChanged { expected: found, found: found_now }));
    assert!(!other.log().contains("userauth-request"), "{}", other.log());
    assert_eq!(std::fs::read_to_string(&way.known_hosts).unwrap(), known);
    drop(directory);
}

#[tokio::test]
async fn only_modern_algorithms_are_spoken() {
    for (host_key, more, is_taken) in [
        ("ecdsa", "", true),
        ("rsa", "", false),
        ("ed25519", "KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1", false),
        ("ed25519", "Ciphers aes128-cbc,aes256-cbc,3des-cbc", false),
        ("ed25519", "Ciphers aes128-ctr\nMACs hmac-sha1,hmac-md5,hmac-sha1-etm@openssh.com", false),
        ("ed25519", "Ciphers aes256-ctr\nMACs hmac-sha2-256\nKexAlgorithms ecdh-sha2-nistp256", true),
        ("ed25519", "Ciphers aes128-gcm@openssh.com\nKexAlgorithms diffie-hellman-group-exchange-sha256", true),
    ] {
        let server = OpenSsh::start(Plan { host_key, more, ..Plan::default() });
        let outcome = if is_taken { Ok(Delivered::Verified) } else { Err(DeliveryError::NoCommonAlgorithm) };
        assert_eq!(server.way().deliver(&octets(40_000)).await, outcome, "{host_key} {more}");
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_heals() {
    let server = OpenSsh::start(Plan { disk: "256k", ..Plan::default() });
    let (way, file) = (server.way(), octets(150_000));
    let blocker = server.inbox().join("blocker");
    // No room for the file; for its first block only; for the file, and not for the manifest.
    for blocked in [256, 216, 108] {
        std::fs::write(&blocker, octets(blocked * 1024)).unwrap();
        assert_eq!(way.deliver(&file).await, Err(DeliveryError::NoSpace), "{blocked}");
        let found = files(&server.inbox());
        let is_file_whole = found.get(NAME) == Some(&file);
        assert!(found.len() == 1 + usize::from(is_file_whole), "{blocked}: {:?}", found.keys());
        assert_eq!(is_file_whole, blocked == 108);
        std::fs::remove_file(&blocker).unwrap();
    }
    assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified));
    assert!(files(&server.inbox()) == whole(&file));
}

#[tokio::test]
async fn servers_that_do_not_serve() {
    let file = octets(1000);
    let server = OpenSsh::start(Plan::default());
    std::fs::set_permissions(server.inbox(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut way = server.way();
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::Denied));
    way.log_in(USER, PASSWORD, free_port());
    let refused = DeliveryError::Unreachable(ErrorKind::ConnectionRefused);
    assert_eq!(way.deliver(&file).await, Err(refused));

    let server = OpenSsh::start(Plan { sftp: false, ..Plan::default() });
    assert_eq!(server.way().deliver(&file).await, Err(DeliveryError::NoSftp));

    // One accepts and is silent, one is no SSH server.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    way.log_in(USER, PASSWORD, silent.local_addr().unwrap().port());
    way.be_impatient(Duration::from_millis(200), Duration::from_secs(20));
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::TimedOut));
    way.be_impatient(Duration::from_secs(20), Duration::from_millis(200));
    assert_eq!(way.deliver(&file).await, Err(DeliveryError::TimedOut));
    let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut way = server.way();
    way.log_in(USER, PASSWORD, web.local_addr().unwrap().port());
    let answering = tokio::spawn(async move {
        let (mut stream, _) = web.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let outcome = way.deliver(&file).await;
    assert!(matches!(outcome, Err(DeliveryError::Protocol | DeliveryError::Cut)), "{outcome:?}");
    answering.await.unwrap();
}
