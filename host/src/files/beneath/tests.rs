//! Both resolvers find the same beneath the root, and nothing outside.

use super::{Patience, Root};
use crate::files::options::{Links, Resolver};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A site with every kind of thing that a path may meet, beside a secret.
fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let write = |path: &str, content: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    };
    write("secret.txt", "outside-secret");
    write("root/a.txt", "a");
    write("root/dir/b.txt", "bb");
    let link = |target: &str, path: &str| {
        symlink(target, root.join(path)).expect("a link");
    };
    link("a.txt", "inside");
    link("../a.txt", "dir/up");
    link("dir", "folder");
    link("../secret.txt", "outside");
    link("/etc/passwd", "absolute");
    link("..", "parent");
    link("loop", "loop");
    link("nowhere", "dangling");
    link("/proc/self/root", "magic");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo"),
        FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a FIFO");
    folder
}

/// What looking gave, in one word.
fn look(root: &Root, path: &str) -> String {
    match root.look(path, Patience::Wait) {
        Ok(found) => format!("{:?} {}", found.kind, found.version.length)
            .replace("RegularFile", "file")
            .replace("Directory", "directory"),
        Err(errno) => format!("{errno:?}"),
    }
}

fn words(resolver: Resolver, path: &str) -> String {
    let folder = site();
    let root =
        Root::open(&folder.path().join("root"), resolver, Links::Followed).expect("the root");
    assert_eq!(root.resolver(), resolver);
    look(&root, path)
}

#[test]
fn both_resolvers_agree_on_what_is_inside() {
    for resolver in [Resolver::Kernel, Resolver::Portable] {
        for (path, expected) in [
            ("a.txt", "file 1"),
            ("dir/b.txt", "file 2"),
            ("inside", "file 1"),
            ("dir/up", "file 1"),
            ("folder/b.txt", "file 2"),
        ] {
            assert_eq!(words(resolver, path), expected, "{path} by {resolver:?}");
        }
        assert!(words(resolver, "dir").starts_with("directory"));
        assert!(words(resolver, "folder").starts_with("directory"));
        assert!(words(resolver, "fifo").starts_with("Fifo"));
    }
}

#[test]
fn nothing_outside_the_root_is_opened() {
    for resolver in [Resolver::Kernel, Resolver::Portable] {
        let folder = site();
        let root =
            Root::open(&folder.path().join("root"), resolver, Links::Followed).expect("the root");
        for path in [
            "outside",
            "absolute",
            "parent/secret.txt",
            "parent/root/a.txt",
            "magic/etc/passwd",
            "../secret.txt",
            "dir/../../secret.txt",
            "/etc/passwd",
            "loop",
            "dangling",
            "missing",
            "a.txt/b",
        ] {
            let found = root.look(path, Patience::Wait);
            assert!(found.is_err(), "{path} by {resolver:?} is open");
        }
    }
}

#[test]
fn cached_look_finds_the_same_or_needs_patience() {
    let folder = site();
    let root = Root::open(&folder.path().join("root"), Resolver::Kernel, Links::Followed)
        .expect("the root");
    for path in ["a.txt", "dir/b.txt", "outside", "absolute", "missing"] {
        let patient = look(&root, path);
        match root.look(path, Patience::Cached) {
            Err(Errno::AGAIN) => {}
            Err(errno) => assert_eq!(format!("{errno:?}"), patient),
            Ok(found) => assert_eq!(format!("file {}", found.version.length), patient),
        }
    }
}

