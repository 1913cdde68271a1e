//! How the text vectors are read, whatever they are about.

pub(crate) fn pairs<'a>(file: &'a str, between: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    meaningful_lines(file).map(move |line| line.split_once(between).unwrap_or_else(|| panic!("{line:?}")))
}

pub(crate) fn meaningful_lines(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x} ")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        text.split_whitespace().flat_map(str::chars).map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}
