//! Detaching a pinned link at once. Removing its pin alone leaves the work to the kernel's leisure:
//! for a moment the program would run on, and another could not be attached.

use super::{error::Result, pin};
use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// `BPF_OBJ_GET` of linux/bpf.h.
const OBJECT_GET: libc::c_int = 7;
/// `BPF_LINK_DETACH` of linux/bpf.h (Linux 5.9).
const LINK_DETACH: libc::c_int = 34;

/// Detaches the link that is pinned at `path` and removes the pin; absent is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    if path.exists()
        && let Err(error) = open(path).and_then(|link| detach(&link))
    {
        // Removing the pin does it as well, only later.
        tracing::debug!(%error, path = %path.display(), "the link is not detached at once");
    }
    pin::remove(path)
}

/// Part of `union bpf_attr` for commands on pins.
#[repr(C)]
struct ObjectAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Opens the link that is pinned at `path`.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attr = ObjectAttr { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    #[expect(unsafe_code, reason = "aya keeps the descriptor of a link to itself")]
    // SAFETY: `attr` is valid for its size and names a live string that ends with a zero. What the
    // kernel answers, if not an error, is a new descriptor that nobody else owns.
    unsafe {
        let attr = std::ptr::from_ref(&attr);
        let fd = libc::syscall(libc::SYS_bpf, OBJECT_GET, attr, size_of::<ObjectAttr>());
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd as libc::c_int))
    }
}

fn detach(link: &OwnedFd) -> io::Result<()> {
    let attr = link.as_raw_fd().cast_unsigned();
    #[expect(unsafe_code, reason = "aya cannot detach a link that others still hold")]
    // SAFETY: the attribute of this command is one word, the descriptor.
    let result = unsafe {
        let attr = std::ptr::from_ref(&attr);
        libc::syscall(libc::SYS_bpf, LINK_DETACH, attr, size_of::<u32>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
