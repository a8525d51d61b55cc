use super::super::code_frame;

#[test]
fn a_frame_shows_the_line_its_neighbours_and_a_caret() {
    let source = "one\ntwo\nthree\nfour five\nsix\n";
    assert_eq!(
        code_frame(source, 4, 6, 4),
        "2 | two\n3 | three\n4 | four five\n  |      ^^^^\n5 | six\n6 |\n"
    );
    assert_eq!(
        code_frame("const a = ;", 1, 11, 1),
        "1 | const a = ;\n  |           ^\n"
    );
}

#[test]
fn columns_count_in_utf16_and_tabs_are_wide() {
    assert_eq!(code_frame("\t'😀' x", 1, 7, 1), "1 |     '😀' x\n  |         ^\n");
}

#[test]
fn line_numbers_line_up_and_carriage_returns_vanish() {
    let source = "a\r\n".repeat(10);
    assert_eq!(
        code_frame(&source, 9, 1, 9),
        " 7 | a\n 8 | a\n 9 | a\n   | ^\n10 | a\n11 |\n"
    );
}

#[test]
fn a_wide_line_is_cut_to_the_part_around_the_caret() {
    let source = format!("{}HERE{}", "a".repeat(50_000), "b".repeat(50_000));
    let frame = code_frame(&source, 1, 50_001, 4);
    let lines: Vec<_> = frame.lines().collect();
    assert!(lines[0].chars().count() < 120, "{frame}");
    let caret = lines[1].find('^').unwrap();
    let under: String = lines[0].chars().skip(caret).take(4).collect();
    assert_eq!((under.as_str(), lines[1].matches('^').count()), ("HERE", 4), "{frame}");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    assert!(!code_frame("\u{1b}[2J x", 1, 1, 1).contains('\u{1b}'));
}

#[test]
fn a_position_outside_the_source_shows_the_nearest_line() {
    assert_eq!(code_frame("a", 0, 1, 1), "");
    assert_eq!(code_frame("a", 7, 1, 1), "");
    assert_eq!(code_frame("ab", 1, 99, u32::MAX), "1 | ab\n  |   ^\n");
}
