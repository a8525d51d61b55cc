//! Converts PostgreSQL's binary values to JavaScript's: numbers to numbers (exact up to 2^53), `boolean` to 0 or 1 as
//! in D1, `numeric`, dates and times, `uuid` and JSON to text, `bytea` to bytes.

use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{Column, Row, TypeInfo, ValueRef};

use super::call::SqlError;
use super::postgres_error::error;
use super::value::Value;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_DAYS: i64 = 10_957;

/// The values of a row.
pub(super) fn values(row: &PgRow) -> Result<Vec<Value>, SqlError> {
    row.columns()
        .iter()
        .map(|column| {
            let value = row.try_get_raw(column.ordinal()).map_err(error)?;
            if value.is_null() {
                return Ok(Value::Null);
            }
            let kind = value.type_info().name().to_owned();
            decode(&kind, &value).ok_or_else(|| SqlError::ColumnType {
                column: column.name().to_owned(),
                kind,
            })
        })
        .collect()
}

fn decode(kind: &str, value: &PgValueRef<'_>) -> Option<Value> {
    let bytes = value.as_bytes().ok()?;
    Some(match kind {
        "BOOL" => Value::Integer(i64::from(*bytes.first()?)),
        "INT2" => Value::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        "INT4" => Value::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        "INT8" => Value::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
        "OID" => Value::Integer(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        "FLOAT4" => Value::Real(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        "FLOAT8" => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        "BYTEA" => Value::Blob(bytes.to_vec()),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "JSON" | "UNKNOWN" | "XML" | "CITEXT" | "\"CHAR\"" => text(bytes)?,
        // The first byte is the format's version.
        "JSONB" => text(bytes.strip_prefix(&[1])?)?,
        "NUMERIC" => Value::Text(numeric(bytes)?),
        "UUID" => Value::Text(uuid(bytes)?),
        "DATE" => Value::Text(date(EPOCH_DAYS + i64::from(i32::from_be_bytes(bytes.try_into().ok()?)))),
        "TIME" => Value::Text(time(i64::from_be_bytes(bytes.try_into().ok()?))),
        "TIMESTAMP" => Value::Text(timestamp(bytes, 'T', "")?),
        "TIMESTAMPTZ" => Value::Text(timestamp(bytes, 'T', "Z")?),
        "VOID" => Value::Null,
        _ => return None,
    })
}

/// A database in `SQL_ASCII` may contain text that is not UTF-8.
fn text(bytes: &[u8]) -> Option<Value> {
    Some(Value::Text(String::from_utf8_lossy(bytes).into_owned()))
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let bits = u128::from_be_bytes(bytes.try_into().ok()?);
    let hex = format!("{bits:032x}");
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// `infinity` is the largest and smallest value.
fn timestamp(bytes: &[u8], between: char, zone: &str) -> Option<String> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    Some(match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let day = EPOCH_DAYS + micros.div_euclid(MICROS_PER_DAY);
            format!(
                "{}{between}{}{zone}",
                date(day),
                time(micros.rem_euclid(MICROS_PER_DAY))
            )
        }
    })
}

fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match micros % 1_000_000 {
        0 => whole,
        fraction => format!("{whole}.{fraction:06}").trim_end_matches('0').to_owned(),
    }
}

/// Formats a day counted from 1970-01-01, in the Gregorian calendar (the algorithm counts years from March, in eras of
/// 400).
fn date(days: i64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Groups of four decimal digits; the first group has the given weight, and `scale` digits follow the point.
fn numeric(bytes: &[u8]) -> Option<String> {
    let mut fields = bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (count, weight, sign, scale) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let groups: Vec<i16> = fields.collect();
    #[allow(clippy::cast_sign_loss, reason = "the sign field is a set of bits")]
    let sign = match sign as u16 {
        0 => "",
        0x4000 => "-",
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return Some("NaN".to_owned()),
    };
    if usize::try_from(count).ok()? != groups.len() {
        return None;
    }
    let group = |at: i32| {
        usize::try_from(at)
            .ok()
            .and_then(|at| groups.get(at))
            .copied()
            .unwrap_or(0)
    };
    let mut whole = String::new();
    for at in 0..=i32::from(weight) {
        whole.push_str(&format!("{:04}", group(at)));
    }
    let whole = whole.trim_start_matches('0');
    let scale = usize::try_from(scale).ok()?;
    let mut fraction = String::new();
    let mut at = i32::from(weight) + 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(at)));
        at += 1;
    }
    fraction.truncate(scale);
    let point = if scale == 0 { "" } else { "." };
    Some(format!(
        "{sign}{}{point}{fraction}",
        if whole.is_empty() { "0" } else { whole }
    ))
}
