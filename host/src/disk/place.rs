//! The device of a file, and whether its file system is local: one that is known to do `open`,
//! `close` and `fstat` at once.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{
    AtFlags, FileType, StatxFlags, fstat, fstatfs, major, makedev, minor, statfs, statx,
};
use rustix::io::Errno;

use super::owner::Owner;

/// What a file system does with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is known to open, close and describe files without waiting.
    Local,
    /// It may wait: one of FUSE, of the network, or one that is not known.
    Remote,
}

/// The place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The device (`st_dev`).
    pub device: u64,
    /// What its file system does.
    pub kind: Kind,
    /// Whose operations there are meant.
    pub owner: Owner,
}

impl Place {
    /// Whether operations there are known not to wait.
    pub fn is_local(self) -> bool {
        self.kind == Kind::Local
    }
}

/// The identity of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Its number; 0 where the kernel has none (before Linux 5.8).
    pub number: u64,
    /// Whether no later mount gets that number (Linux 6.8).
    pub is_unique: bool,
    /// Its device.
    pub device: u64,
}

/// What the kernel knows of a file without asking its file system.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The mount that it is on.
    pub mount: Mount,
    /// What it is.
    pub kind: FileType,
}

/// `STATX_MNT_ID_UNIQUE`: a number that is never used again (Linux 6.8).
const MOUNT_ID_UNIQUE: u32 = 0x4000;

/// Asks the kernel for the kind of this file, and not its file system: the last known one is
/// enough.
pub fn known(handle: impl AsFd) -> Result<Known, Errno> {
    let asked =
        StatxFlags::TYPE | StatxFlags::MNT_ID | StatxFlags::from_bits_retain(MOUNT_ID_UNIQUE);
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match statx(&handle, c"", flags, asked) {
        Ok(stat) => {
            let has = |mask: u32| stat.stx_mask & mask != 0;
            let is_unique = has(MOUNT_ID_UNIQUE);
            let is_numbered = is_unique || has(StatxFlags::MNT_ID.bits());
            let mount = Mount {
                number: if is_numbered { stat.stx_mnt_id } else { 0 },
                is_unique,
                device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            };
            Ok(Known { mount, kind: FileType::from_raw_mode(stat.stx_mode.into()) })
        }
        // Before Linux 4.11, and in sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => {
            let stat = fstat(&handle)?;
            let mount = Mount { number: 0, is_unique: false, device: stat.st_dev };
            Ok(Known { mount, kind: FileType::from_raw_mode(stat.st_mode) })
        }
        Err(errno) => Err(errno),
    }
}

/// Asks the file system of this handle for its kind. It may wait for that.
pub fn judge(handle: impl AsFd) -> Kind {
    let Ok(stat) = fstatfs(&handle) else { return Kind::Remote };
    match magic(stat.f_type) {
        OVERLAY if !has_local_layers(handle) => Kind::Remote,
        OVERLAY => Kind::Local,
        magic if LOCAL.contains(&magic) => Kind::Local,
        _ => Kind::Remote,
    }
}

/// Whether this is on the file system of processes. It may wait for another one.
pub fn is_proc(handle: impl AsFd) -> bool {
    fstatfs(handle).is_ok_and(|stat| magic(stat.f_type) == PROC)
}

/// The number of a kind of file systems, of which the kernel's headers have 32 bits.
fn magic(told: impl TryInto<i64>) -> u32 {
    let bits = told.try_into().unwrap_or(0).cast_unsigned() & u64::from(u32::MAX);
    u32::try_from(bits).expect("the upper half is gone")
}

const OVERLAY: u32 = 0x794c_7630;
const PROC: u32 = 0x9fa0;

/// Local file systems: they wait for nothing but the disk, and not for names that the kernel has
/// in memory (`RESOLVE_CACHED`). The numbers are those of statfs(2) and `linux/magic.h`.
#[rustfmt::skip]
const LOCAL: &[u32] = &[
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // zfs
    0x3153_464a, // jfs
    0x5265_4973, // reiserfs
    0x0000_3434, // nilfs2
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0xe0f5_e1e2, // erofs
    0x7371_7368, // squashfs
    0x28cd_3d45, // cramfs
    0x0000_7275, // romfs
    0x0000_9660, // iso9660
    0x1501_3346, // udf
    0x0000_4d44, // msdos, vfat
    0x2011_bab0, // exfat
    0x7366_746e, // ntfs3
    0x0000_4244, // hfs
    0x0000_482b, // hfs+
    0x2405_1905, // ubifs
    0x0000_72b6, // jffs2
];

