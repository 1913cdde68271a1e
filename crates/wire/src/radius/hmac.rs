//! HMAC-MD5 (RFC 2104).

use lanes::md5;

/// Slices that a message may consist of.
pub(super) const PARTS: usize = 5;

/// The keyed digest of the parts, one after the other.
pub(super) fn digest(key: &[u8], parts: [&[u8]; PARTS]) -> [u8; 16] {
    let mut block = [0; 64];
    match block.get_mut(..key.len()) {
        Some(place) => place.copy_from_slice(key),
        None => block[..16].copy_from_slice(&md5::digest(&[key])),
    }
    let [first, second, third, fourth, fifth] = parts;
    let inner = md5::digest(&[&block.map(|octet| octet ^ 0x36), first, second, third, fourth, fifth]);
    md5::digest(&[&block.map(|octet| octet ^ 0x5c), &inner])
}

#[cfg(test)]
mod tests {
    use ::hmac::{Hmac, KeyInit, Mac};
    use ::md5::Md5;
    use proptest::prelude::*;

    use super::digest;

    /// RFC 2202 section 2: key, data, digest.
    #[test]
    fn vectors_of_the_rfc() {
        let table: &[(&[u8], &[u8], u128)] = &[
            (&[0x0b; 16], b"Hi There", 0x9294_727a_3638_bb1c_13f4_8ef8_158b_fc9d),
            (b"Jefe", b"what do ya want for nothing?", 0x750c_783e_6ab0_b503_eaa8_6e31_0a5d_b738),
            (
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                0x6b1a_b7fe_4bd7_bf8f_0b62_e6ce_61b9_d0cd,
            ),
        ];
        for (key, data, expected) in table {
            let (first, second) = data.split_at(3);
            assert_eq!(u128::from_be_bytes(digest(key, [first, &[], second, &[], &[]])), *expected);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_another_implementation(key in prop::collection::vec(any::<u8>(), 0..100), data in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut other = Hmac::<Md5>::new_from_slice(&key).unwrap();
            other.update(&data);
            let (first, second) = data.split_at(data.len() / 2);
            prop_assert_eq!(digest(&key, [first, second, &[], &[], &[]]), <[u8; 16]>::from(other.finalize().into_bytes()));
        }
    }
}