/// They were nothing, although they stay inside.
#[test]
fn absolute_link_back_into_the_root_is_followed() {
    let folder = site();
    let root = folder.path().join("root");
    let inside = |path: &str| root.join(path).display().to_string();
    let link = |target: &str, path: &str| symlink(target, root.join(path)).expect("a link");
    link(&inside("a.txt"), "to-file");
    link(&inside("dir"), "to-folder");
    link(&inside(""), "to-root");
    link(&inside("to-folder/b.txt"), "to-link");
    link("../to-file", "dir/relative");
    link(&inside("dir/../a.txt"), "dir/round");
    link(&inside("nowhere"), "to-nowhere");
    link(&inside("self"), "self");
    link(&inside("../secret.txt"), "out");
    link(&format!("{}-beside/a.txt", root.display()), "beside");
    link(&inside("outside"), "to-outside");
    std::fs::create_dir(folder.path().join("root-beside")).expect("a folder");
    std::fs::write(folder.path().join("root-beside/a.txt"), "secret").expect("a file");
    // A chain of as many as the kernel follows, and of one more.
    for at in 0..=40 {
        let target = if at == 0 { "a.txt".to_owned() } else { format!("chain{}", at - 1) };
        link(&inside(&target), &format!("chain{at}"));
    }
    // Another name of the root: a link to it may use either.
    symlink(&root, folder.path().join("alias")).expect("a link");
    link(&folder.path().join("alias/a.txt").display().to_string(), "by-alias");
    for resolver in [Resolver::Kernel, Resolver::Portable] {
        let open = |path: &Path, links| Root::open(path, resolver, links).expect("the root");
        let opened = open(&root, Links::Followed);
        for (path, expected) in [
            ("to-file", Ok(1)),
            ("to-folder/b.txt", Ok(2)),
            ("to-root/dir/b.txt", Ok(2)),
            ("to-link", Ok(2)),
            ("dir/relative", Ok(1)),
            ("dir/round", Ok(1)),
            ("to-root/to-root/to-file", Ok(1)),
            ("chain39", Ok(1)),
            ("chain40", Err(Errno::LOOP)),
            ("self", Err(Errno::LOOP)),
            ("to-nowhere", Err(Errno::NOENT)),
            ("to-file/b", Err(Errno::NOTDIR)),
            ("out", Err(Errno::XDEV)),
            ("beside", Err(Errno::XDEV)),
            ("to-outside", Err(Errno::XDEV)),
            ("absolute", Err(Errno::XDEV)),
            ("by-alias", Err(Errno::XDEV)),
        ] {
            let found = opened.look(path, Patience::Wait).map(|found| found.version.length);
            assert_eq!(found, expected, "{path} by {resolver:?}");
        }
        assert!(look(&opened, "to-root").starts_with("directory"));
        let by_alias = open(&folder.path().join("alias"), Links::Followed);
        assert_eq!(look(&by_alias, "by-alias"), "file 1", "{resolver:?}");
        assert_eq!(look(&by_alias, "to-file"), "file 1", "{resolver:?}");
        let refused = open(&root, Links::Refused);
        for path in ["to-file", "to-folder/b.txt", "to-root/a.txt", "dir/relative"] {
            let found = refused.look(path, Patience::Wait).map(|found| found.version.length);
            assert_eq!(found, Err(Errno::LOOP), "{path} by {resolver:?}");
        }
    }
    // No thread waits for a path that the kernel has cached.
    let opened = Root::open(&root, Resolver::Kernel, Links::Followed).expect("the root");
    if opened.place().is_local() && opened.resolver() == Resolver::Kernel {
        // A rename anywhere on the machine at this moment has it say that it is not, and so does
        // what it forgot meanwhile.
        let tries = (0..1_000).map(|_| {
            opened.look("to-link", Patience::Cached).inspect_err(|_| {
                opened.look("to-link", Patience::Wait).expect("it is there");
            })
        });
        let found = tries.into_iter().find_map(Result::ok).expect("at hand");
        assert_eq!(found.version.length, 2);
    }
}

#[test]
fn root_that_is_no_directory_is_an_error() {
    let folder = site();
    for path in ["secret.txt", "missing"] {
        assert!(Root::open(&folder.path().join(path), Resolver::Kernel, Links::Followed).is_err());
    }
    assert!(Root::open(Path::new(""), Resolver::Kernel, Links::Followed).is_err());
}

#[test]
fn refused_links_lead_nowhere() {
    for resolver in [Resolver::Kernel, Resolver::Portable] {
        let folder = site();
        let root = folder.path().join("root");
        let root = Root::open(&root, resolver, Links::Refused).expect("the root");
        assert_eq!(look(&root, "a.txt"), "file 1");
        assert_eq!(look(&root, "dir/b.txt"), "file 2");
        for path in ["inside", "dir/up", "folder/b.txt", "outside", "absolute", "loop"] {
            let found = root.look(path, Patience::Wait);
            assert!(found.is_err(), "{path} by {resolver:?} is open");
        }
        for path in ["../secret.txt", "dir/../../secret.txt", ".."] {
            let found = root.look(path, Patience::Wait);
            assert!(found.is_err(), "{path} by {resolver:?} is open");
        }
    }
}
