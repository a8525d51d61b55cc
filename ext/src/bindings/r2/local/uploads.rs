//! Transactions on uploads in parts.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::object::R2Object;
use super::super::rules::{PART_BYTES_MIN, R2Fault, hex};
use super::super::store::{R2NewUpload, R2Part};
use super::objects::{Part, add_part, discard, head, insert, replace, room};
use super::schema::{class, json, to_json, unsigned};
use crate::storage::signed;
use crate::storage::sqlite::Failed;

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    Open,
    /// Completed or aborted.
    Ended,
}

/// Begins an upload.
pub(super) fn create(db: &Connection, id: &str, upload: &R2NewUpload, now: u64) -> Result<(), Failed> {
    let mut insert = db.prepare_cached(
        "INSERT INTO uploads (id, key, created, is_open, class, http, custom) VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        id,
        upload.key,
        signed(now),
        upload.storage_class.to_string(),
        to_json(&upload.http_metadata),
        to_json(&upload.custom_metadata),
    ])?;
    Ok(())
}

pub(super) fn state(db: &Connection, id: &str, key: &str) -> Result<State, Failed> {
    let mut select = db.prepare_cached("SELECT is_open FROM uploads WHERE id = ?1 AND key = ?2")?;
    Ok(match select.query_row([id, key], |row| row.get(0)).optional()? {
        None => State::Unknown,
        Some(true) => State::Open,
        Some(false) => State::Ended,
    })
}

/// Adds a part, and replaces the one with its number. Returns the files to be removed.
pub(super) fn put_part(
    db: &Connection,
    (id, key): (&str, &str),
    number: u16,
    part: &Part,
    (now, bytes_max): (u64, u64),
) -> Result<Result<Vec<String>, R2Fault>, Failed> {
    if state(db, id, key)? != State::Open {
        return Ok(Err(R2Fault::NoUpload));
    }
    let mut remove = db.prepare_cached("DELETE FROM parts WHERE owner = ?1 AND number = ?2 RETURNING blob")?;
    let old = remove.query_map(params![id, number], |row| row.get::<_, String>(0))?;
    let old = old.collect::<rusqlite::Result<Vec<_>>>()?;
    for blob in &old {
        mark(db, blob, now)?;
    }
    room(db, part.size, bytes_max)?;
    add_part(db, id, number, part)?;
    Ok(Ok(old))
}

fn mark(db: &Connection, blob: &str, at: u64) -> Result<(), Failed> {
    let mut mark = db.prepare_cached("INSERT INTO garbage (blob, at) VALUES (?1, ?2)")?;
    mark.execute(params![blob, signed(at)])?;
    Ok(())
}

