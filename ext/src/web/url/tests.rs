use super::{Based, Parsed, Part, based, parse, set};

fn href(text: &str) -> Option<String> {
    match parse::parse(text, None) {
        Parsed::Here(url) => Some(url.serialized().0),
        Parsed::Elsewhere => Some("elsewhere".to_owned()),
        Parsed::Invalid => None,
    }
}

fn joined(text: &str, base: &str) -> Option<String> {
    match based(text, base) {
        Based::Here(url) => Some(url.serialized().0),
        Based::There(url) => Some(url.into()),
        Based::Elsewhere => Some("elsewhere".to_owned()),
        Based::Invalid => None,
    }
}

fn changed(text: &str, part: Part, value: &str) -> String {
    let Parsed::Here(mut url) = parse::parse(text, None) else {
        panic!("{text} is not parsed here");
    };
    set::set(&mut url, part, value);
    url.serialized().0
}

#[test]
fn urls_of_files_keep_empty_segments_and_hosts() {
    let cases = [
        ("file:////foo", "file:////foo"),
        ("file://localhost////foo", "file://////foo"),
        ("file:///w|/m", "file:///w:/m"),
        ("file://example.net/C:/", "file://example.net/C:/"),
        ("file:C|/..", "file:///C:/"),
        ("file:", "file:///"),
        ("FILE:\\a\\..\\b?'#`", "file:///b?%27#%60"),
        (" file:///a\tb\n", "file:///ab"),
    ];
    for (input, expected) in cases {
        assert_eq!(href(input).as_deref(), Some(expected), "{input}");
    }
    assert_eq!(href("file://a b/"), None);
}

#[test]
fn references_against_files_keep_the_drive() {
    assert_eq!(joined("/", "file://h/C:/a/b").as_deref(), Some("file://h/C:/"));
    assert_eq!(
        joined("C|/x", "file://host/dir/file").as_deref(),
        Some("file://host/C:/x")
    );
    assert_eq!(joined("..", "file:///C:/").as_deref(), Some("file:///C:/"));
    assert_eq!(joined("?q", "file:///a?b#c").as_deref(), Some("file:///a?q"));
    assert_eq!(joined("//x", "file:///a").as_deref(), Some("file://x/"));
}

#[test]
fn a_path_with_an_empty_first_segment_is_not_read_as_a_host() {
    let cases = [
        ("non-spec:/.//path", "non-spec:/.//path"),
        ("non-spec:/..//", "non-spec:/.//"),
        ("non-spec://u:p@h:80/a/../b", "non-spec://u:p@h:80/b"),
        ("non-spec://", "non-spec://"),
        ("non-spec:opaque", "elsewhere"),
        ("https://host/", "elsewhere"),
        ("relative", "elsewhere"),
    ];
    for (input, expected) in cases {
        assert_eq!(href(input).as_deref(), Some(expected), "{input}");
    }
    for input in [
        "non-spec://:80",
        "non-spec://u@",
        "non-spec://h:x",
        "non-spec://h:65536",
        "non-spec://a b",
    ] {
        assert_eq!(href(input), None, "{input}");
    }
    let Parsed::Here(url) = parse::parse("non-spec:/.//path", None) else {
        panic!("not parsed here");
    };
    let (text, parts) = url.serialized();
    assert_eq!(&text[parts.path_start as usize..], "//path");
    assert_eq!(parts.host_start, parts.path_start);
}

#[test]
fn any_number_of_slashes_before_a_host_are_two() {
    assert_eq!(
        joined("///\\//\\//test", "http://example.org/").as_deref(),
        Some("http://test/")
    );
    assert_eq!(joined("//test", "http://example.org/").as_deref(), Some("elsewhere"));
    assert_eq!(joined("///", "http://example.org/"), None);
    assert_eq!(joined("file:///a", "no base"), None);
}

#[test]
fn setters_change_what_the_part_can_be() {
    assert_eq!(changed("foo:///some/path", Part::Pathname, ""), "foo://");
    assert_eq!(changed("non-spec:/.//", Part::Pathname, "p"), "non-spec:/p");
    assert_eq!(changed("non-spec:/.//p", Part::Hostname, "h"), "non-spec://h//p");
    assert_eq!(changed("file:///unicorn", Part::Pathname, "//\\/"), "file://////");
    assert_eq!(changed("file:///a", Part::Host, "localhost"), "file:///a");
    assert_eq!(changed("file:///a", Part::Port, "1"), "file:///a");
    assert_eq!(changed("file://h/a", Part::Protocol, "https"), "https://h/a");
    assert_eq!(changed("file:///a", Part::Protocol, "https"), "file:///a");
    assert_eq!(changed("a://h/", Part::Host, "x:1y"), "a://x:1/");
    assert_eq!(changed("a://h:1/", Part::Hostname, ""), "a://h:1/");
    assert_eq!(changed("a://h/", Part::Search, "?b'"), "a://h/?b'");
    assert_eq!(changed("a://h/?b#c", Part::Hash, ""), "a://h/?b");
    assert_eq!(changed("a://h/", Part::Username, "@"), "a://%40@h/");
}
