//! radsecproxy: it takes RADIUS over TLS, and hands it on to a server by UDP.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Process, SECRET, Signal, seconds, wait_until};

/// A running proxy.
pub(crate) struct RadsecProxy {
    process: Process,
}

impl RadsecProxy {
    /// Starts it with these files in a directory of its own, and waits until it listens at the first port; the second one is
    /// the server's. It takes nobody who has no certificate of that CA.
    pub(crate) fn start(directory: &Path, ports: [u16; 2], files: [&Path; 3]) -> RadsecProxy {
        assert!(
            Path::new("/usr/sbin/radsecproxy").exists(),
            "this test needs the Debian package radsecproxy: scripts/test installs it"
        );
        std::fs::create_dir_all(directory).unwrap();
        let [config, log, pid] = ["proxy.conf", "proxy.log", "proxy.pid"].map(|name| directory.join(name));
        std::fs::write(&config, configuration(ports, files)).unwrap();
        let output = std::fs::File::create(&log).unwrap();
        let process = Process::start(
            Command::new("/usr/sbin/radsecproxy")
                .args(["-f", "-d", "3", "-c"])
                .arg(config)
                .arg("-i")
                .arg(pid)
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output),
        );
        let mut proxy = RadsecProxy { process };
        wait_until("radsecproxy listens", seconds(30), || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = proxy.process.ended() {
                panic!("radsecproxy ended with {status}:\n{said}");
            }
            said.contains(&format!("listening for tls on 127.0.0.1:{}", ports[0]))
        });
        proxy
    }

    /// Ends it and waits until it is gone.
    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::TERM);
        self.process.wait(seconds(20));
    }
}

fn configuration([own, server]: [u16; 2], files: [&Path; 3]) -> String {
    let [ca, cert, key] = files.map(Path::display);
    format!(
        r#"ListenTLS 127.0.0.1:{own}
SourceUDP 127.0.0.1
tls default {{
    CACertificateFile {ca}
    CertificateFile {cert}
    CertificateKeyFile {key}
}}
client bng {{
    host 127.0.0.1
    type tls
    secret radsec
    certificateNameCheck off
}}
server accounting {{
    host 127.0.0.1
    port {server}
    type udp
    secret {SECRET}
}}
realm * {{
    accountingServer accounting
}}
"#
    )
}
