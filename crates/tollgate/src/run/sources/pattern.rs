//! Patterns of names, as a shell has them: `*` is any text, `?` one character, `[ab0-9]` one of these and `[!ab]` one of the others.

/// Whether a name matches. A bracket that is not closed stands for itself.
///
/// Where something does not match, the last `*` takes one character more, and no earlier one has to: what stands between two of
/// them is found best where it is found first. So the time grows with the product of both lengths, whatever the pattern.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut rest, mut at) = (&pattern[..], 0);
    // What stands behind the last `*`, and where in the name that begins.
    let mut behind: Option<(&[char], usize)> = None;
    loop {
        if let ['*', after @ ..] = rest {
            rest = after;
            behind = Some((rest, at));
        } else if at == name.len() {
            return rest.is_empty();
        } else if let Some(after) = one(rest, name[at]) {
            (rest, at) = (after, at + 1);
        } else if let Some((after, from)) = behind {
            (rest, at) = (after, from + 1);
            behind = Some((after, at));
        } else {
            return false;
        }
    }
}

/// What stands behind the first of the pattern, if that stands for this character.
fn one(pattern: &[char], character: char) -> Option<&[char]> {
    let (is_one, rest) = match pattern {
        [] => return None,
        ['?', rest @ ..] => (true, rest),
        ['[', rest @ ..] => one_of(rest, character).unwrap_or((character == '[', rest)),
        [wanted, rest @ ..] => (*wanted == character, rest),
    };
    is_one.then_some(rest)
}

/// Behind `[`: whether the character is one of the set, and what stands behind `]`.
fn one_of(set: &[char], character: char) -> Option<(bool, &[char])> {
    let (is_negated, set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    // A bracket that comes first is one of the characters.
    let end = 1 + set.iter().skip(1).position(|other| *other == ']')?;
    let (mut inside, mut is_one) = (&set[..end], false);
    while let Some((first, rest)) = inside.split_first() {
        inside = match rest {
            ['-', last, behind @ ..] => {
                is_one |= (*first..=*last).contains(&character);
                behind
            }
            _ => {
                is_one |= *first == character;
                rest
            }
        };
    }
    Some((is_one != is_negated, &set[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, good, bad) in [
            ("ppp*", &["ppp", "ppp0", "ppp17"][..], &["xppp0", "pp"][..]),
            ("ppp?", &["ppp0"], &["ppp", "ppp10"]),
            ("*.[0-9]*", &["eth0.1", "a.b.9x"], &["eth0", "eth0.x"]),
            ("eth[!0]", &["eth1", "ethx"], &["eth0", "eth", "eth11"]),
            ("a[]b]", &["a]", "ab"], &["ac", "a"]),
            ("a[b", &["a[b"], &["ab"]),
            ("[a-]x", &["ax", "-x"], &["bx"]),
            ("*", &["", "lo"], &[]),
            ("", &[], &["a"]),
            ("**p*0", &["p0", "ppp0", "xp00"], &["0", "ppp1"]),
            ("*ab*ab", &["abab", "aabab", "ababab"], &["ab", "aba", "abba"]),
            ("*[a-c]?", &["bx", "abc"], &["b", "xx"]),
        ] {
            good.iter().for_each(|name| assert!(matches(pattern, name), "{pattern} {name}"));
            bad.iter().for_each(|name| assert!(!matches(pattern, name), "{pattern} {name}"));
        }
    }
    #[test]
    fn many_stars_take_no_longer_than_their_number() {
        let (pattern, name) = (format!("{}b", "a*".repeat(1000)), "a".repeat(2000));
        assert!(!matches(&pattern, &name));
        assert!(matches(&pattern, &format!("{name}b")));
    }
}
