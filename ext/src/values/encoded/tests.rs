//! Round trips of values, and invalid bytes.

use proptest::prelude::*;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use serde_json::Value;

use super::*;

const MAX: usize = 1 << 20;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("a number", |number| number.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Everything that `serde` knows, in any order of the fields.
#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct All {
    shapes: Vec<Shape>,
    letter: char,
    numbers: (u8, u64, i64, f32),
    bytes: ByteBuf,
    map: std::collections::BTreeMap<u32, ()>,
    address: std::net::Ipv4Addr,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
enum Shape {
    Point,
    Circle(f64),
    Line((i8, i8), (i8, i8)),
    Named { name: String, of: Option<Box<Shape>> },
}

fn all() -> All {
    let named = Shape::Named {
        name: "\u{1F600}".to_owned(),
        of: Some(Box::new(Shape::Point)),
    };
    All {
        shapes: vec![Shape::Point, Shape::Circle(1.5), Shape::Line((1, 2), (-3, 4)), named],
        letter: 'Ж',
        numbers: (255, u64::MAX, i64::MIN, 0.5),
        bytes: ByteBuf::from(vec![0, 1, 255]),
        map: [(7, ())].into(),
        address: std::net::Ipv4Addr::LOCALHOST,
    }
}

proptest! {
    #[test]
    fn a_value_survives_encoding(value in value()) {
        let encoded = Encoded::of(&value).unwrap();
        // It is a value that can be encoded, and one that can be recorded.
        prop_assert_eq!(&Encoded::of(&encoded).unwrap(), &encoded);
        prop_assert_eq!(&encoded.read::<Encoded>(MAX).unwrap(), &encoded);
        prop_assert_eq!(encoded.read::<Value>(MAX).unwrap(), value);
    }

    #[test]
    fn a_part_of_a_value_is_an_error(value in value(), cut in any::<prop::sample::Index>()) {
        let bytes = Encoded::of(&value).unwrap().into_bytes();
        let part = Encoded::from_bytes(bytes.slice(..cut.index(bytes.len())));
        prop_assert!(part.read::<Value>(MAX).is_err());
        prop_assert!(Encoded::of(&part).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_an_error(bytes in prop::collection::vec(0_u8..24, 0..256)) {
        let encoded = Encoded::from_bytes(bytes.into());
        let _ = encoded.read::<All>(MAX);
        let _ = Encoded::of(&encoded);
        if let Ok(value) = encoded.read::<Value>(MAX) {
            prop_assert_eq!(Encoded::of(&value).unwrap().read::<Value>(MAX).unwrap(), value);
        }
    }
}

#[test]
fn types_are_decoded_as_they_were() {
    assert_eq!(Encoded::of(&all()).unwrap().read::<All>(MAX).unwrap(), all());
}

/// As in a script: fields of any order, and others that are not asked for.
#[test]
fn unknown_fields_are_skipped() {
    #[derive(Deserialize, Debug, PartialEq)]
    struct Few {
        letter: char,
        address: String,
    }
    let few = Encoded::of(&vec![all(), all()]).unwrap().read::<Vec<Few>>(MAX).unwrap();
    let one = || Few {
        letter: 'Ж',
        address: "127.0.0.1".to_owned(),
    };
    assert_eq!(few, [one(), one()]);
    assert_eq!(Encoded::of(&all()).unwrap().read::<()>(MAX).unwrap(), ());
}

#[test]
fn errors_name_the_path_and_the_type() {
    let value = Encoded::of(&serde_json::json!({ "a": [1, { "b": ["x", "y", [2, 3]] }] })).unwrap();
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "never made")]
    struct Outer {
        a: (u8, Inner),
    }
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "never made")]
    struct Inner {
        b: Vec<String>,
    }
    let error = value.read::<Outer>(MAX).unwrap_err().to_string();
    assert!(
        error.contains("at `a[1].b[2]`: expected string, found an array of 2"),
        "{error}"
    );
    let error = value.read::<Value>(64).unwrap_err().to_string();
    assert!(error.contains("64 bytes"), "{error}");
}

#[test]
fn values_that_are_too_deep_are_errors_both_ways() {
    let deep = |levels| (0..levels).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    assert!(Encoded::of(&deep(128)).unwrap().read::<Value>(MAX).is_ok());
    assert!(Encoded::of(&deep(129)).is_err());
    // A list is token 8, its end token 10, `null` token 0.
    let bytes = [vec![8; 100_000], vec![0], vec![10; 100_000]].concat();
    let encoded = Encoded::from_bytes(bytes.into());
    let error = encoded.read::<Value>(MAX).unwrap_err().to_string();
    assert!(error.contains("128 levels"), "{error}");
    assert!(Encoded::of(&encoded).is_err());
    assert!(encoded.read::<()>(MAX).is_ok());
}

/// The types of `serde_v8` read their only field as a pointer.
#[test]
fn values_of_v8_are_refused_both_ways() {
    use deno_core::serde_v8::{DetachedBuffer as V8Buffer, ToJsBuffer as ToV8};
    assert!(Encoded::of(&ToV8::from(vec![7])).is_err());
    let pointer = Encoded::of(&serde_json::json!({ "$__v8_magic_field": 4096 })).unwrap();
    assert!(pointer.read::<V8Buffer>(MAX).is_err());
    assert!(pointer.read::<super::super::DetachedBuffer>(MAX).is_err());
}

#[test]
fn bytes_to_be_handed_over_are_copied() {
    use super::super::{DetachedBuffer, ToJsBuffer};
    let encoded = Encoded::of(&(ToJsBuffer::from(vec![1, 2]), 3)).unwrap();
    let (bytes, three): (DetachedBuffer, u8) = encoded.read(MAX).unwrap();
    assert_eq!((&*bytes, three), (&[1, 2][..], 3));
}