/// Combines the parts to an object. Returns it with the files to be removed now.
pub(super) fn complete(
    db: &Connection,
    (id, key): (&str, &str),
    asked: &[R2Part],
    version: &str,
    now: u64,
) -> Result<Result<(R2Object, Vec<String>), R2Fault>, Failed> {
    match state(db, id, key)? {
        State::Open => {}
        State::Unknown => return Ok(Err(R2Fault::Internal)),
        State::Ended => return Ok(Err(R2Fault::NoUpload)),
    }
    let uploaded = parts(db, id)?;
    let chosen = match choose(&uploaded, asked) {
        Ok(chosen) => chosen,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut digest = Md5::new();
    chosen.values().for_each(|part| digest.update(&part.md5));
    let etag = format!("{}-{}", hex(&digest.finalize()), chosen.len());
    let mut select = db.prepare_cached("SELECT class, http, custom FROM uploads WHERE id = ?1")?;
    let object = select.query_row([id], |row| {
        let object = R2Object::new(key, chosen.values().map(|part| part.size).sum(), etag);
        Ok(object
            .version(version)
            .uploaded(now)
            .storage_class(class(row, 0)?)
            .http_metadata(json(row, 1)?)
            .custom_metadata(json(row, 2)?))
    })?;
    let mut unused = replace(db, head(db, key)?.as_ref(), now)?;
    let mut give = db.prepare_cached("UPDATE parts SET owner = ?3 WHERE owner = ?1 AND number = ?2")?;
    for number in chosen.keys() {
        give.execute(params![id, number, version])?;
    }
    unused.extend(discard(db, id, now, now)?);
    insert(db, &object)?;
    end(db, id)?;
    Ok(Ok((object, unused)))
}

fn end(db: &Connection, id: &str) -> Result<(), Failed> {
    db.prepare_cached("UPDATE uploads SET is_open = 0 WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Ends an upload. Returns the files to be removed.
pub(super) fn abort(
    db: &Connection,
    (id, key): (&str, &str),
    now: u64,
) -> Result<Result<Vec<String>, R2Fault>, Failed> {
    match state(db, id, key)? {
        State::Open => {}
        State::Unknown => return Ok(Err(R2Fault::Internal)),
        State::Ended => return Ok(Ok(Vec::new())),
    }
    end(db, id)?;
    Ok(Ok(discard(db, id, now, now)?))
}

/// Removes some uploads that began before a time, with their parts. Returns the files to be removed.
pub(super) fn expire(db: &Connection, before: u64, count_max: usize, now: u64) -> Result<Vec<String>, Failed> {
    let mut forget = db.prepare_cached(
        "DELETE FROM uploads WHERE rowid IN (SELECT rowid FROM uploads WHERE created < ?1 LIMIT ?2) RETURNING id",
    )?;
    let ids = forget.query_map(params![signed(before), signed(count_max as u64)], |row| {
        row.get::<_, String>(0)
    })?;
    let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut unused = Vec::new();
    for id in ids {
        unused.extend(discard(db, &id, now, now)?);
    }
    Ok(unused)
}

fn parts(db: &Connection, id: &str) -> Result<BTreeMap<u16, Part>, Failed> {
    let mut select = db.prepare_cached("SELECT number, blob, size, etag, md5 FROM parts WHERE owner = ?1")?;
    let parts = select.query_map([id], |row| {
        let part = Part {
            blob: row.get(1)?,
            size: unsigned(row, 2)?,
            etag: row.get(3)?,
            md5: row.get(4)?,
        };
        Ok((row.get(0)?, part))
    })?;
    Ok(parts.collect::<rusqlite::Result<_>>()?)
}

/// Returns the parts of a completed upload, by number.
fn choose<'a>(uploaded: &'a BTreeMap<u16, Part>, asked: &[R2Part]) -> Result<BTreeMap<u16, &'a Part>, R2Fault> {
    let numbers: BTreeSet<_> = asked.iter().map(|part| part.number).collect();
    if numbers.len() < asked.len() {
        return Err(R2Fault::Internal);
    }
    let find = |asked: &R2Part| {
        let part = uploaded.get(&asked.number).filter(|part| part.etag == asked.etag);
        part.map(|part| (asked.number, part)).ok_or(R2Fault::NoPart)
    };
    let parts: Vec<_> = asked.iter().map(find).collect::<Result<_, _>>()?;
    let but_last = |count: usize| count.saturating_sub(1);
    if parts
        .iter()
        .take(but_last(parts.len()))
        .any(|(_, part)| part.size < PART_BYTES_MIN)
    {
        return Err(R2Fault::PartSize);
    }
    let parts: BTreeMap<_, _> = parts.into_iter().collect();
    let mut sizes = parts.values().map(|part| part.size);
    let Some(size) = sizes.next() else {
        return Ok(parts);
    };
    let sizes: Vec<_> = sizes.collect();
    // All have the size of the first, except that the last may be smaller.
    let (last, middle) = match sizes.split_last() {
        Some((last, middle)) => (*last, middle),
        None => return Ok(parts),
    };
    match size < PART_BYTES_MIN || last > size || middle.iter().any(|middle| *middle != size) {
        true => Err(R2Fault::Upload),
        false => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: &[(u16, u64)], asked: &[u16]) -> Result<Vec<u16>, R2Fault> {
        let part = |&(number, size): &(u16, u64)| {
            let part = Part {
                blob: String::new(),
                size,
                etag: number.to_string(),
                md5: Vec::new(),
            };
            (number, part)
        };
        let uploaded = sizes.iter().map(part).collect();
        let asked = asked.iter().map(|&number| R2Part {
            number,
            etag: number.to_string(),
        });
        choose(&uploaded, &asked.collect::<Vec<_>>()).map(|chosen| chosen.keys().copied().collect())
    }

    #[test]
    fn parts_but_the_last_have_one_size_of_5_mib_at_least() {
        const MIB: u64 = 1 << 20;
        assert_eq!(of(&[], &[]), Ok(vec![]));
        assert_eq!(of(&[(7, 1)], &[7]), Ok(vec![7]));
        let sizes = [(1, 5 * MIB), (2, 5 * MIB), (3, 5 * MIB + 1), (4, 1), (5, 0)];
        assert_eq!(of(&sizes, &[1, 2, 4]), Ok(vec![1, 2, 4]));
        assert_eq!(of(&sizes, &[1, 5]), Ok(vec![1, 5]));
        assert_eq!(of(&sizes, &[2, 1]), Ok(vec![1, 2]));
        assert_eq!(of(&sizes, &[4, 1]), Err(R2Fault::PartSize));
        assert_eq!(of(&sizes, &[1, 4, 2]), Err(R2Fault::PartSize));
        assert_eq!(of(&sizes, &[1, 3]), Err(R2Fault::Upload));
        assert_eq!(of(&sizes, &[1, 3, 4]), Err(R2Fault::Upload));
        assert_eq!(of(&sizes, &[1, 1]), Err(R2Fault::Internal));
        assert_eq!(of(&sizes, &[6]), Err(R2Fault::NoPart));
    }
}
