//! System calls that aya does not offer: large reads.
//!
//! A hash map is read in pieces (`BPF_MAP_LOOKUP_BATCH`, Linux 5.6). Unlike walking from key to key
//! that can pause and go on, costs one system call per piece, and is not thrown back to the start
//! when a key vanishes. A value of a quarter of a mebibyte is read straight to the heap; aya would
//! take it over the stack.

use super::error::{DataplaneError, Result};
use aya::{
    Pod,
    maps::{IterableMap, MapData},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// `BPF_MAP_LOOKUP_ELEM` of linux/bpf.h.
const LOOKUP_ELEM: libc::c_int = 1;
/// `BPF_MAP_LOOKUP_BATCH` of linux/bpf.h.
const LOOKUP_BATCH: libc::c_int = 24;
/// Entries per system call. A bucket must fit whole; with maps at most as full as they have
/// buckets, a bucket of so many does not happen by chance.
const PIECE: u32 = 4_096;
/// Where growing a piece for the sake of a bucket ends.
const PIECE_MAX: u32 = 1 << 20;

/// Where the reading of a hash map stands: its next bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    bucket: Option<u32>,
}

/// A piece of a map, and where to go on; `None` = this was the last.
pub(super) type Piece<K, V> = (Vec<(K, V)>, Option<Cursor>);

/// Reads the next piece of `map`.
pub(super) fn read<K: Pod + Default, V: Pod + Default>(
    map: &impl IterableMap<K, V>,
    cursor: Cursor,
    name: &'static str,
) -> Result<Piece<K, V>> {
    read_data(map.map(), cursor, name)
}

/// Calls `visit` with every entry of `map`.
pub(super) fn for_each<K: Pod + Default, V: Pod + Default>(
    map: &MapData,
    name: &'static str,
    mut visit: impl FnMut(K, V),
) -> Result<()> {
    let mut cursor = Some(Cursor::default());
    while let Some(at) = cursor {
        let (entries, next) = read_data(map, at, name)?;
        for (key, value) in entries {
            visit(key, value);
        }
        cursor = next;
    }
    Ok(())
}

/// Number of entries of `map`.
pub(super) fn count<K: Pod + Default, V: Pod + Default>(
    map: &impl IterableMap<K, V>,
    name: &'static str,
) -> Result<u64> {
    let mut total = 0;
    for_each::<K, V>(map.map(), name, |_, _| total += 1)?;
    Ok(total)
}

fn read_data<K: Pod + Default, V: Pod + Default>(
    map: &MapData,
    cursor: Cursor,
    name: &'static str,
) -> Result<Piece<K, V>> {
    let failed = || DataplaneError::io(format!("reading map {name}"));
    let mut count = PIECE;
    loop {
        match lookup(map, cursor, count) {
            // The bucket is larger than the piece.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && count < PIECE_MAX => {
                count *= 4;
            }
            result => return result.map_err(failed()),
        }
    }
}

/// The value of `key` in an array whose values are `count` words (`BPF_MAP_LOOKUP_ELEM`).
pub(super) fn lookup_words(map: &MapData, key: u32, count: usize) -> io::Result<Vec<u32>> {
    check_sizes(map, size_of::<u32>(), count * size_of::<u32>())?;
    let mut words = vec![0_u32; count];
    let mut attr = ElementAttr {
        map_fd: map.fd().as_fd().as_raw_fd().cast_unsigned(),
        pad: 0,
        key: std::ptr::from_ref(&key) as u64,
        value: words.as_mut_ptr() as u64,
        flags: 0,
    };
    #[expect(unsafe_code, reason = "aya reads values over the stack")]
    // SAFETY: `attr` is valid for its size and names live buffers: a key of four bytes, which all
    // arrays have, and room for a value of the size that was just checked.
    let result = unsafe {
        let attr = std::ptr::from_mut(&mut attr);
        libc::syscall(libc::SYS_bpf, LOOKUP_ELEM, attr, size_of::<ElementAttr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(words) }
}

/// Part of `union bpf_attr` for commands on one element.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Part of `union bpf_attr` for batch commands.
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

fn lookup<K: Pod + Default, V: Pod + Default>(
    map: &MapData,
    cursor: Cursor,
    count: u32,
) -> io::Result<Piece<K, V>> {
    check_sizes(map, size_of::<K>(), size_of::<V>())?;
    let mut keys = vec![K::default(); count as usize];
    let mut values = vec![V::default(); count as usize];
    let bucket = cursor.bucket.unwrap_or_default();
    let mut next_bucket = 0_u32;
    let mut attr = BatchAttr {
        in_batch: if cursor.bucket.is_some() { std::ptr::from_ref(&bucket) as u64 } else { 0 },
        out_batch: std::ptr::from_mut(&mut next_bucket) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count,
        map_fd: map.fd().as_fd().as_raw_fd().cast_unsigned(),
        elem_flags: 0,
        flags: 0,
    };
    #[expect(unsafe_code, reason = "aya has no batch operations")]
    // SAFETY: `attr` is valid for its size and names live buffers: two cursors of 4 bytes (what a
    // hash map uses, and an array's keys are), and room for `count` keys and values of the sizes
    // that were just checked. Keys and values are `Pod`: any bytes are valid.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LOOKUP_BATCH,
            std::ptr::from_mut(&mut attr),
            size_of::<BatchAttr>(),
        )
    };
    let is_last = if result < 0 {
        let error = io::Error::last_os_error();
        // The end of the map is an error that comes with the last entries.
        if error.raw_os_error() != Some(libc::ENOENT) {
            return Err(error);
        }
        true
    } else {
        false
    };
    let entries = keys.into_iter().zip(values).take(attr.count as usize).collect();
    Ok((entries, (!is_last).then_some(Cursor { bucket: Some(next_bucket) })))
}

/// Refuses to let the kernel write more than there is room for.
fn check_sizes(map: &MapData, key_bytes: usize, value_bytes: usize) -> io::Result<()> {
    let info = map.info().map_err(io::Error::other)?;
    // The kernel copies values in steps of eight bytes only for maps with a copy per CPU, which
    // are not read here.
    if info.key_size() as usize == key_bytes && info.value_size() as usize == value_bytes {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "keys or values have another size"))
}
