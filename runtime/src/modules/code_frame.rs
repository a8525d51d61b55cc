//! The source lines around an error, with a caret.

/// Lines shown before and after the one with the error.
const LINES_AROUND: usize = 2;
/// Characters shown of a line; a bundle may have a line of a megabyte.
const COLUMNS_MAX: usize = 100;
const TAB: &str = "    ";

/// Shows `line` of `source` with its neighbors and a caret under `column`.
///
/// `line` and `column` count from 1; `column` and `len` are in UTF-16 units, as V8 counts. Tabs become four spaces,
/// other control characters a replacement character, and a wide line is cut to the part around the caret. A position
/// outside of the source results in an empty string.
///
/// ```ignore
/// assert_eq!(code_frame("const a = ;", 1, 11, 1), "1 | const a = ;\n  |           ^\n");
/// ```
#[must_use]
pub fn code_frame(source: &str, line: u32, column: u32, len: u32) -> String {
    let Some(index) = (line as usize).checked_sub(1) else {
        return String::new();
    };
    let first = index.saturating_sub(LINES_AROUND);
    let shown: Vec<&str> = source
        .split('\n')
        .skip(first)
        .take(index - first + 1 + LINES_AROUND)
        .collect();
    let Some(text) = shown.get(index - first) else {
        return String::new();
    };

    let start = char_index(text, column.saturating_sub(1));
    let end = char_index(text, column.saturating_sub(1).saturating_add(len.max(1)));
    // The caret is a third of the way in, to show context on both sides.
    let cut = start.saturating_sub(COLUMNS_MAX / 3);
    let cut = if width(text) <= COLUMNS_MAX {
        0
    } else {
        cut.min(width(text).saturating_sub(COLUMNS_MAX))
    };

    let margin = (first + shown.len()).to_string().len();
    let mut frame = String::new();
    for (offset, neighbour) in shown.iter().enumerate() {
        let number = first + offset + 1;
        let (code, caret) = window(neighbour, cut, start, end);
        frame.push_str(format!("{number:>margin$} | {code}").trim_end());
        frame.push('\n');
        if first + offset == index {
            let (indent, carets) = caret;
            frame.push_str(&format!(
                "{:margin$} | {}{}\n",
                "",
                " ".repeat(indent),
                "^".repeat(carets)
            ));
        }
    }
    frame
}

/// The visible part of a line from character `cut`, and the caret's indentation and length in it.
fn window(line: &str, cut: usize, start: usize, end: usize) -> (String, (usize, usize)) {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut code = String::new();
    let mut columns = 0;
    let (mut caret_from, mut caret_to) = (None, None);
    if cut > 0 && width(line) > 0 {
        code.push('…');
        columns += 1;
    }
    for (index, char) in line.chars().enumerate().skip(cut) {
        if index - cut >= COLUMNS_MAX {
            code.push('…');
            break;
        }
        if index == start {
            caret_from = Some(columns);
        }
        if index == end {
            caret_to = Some(columns);
        }
        match char {
            '\t' => {
                code.push_str(TAB);
                columns += TAB.len();
            }
            // Escape sequences in a source must not reach the terminal.
            char if char.is_control() => {
                code.push(char::REPLACEMENT_CHARACTER);
                columns += 1;
            }
            char => {
                code.push(char);
                columns += 1;
            }
        }
    }
    let from = caret_from.unwrap_or(columns);
    let to = caret_to.unwrap_or(columns);
    (code, (from, to.saturating_sub(from).max(1)))
}

fn width(line: &str) -> usize {
    line.chars().count()
}

/// The index of the character at a UTF-16 offset; the line's length if the offset is beyond its end.
fn char_index(line: &str, utf16: u32) -> usize {
    let mut units = 0;
    line.chars()
        .take_while(|char| {
            units += char.len_utf16();
            units <= utf16 as usize
        })
        .count()
}

/// Line and column (UTF-16), both from 1, of a byte offset.
#[cfg(feature = "typescript")]
pub(super) fn position(source: &str, offset: usize) -> (u32, u32) {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &source[..offset];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().encode_utf16().count() + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}
