//! Who authenticated users: a handful of addresses, numbered, so that a session remembers its own in one octet.
//!
//! An address is kept as long as the shard lives. More than 255 of them are not remembered, and their users have no preference.

use std::net::IpAddr;

/// Which of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authenticator(u8);

impl Authenticator {
    /// Nobody knows who it was.
    pub(crate) const UNKNOWN: Authenticator = Authenticator(u8::MAX);
}

/// All of them.
#[derive(Default)]
pub(crate) struct Authenticators(Vec<IpAddr>);

impl Authenticators {
    /// The number of this address, from now on if it is new.
    pub(crate) fn number(&mut self, address: IpAddr) -> Authenticator {
        let known = self.0.iter().position(|other| *other == address);
        let place = known.unwrap_or(self.0.len());
        match u8::try_from(place).map(Authenticator) {
            Ok(number) if number != Authenticator::UNKNOWN => {
                if known.is_none() {
                    self.0.push(address);
                }
                number
            }
            _ => Authenticator::UNKNOWN,
        }
    }

    /// The address of this number.
    pub(crate) fn address(&self, number: Authenticator) -> Option<IpAddr> {
        self.0.get(usize::from(number.0)).copied()
    }

    /// Whether no session can have a preference.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_number_and_there_are_255() {
        let mut all = Authenticators::default();
        let address = |number: u16| IpAddr::from([10, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]]);
        assert_eq!((all.is_empty(), all.address(Authenticator::UNKNOWN)), (true, None));
        for _ in 0..2 {
            for number in 0..300 {
                let known = all.number(address(number));
                assert_eq!(all.address(known), (number < 255).then(|| address(number)), "{number}");
            }
        }
        assert_eq!(all.address(Authenticator::UNKNOWN), None);
    }
}
