//! Values with a text form: durations, sizes, addresses, patterns.
//!
//! Each has one parser, which the schema names as its `format`. So an invalid value is reported with its place, and serde
//! uses the same parser afterwards.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A value with a text form.
pub(super) trait TextForm: Sized {
    /// The `format` in the schema.
    const FORMAT: &'static str;
    /// Description with an example, for error messages and documentation.
    const ABOUT: &'static str;
    fn parse(text: &str) -> Result<Self, String>;
    fn print(&self) -> String;
}

/// Implements serde and schemars for a type through [`TextForm`].
macro_rules! text_value {
    ($type:ty) => {
        impl std::str::FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                <Self as $crate::config::text::TextForm>::parse(text)
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::config::text::TextForm::print(self))
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $crate::config::text::Text::<Self>::serialize(self, to)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::config::text::Text::<Self>::deserialize(from)
            }
        }
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                <Self as $crate::config::text::TextForm>::FORMAT.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "format": <Self as $crate::config::text::TextForm>::FORMAT,
                })
            }
        }
    };
}
pub(super) use text_value;

/// Adapter for `#[serde(with = "Text<T>")]`, which both serde and schemars read.
pub(super) struct Text<T>(PhantomData<T>);

/// A duration.
pub(super) type Time = Text<Duration>;
/// A duration that may be absent.
pub(super) struct MaybeTime;
/// A number of bytes, as text or number.
pub(super) struct Size;
/// A number of bytes that may be absent.
pub(super) struct MaybeSize;

/// Text form of a size; sizes are plain `u64` in the configuration.
pub(super) struct Bytes(u64);

impl TextForm for Duration {
    const FORMAT: &'static str = "duration";
    const ABOUT: &'static str = "a duration above zero such as \"30s\", \"150ms\" or \"1h 30m\"";

    fn parse(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(time) if !time.is_zero() => Ok(time),
            _ => Err(format!("should be {}", Self::ABOUT)),
        }
    }

    fn print(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

impl TextForm for Bytes {
    const FORMAT: &'static str = "byte-size";
    const ABOUT: &'static str = "a size such as \"16 KiB\" or \"100 MB\", or a number of bytes";

    fn parse(text: &str) -> Result<Self, String> {
        let size: Result<bytesize::ByteSize, String> = text.parse();
        size.map(|size| Self(size.as_u64()))
            .map_err(|_| format!("should be {}", Self::ABOUT))
    }

    fn print(&self) -> String {
        // Back in the unit it was most likely written in, without rounding.
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units
            .iter()
            .find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit))
        {
            Some((unit, name)) => format!("{} {name}", self.0 / unit),
            None => format!("{} B", self.0),
        }
    }
}

impl<T: TextForm> Text<T> {
    pub(super) fn serialize<S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.print())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::parse(&Cow::<str>::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl MaybeTime {
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Duration::print).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Time::deserialize(from).map(Some)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SizeForm {
    Number(u64),
    Text(String),
}

impl Size {
    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Bytes(*value).print())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        match SizeForm::deserialize(from)? {
            SizeForm::Number(bytes) => Ok(bytes),
            SizeForm::Text(text) => Bytes::parse(&text).map(|size| size.0).map_err(D::Error::custom),
        }
    }
}

impl MaybeSize {
    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(|bytes| Bytes(bytes).print()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        Size::deserialize(from).map(Some)
    }
}

fn time_schema() -> Schema {
    json_schema!({ "type": "string", "format": Duration::FORMAT })
}

fn size_schema() -> Schema {
    json_schema!({ "anyOf": [{ "type": "string", "format": Bytes::FORMAT }, { "type": "integer", "minimum": 0 }] })
}

macro_rules! inline_schema {
    ($($type:ty => $schema:ident),*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema()
            }
        }
    )*};
}
inline_schema!(Time => time_schema, MaybeTime => time_schema, Size => size_schema, MaybeSize => size_schema);
