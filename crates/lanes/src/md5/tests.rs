use std::array::from_fn;

use md5::{Digest, Md5};
use proptest::prelude::*;

use super::{Job, PARTS, Path, digest, digest_all_on};

/// RFC 1321 appendix A.5.
const SUITE: [(&str, &str); 7] = [
    ("", "d41d8cd98f00b204e9800998ecf8427e"),
    ("a", "0cc175b9c0f1b6a831c399e269772661"),
    ("abc", "900150983cd24fb0d6963f7d28e17f72"),
    ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
    ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
    ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
    (
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
        "57edf4a22be3c955ac49da2e2107b67a",
    ),
];

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn reference(message: &[u8]) -> [u8; 16] {
    Md5::digest(message).into()
}

/// `message` in `PARTS` slices that end where `cuts` say.
fn cut(message: &[u8], mut cuts: [usize; PARTS - 1]) -> [&[u8]; PARTS] {
    for place in &mut cuts {
        *place %= message.len() + 1;
    }
    cuts.sort_unstable();
    from_fn(|part| {
        let start = if part == 0 { 0 } else { cuts[part - 1] };
        &message[start..cuts.get(part).copied().unwrap_or(message.len())]
    })
}

/// The paths that can run here. A machine without AVX2 and AVX-512 tests two of the four.
fn paths() -> impl Iterator<Item = Path> {
    Path::ALL.into_iter().filter(|path| path.is_available())
}

#[test]
fn suite_of_the_rfc_one_by_one() {
    for (message, expected) in SUITE {
        assert_eq!(hex(&digest(&[message.as_bytes()])), expected, "{message:?}");
    }
}

#[test]
fn suite_of_the_rfc_in_every_lane_of_every_path() {
    for path in paths() {
        for count in 1..=70 {
            let mut jobs: Vec<Job<'_>> =
                SUITE.iter().cycle().take(count).map(|(message, _)| Job::of_two(message.as_bytes(), &[])).collect();
            digest_all_on(path, &mut jobs);
            for (index, (job, (message, expected))) in jobs.iter().zip(SUITE.iter().cycle()).enumerate() {
                assert_eq!(&hex(&job.digest), expected, "{path:?}, job {index} of {count}, {message:?}");
            }
        }
    }
}

#[test]
fn every_length_around_a_block_border() {
    let octets: Vec<u8> = (0..=255).cycle().take(200).collect();
    for path in paths() {
        let mut jobs: Vec<Job<'_>> = (0..=200)
            .map(|length| Job { parts: cut(&octets[..length], [length / 3, length / 2, 64]), ..Job::default() })
            .collect();
        digest_all_on(path, &mut jobs);
        for (length, job) in jobs.iter().enumerate() {
            assert_eq!(job.digest, reference(&octets[..length]), "{path:?}, {length} octets");
        }
    }
}

#[test]
fn no_jobs_are_fine() {
    for path in Path::ALL {
        digest_all_on(path, &mut []);
    }
}

#[test]
fn an_unavailable_path_falls_back() {
    // Where the processor has a path, this is that path itself; either way the digest must be right.
    for path in Path::ALL {
        let mut jobs = [Job::of_two(b"ab", b"c"); 9];
        digest_all_on(path, &mut jobs);
        assert!(jobs.iter().all(|job| hex(&job.digest) == SUITE[2].1), "{path:?}");
    }
}

proptest! {
    #[test]
    fn one_message_in_any_slices(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..6)) {
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(digest(&slices), reference(&parts.concat()));
    }

    #[test]
    fn many_messages_on_every_path(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..400), any::<[usize; PARTS - 1]>()), 0..150)
    ) {
        for path in paths() {
            let mut jobs: Vec<Job<'_>> =
                messages.iter().map(|(message, cuts)| Job { parts: cut(message, *cuts), ..Job::default() }).collect();
            digest_all_on(path, &mut jobs);
            for (job, (message, _)) in jobs.iter().zip(&messages) {
                prop_assert_eq!(job.digest, reference(message), "{:?}", path);
            }
        }
    }
}
