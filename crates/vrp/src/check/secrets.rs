//! Secrets that are too short to withstand somebody who has one signed packet and tries them out.

use model::settings::{Secret, Settings};

/// RFC 2865 section 3: a secret has at least so many octets.
const OCTETS_MIN: usize = 16;

/// A sentence for each secret of `settings` that has fewer than 16 octets: whose it is, and never what it is. What is spoken over
/// TLS has a secret that everybody knows, and is left out; so is what the packet plane alone asks.
pub fn short_secrets(settings: &Settings) -> Vec<String> {
    let mut short = Vec::new();
    let mut judge = |secret: Option<&Secret>, whose: &dyn Fn() -> String| {
        let octets = secret.map(|secret| secret.octets().len());
        if let Some(octets @ ..OCTETS_MIN) = octets {
            short.push(format!(
                "the shared key of {} has {octets} octets, and who hears a packet may find it out by trial; take {OCTETS_MIN} \
                 or more",
                whose()
            ));
        }
    };
    for (name, group) in &settings.radius_groups {
        judge(group.shared_key.as_ref(), &|| format!("RADIUS server group {name}"));
        for server in group.accounting.iter().filter(|server| server.tls.is_none()) {
            let path = group.path_of(server).server();
            judge(server.shared_key.as_ref(), &|| format!("accounting server {path} of RADIUS server group {name}"));
        }
    }
    for (name, template) in &settings.hwtacacs.templates {
        judge(template.shared_key.as_ref(), &|| format!("HWTACACS server template {name}"));
        for server in template.servers() {
            let path = template.path_of(server).server();
            judge(server.shared_key.as_ref(), &|| {
                format!("accounting server {path} of HWTACACS server template {name}")
            });
        }
    }
    for (path, server) in &settings.radius_authorization.servers {
        judge(server.shared_key.as_ref(), &|| format!("authorization server {path}"));
    }
    for (ip, client) in &settings.relay.clients {
        judge(Some(&client.shared_key), &|| format!("relay client {ip}"));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::secret::{SealError, Sealer};

    /// Takes whatever is typed for the secret itself.
    struct Clear;

    impl Sealer for Clear {
        fn open(&self, _: &str) -> Result<Vec<u8>, SealError> {
            Err(SealError)
        }

        fn seal(&self, secret: &[u8]) -> String {
            format!("%^%#{}%^%#", String::from_utf8_lossy(secret))
        }
    }

    fn short_in(text: &str) -> Vec<String> {
        short_secrets(&config::read(&format!("{text}#\nreturn\n"), &Clear).unwrap())
    }

    #[test]
    fn a_secret_of_fifteen_octets_is_told_of_and_one_of_sixteen_is_not() {
        let group = |secret: &str| format!("radius-server group g\n radius-server shared-key {secret}\n");
        assert_eq!(short_in(&group("sixteen-octets-x")), [""; 0]);
        let told = short_in(&group("fifteen-octets-"));
        let whole = "the shared key of RADIUS server group g has 15 octets, and who hears a packet may find it out by trial; \
                     take 16 or more";
        assert_eq!(told, [whole]);
    }

    #[test]
    fn every_secret_that_signs_is_looked_at_and_none_is_said() {
        let told = short_in(
            "relay client 192.0.2.9 shared-key nas-9\n#\n\
             radius-server authorization 192.0.2.8 shared-key coa-8\n#\n\
             radius-server group g\n radius-server accounting 192.0.2.1 1813 shared-key own-1\n \
             radius-server accounting 192.0.2.2 2083 tls ca /ca.pem\n#\n\
             hwtacacs-server template t\n hwtacacs-server accounting 192.0.2.3 shared-key cipher own-3\n \
             hwtacacs-server shared-key cipher all-t\n",
        );
        let whose = [
            "accounting server 192.0.2.1:1813 of RADIUS server group g",
            "HWTACACS server template t",
            "accounting server 192.0.2.3:49 of HWTACACS server template t",
            "authorization server 192.0.2.8",
            "relay client 192.0.2.9",
        ];
        assert_eq!(told.len(), whose.len(), "{told:#?}");
        for (told, whose) in told.iter().zip(whose) {
            assert!(told.starts_with(&format!("the shared key of {whose} has 5 octets")), "{told}");
            for secret in ["nas-9", "coa-8", "own-1", "own-3", "all-t"] {
                assert!(!told.contains(secret), "{told}");
            }
        }
    }
}
