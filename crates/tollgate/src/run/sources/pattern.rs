//! Patterns of names, as a shell has them: `*` is any text, `?` one character, `[ab0-9]` one of these and `[!ab]` one of the others.

/// Whether a name matches. A bracket that is not closed stands for itself.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches_from(&pattern, &name)
}

fn matches_from(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        (['*', rest @ ..], _) => (0..=name.len()).any(|skipped| matches_from(rest, &name[skipped..])),
        (_, []) => false,
        (['?', rest @ ..], [_, behind @ ..]) => matches_from(rest, behind),
        (['[', rest @ ..], [character, behind @ ..]) => match one_of(rest, *character) {
            Some((is_one, rest)) => is_one && matches_from(rest, behind),
            None => *character == '[' && matches_from(rest, behind),
        },
        ([wanted, rest @ ..], [character, behind @ ..]) => wanted == character && matches_from(rest, behind),
    }
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
        ] {
            good.iter().for_each(|name| assert!(matches(pattern, name), "{pattern} {name}"));
            bad.iter().for_each(|name| assert!(!matches(pattern, name), "{pattern} {name}"));
        }
    }
}
