//! Octets that are nearly those of a seed: the same sequence of them in every run, so that what fails here fails again.

/// Octets of an input at most.
const LEN_MAX: usize = 4096;

/// Values that readers compare with.
const ODD: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'\n'];

/// A sequence of changed seeds.
pub struct Changes {
    seeds: Vec<Vec<u8>>,
    state: u64,
}

impl Changes {
    /// Of these seeds; without any, of nothing.
    pub fn new(mut seeds: Vec<Vec<u8>>) -> Changes {
        seeds.push(Vec::new());
        Changes { seeds, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A number below `range`, which is not 0.
    fn draw(&mut self, range: usize) -> usize {
        // splitmix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % range as u64).expect("it is below another")
    }

    /// A piece of any seed.
    fn piece(&mut self) -> Vec<u8> {
        let seed = self.draw(self.seeds.len());
        let from = self.draw(self.seeds[seed].len() + 1);
        let len = self.draw((self.seeds[seed].len() - from).min(64) + 1);
        self.seeds[seed][from..from + len].to_vec()
    }

    fn change(&mut self, octets: &mut Vec<u8>) {
        let at = self.draw(octets.len() + 1);
        let value = match self.draw(3) {
            0 => ODD[self.draw(ODD.len())],
            _ => self.draw(256).to_le_bytes()[0],
        };
        match (self.draw(7), octets.get_mut(at)) {
            (0, Some(octet)) => *octet = value,
            (1, Some(octet)) => *octet ^= 1 << (value % 8),
            (2, Some(octet)) => *octet = octet.wrapping_add(value % 4).wrapping_sub(2),
            (3, Some(_)) => {
                let len = self.draw((octets.len() - at).min(32) + 1);
                octets.drain(at..at + len);
            }
            (4, Some(_)) => octets.truncate(at),
            (5, _) => {
                let piece = self.piece();
                octets.splice(at..at, piece);
            }
            _ => octets.insert(at, value),
        }
    }
}

impl Iterator for Changes {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let seed = self.draw(self.seeds.len());
        let mut octets = self.seeds[seed].clone();
        for _ in 0..1 << self.draw(5) {
            self.change(&mut octets);
        }
        octets.truncate(LEN_MAX);
        Some(octets)
    }
}
