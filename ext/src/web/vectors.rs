//! Test vectors, as standards print them.

/// The bytes of hexadecimal digits, between which there may be spaces and line breaks.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
