//! Mutates texts with a few edits each: nearly valid input reaches furthest.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Characters with a special meaning in some format.
const CHARS: &[char] = &[
    '\0',
    '\t',
    '\n',
    '\r',
    ' ',
    '!',
    '"',
    '#',
    '$',
    '%',
    '&',
    '\'',
    '(',
    ')',
    '*',
    '+',
    ',',
    '-',
    '.',
    '/',
    '0',
    '9',
    ':',
    ';',
    '<',
    '=',
    '>',
    '?',
    '@',
    'A',
    '[',
    '\\',
    ']',
    '^',
    '_',
    '`',
    'a',
    '{',
    '|',
    '}',
    '~',
    '\u{7f}',
    '\u{80}',
    'ä',
    '\u{200b}',
    '\u{2028}',
    '\u{3002}',
    '\u{feff}',
    '\u{ff11}',
    '\u{1F600}',
];
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "00",
    "1e999",
    "0x10",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "0.1",
    "1_000",
    "٣",
];

#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, String),
    Delete(Index, usize),
    /// Copies a part to another position.
    Copy(Index, usize, Index),
    /// Repeats a part, for depth and length.
    Repeat(Index, usize, usize),
    /// Replaces digits by another number.
    Number(Index, String),
    SwapLines(Index, Index),
    /// Inserts a line of another text.
    Splice(Index, Index, Index),
}

/// Texts a few edits away from `seeds`. `words` are those of the target's grammar.
pub(crate) fn mutated(seeds: Vec<String>, words: &'static [&'static str]) -> impl Strategy<Value = String> {
    assert!(!seeds.is_empty(), "a corpus without a text");
    (any::<Index>(), vec(edit(words), 0..10)).prop_map(move |(seed, edits)| {
        let start = seed.get(&seeds).clone();
        edits.iter().fold(start, |text, edit| apply(text, edit, &seeds))
    })
}

fn edit(words: &'static [&'static str]) -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let text = |texts: &'static [&'static str]| select(texts).prop_map(str::to_owned);
    prop_oneof![
        4 => (at(), text(words)).prop_map(|(at, word)| Edit::Insert(at, word)),
        4 => (at(), select(CHARS)).prop_map(|(at, char)| Edit::Insert(at, char.to_string())),
        1 => (at(), any::<char>()).prop_map(|(at, char)| Edit::Insert(at, char.to_string())),
        3 => (at(), 1..12_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        2 => (at(), 1..40_usize, at()).prop_map(|(from, length, to)| Edit::Copy(from, length, to)),
        1 => (at(), 1..6_usize, prop_oneof![2..40_usize, 1000..5000_usize])
            .prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        2 => (at(), text(NUMBERS)).prop_map(|(at, number)| Edit::Number(at, number)),
        1 => (at(), at()).prop_map(|(one, other)| Edit::SwapLines(one, other)),
        2 => (at(), at(), at()).prop_map(|(at, seed, line)| Edit::Splice(at, seed, line)),
    ]
}

fn apply(text: String, edit: &Edit, seeds: &[String]) -> String {
    let chars: Vec<char> = text.chars().collect();
    let place = |index: &Index| index.index(chars.len() + 1);
    let part = |at: usize, length: usize| &chars[at..(at + length).min(chars.len())];
    let join = |head: &[char], middle: &[char], tail: &[char]| [head, middle, tail].into_iter().flatten().collect();
    match edit {
        Edit::Insert(at, word) => {
            let (head, tail) = chars.split_at(place(at));
            join(head, &word.chars().collect::<Vec<_>>(), tail)
        }
        Edit::Delete(at, length) => {
            let (head, tail) = chars.split_at(place(at));
            join(head, &[], tail.get(*length..).unwrap_or_default())
        }
        Edit::Copy(from, length, to) => {
            let (head, tail) = chars.split_at(place(to));
            join(head, part(place(from), *length), tail)
        }
        Edit::Repeat(at, length, times) => {
            let (head, tail) = chars.split_at(place(at));
            join(head, &part(place(at), *length).repeat(*times), tail)
        }
        Edit::Number(at, number) => {
            let digit = |at: &usize| chars[*at].is_ascii_digit();
            let found = (place(at)..chars.len()).find(digit);
            let Some(start) = found else { return text };
            let end = (start..chars.len()).find(|at| !digit(at)).unwrap_or(chars.len());
            join(&chars[..start], &number.chars().collect::<Vec<_>>(), &chars[end..])
        }
        Edit::SwapLines(one, other) => {
            let mut lines: Vec<_> = text.split('\n').collect();
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
            lines.join("\n")
        }
        Edit::Splice(at, seed, line) => {
            let mut lines: Vec<_> = text.split('\n').collect();
            let other: Vec<_> = seed.get(seeds).split('\n').collect();
            lines.insert(at.index(lines.len() + 1), other[line.index(other.len())]);
            lines.join("\n")
        }
    }
}