/// Whether an overlay is known to have no layer on anything but local file systems. Where its
/// layers cannot be found they belong to another tree of files, such as that of the machine on
/// which this is a container: an engine keeps them on its own disk.
fn has_local_layers(handle: impl AsFd) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let Ok(stat) = statx(&handle, c"", flags, StatxFlags::MNT_ID) else { return false };
    let Ok(mounts) = std::fs::read("/proc/self/mountinfo") else { return false };
    let number = stat.stx_mnt_id.to_string();
    let line = mounts.split(|&byte| byte == b'\n').find(|line| {
        line.split(|&byte| byte == b' ').next().is_some_and(|first| first == number.as_bytes())
    });
    line.is_some_and(|line| {
        layers(line).iter().all(|layer| {
            let layer = Path::new(std::ffi::OsStr::from_bytes(layer));
            statfs(layer).map_or(true, |stat| {
                let magic = magic(stat.f_type);
                magic == OVERLAY || LOCAL.contains(&magic)
            })
        })
    })
}

/// The folders that an overlay is made of, by its line in proc_pid_mountinfo(5).
fn layers(line: &[u8]) -> Vec<Vec<u8>> {
    let options = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let mut layers = Vec::new();
    for option in split_unescaped(options, b',') {
        let Some(at) = option.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = (&option[..at], unescape_octal(&option[at + 1..]));
        match name {
            b"lowerdir" | b"lowerdir+" | b"datadir+" => {
                let names = split_unescaped(&value, b':');
                layers.extend(names.into_iter().filter(|name| !name.is_empty()).map(unescape));
            }
            b"upperdir" => layers.push(unescape(&value)),
            _ => {}
        }
    }
    layers
}

/// The pieces between separators without a backslash before them.
fn split_unescaped(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let (mut start, mut is_escaped) = (0, false);
    for (at, &byte) in text.iter().enumerate() {
        if byte == separator && !is_escaped {
            pieces.push(&text[start..at]);
            start = at + 1;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    pieces.push(&text[start..]);
    pieces
}

/// Bytes in place of their escapes of three octal digits.
fn unescape_octal(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, more @ ..] = rest {
        let octal = more.get(..3).filter(|_| *first == b'\\');
        let number = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &more[3..];
            }
            None => {
                plain.push(*first);
                rest = more;
            }
        }
    }
    plain
}

/// Bytes without the backslashes before them.
fn unescape(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = text.as_ref().iter();
    while let Some(&byte) = bytes.next() {
        plain.extend(if byte == b'\\' { bytes.next().copied() } else { Some(byte) });
    }
    plain
}

/// A device as people and `findmnt` write it.
pub fn shown(device: u64) -> String {
    format!("{}:{}", major(device), minor(device))
}

#[cfg(test)]
mod tests {
    use super::{Kind, judge, known, layers, magic};
    use rustix::fs::FileType;
    use std::fs::File;

    #[test]
    fn proc_is_not_local_and_temporary_folder_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = File::open(folder.path()).expect("opened");
        let proc = File::open("/proc").expect("opened");
        assert_eq!(judge(&proc), Kind::Remote);
        // A temporary folder on NFS is not local.
        let stat = rustix::fs::fstatfs(&folder).expect("told");
        assert_eq!(judge(&folder) == Kind::Local, magic(stat.f_type) != 0x6969);
        let (of_folder, of_proc) = (known(&folder).expect("known"), known(&proc).expect("known"));
        assert_eq!(of_folder.kind, FileType::Directory);
        assert_ne!(of_folder.mount, of_proc.mount);
        let metadata = std::os::unix::fs::MetadataExt::dev(&folder.metadata().expect("told"));
        assert_eq!(of_folder.mount.device, metadata);
    }

    #[test]
    fn overlay_tells_its_layers() {
        let check = |options: &str, expected: &[&str]| {
            let line = format!("36 35 0:31 / /srv rw,noatime shared:1 - overlay overlay {options}");
            let layers = layers(line.as_bytes());
            let layers: Vec<_> =
                layers.iter().map(|layer| String::from_utf8_lossy(layer)).collect();
            assert_eq!(layers, expected, "{options}");
        };
        check("rw,lowerdir=/a:/b,upperdir=/c,workdir=/d,index=off", &["/a", "/b", "/c"]);
        check("ro,lowerdir+=/a,lowerdir+=/b,datadir+=/c", &["/a", "/b", "/c"]);
        check(
            r"ro,lowerdir=/with\040space:/with\134:colon::/data",
            &["/with space", "/with:colon", "/data"],
        );
        check(r"ro,lowerdir=/with\054comma", &["/with,comma"]);
        check("rw,relatime", &[]);
    }
}
