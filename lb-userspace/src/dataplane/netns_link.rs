//! Which network namespace a pinned link is attached to, which aya does not tell.

use super::{
    error::{DataplaneError, Result},
    unlink,
};
use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

/// `BPF_OBJ_GET_INFO_BY_FD` of linux/bpf.h.
const OBJECT_INFO: libc::c_int = 15;
/// `BPF_LINK_TYPE_NETNS` of linux/bpf.h.
const TYPE_NETNS: u32 = 5;
/// The calling thread's network namespace.
const HERE: &str = "/proc/thread-self/ns/net";

/// Part of `union bpf_attr` for questions about an object.
#[repr(C)]
struct InfoAttr {
    fd: u32,
    info_bytes: u32,
    info: u64,
}

/// The head of `struct bpf_link_info` with its part about network namespaces.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    pad: u32,
    namespace: u32,
    attach_type: u32,
}

/// Opens the calling thread's network namespace.
pub(super) fn here() -> Result<File> {
    File::open(HERE).map_err(DataplaneError::io(format!("opening {HERE}")))
}

/// Id of the program behind the link that is pinned at `path`, if it is attached to the calling
/// thread's network namespace. A link whose namespace is gone is attached to none.
pub(super) fn program_here(path: &Path) -> Result<Option<u32>> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = || DataplaneError::io(format!("asking about {}", path.display()));
    let info = unlink::open(path).and_then(|link| info(&link)).map_err(failed())?;
    let here = fs::metadata(HERE).map_err(failed())?.ino();
    let is_here = info.kind == TYPE_NETNS && u64::from(info.namespace) == here;
    Ok(is_here.then_some(info.program_id))
}

fn info(link: &OwnedFd) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::default();
    let attr = InfoAttr {
        fd: link.as_raw_fd().cast_unsigned(),
        info_bytes: size_of::<LinkInfo>() as u32,
        info: &raw mut info as u64,
    };
    #[expect(unsafe_code, reason = "aya does not tell a link's network namespace")]
    // SAFETY: both structures are valid for the sizes given and live until the call returns; every
    // bit pattern of the answer is valid.
    let result = unsafe {
        let attr = &raw const attr;
        libc::syscall(libc::SYS_bpf, OBJECT_INFO, attr, size_of::<InfoAttr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(info) }
}
