//! The tree as a program meets it: tables of paths, and the quota.

use super::*;

fn fs() -> Fs {
    Fs::new(1 << 20, b"/prog")
}

fn mkdir(fs: &mut Fs, path: &[u8]) -> NodeId {
    let found = fs.walk(ROOT, path, true).unwrap();
    fs.create(found.dir, &found.name, Fs::directory(found.dir), 0o755).unwrap()
}

fn link(fs: &mut Fs, path: &[u8], target: &[u8]) {
    let found = fs.walk(ROOT, path, false).unwrap();
    fs.create(found.dir, &found.name, Kind::Link(target.to_vec()), 0o777).unwrap();
}

#[test]
fn paths_lead_where_linux_leads_them() {
    let mut fs = fs();
    let a = mkdir(&mut fs, b"/tmp/a");
    let b = mkdir(&mut fs, b"/tmp/a/b");
    link(&mut fs, b"/tmp/up", b"a/..");
    link(&mut fs, b"/tmp/abs", b"/tmp/a/b/");
    link(&mut fs, b"/tmp/loop", b"loop");
    let tmp = fs.walk(ROOT, b"/tmp", true).unwrap().node.unwrap();
    for (path, expected) in [
        (&b"/"[..], Ok(Some(ROOT))),
        (b"//", Ok(Some(ROOT))),
        (b"/..", Ok(Some(ROOT))),
        (b"/tmp/../../tmp", Ok(Some(tmp))),
        (b"/tmp/a/", Ok(Some(a))),
        (b"/tmp/a/./b", Ok(Some(b))),
        (b"/tmp/up", Ok(Some(tmp))),
        (b"/tmp/up/a", Ok(Some(a))),
        (b"/tmp/abs", Ok(Some(b))),
        (b"/tmp/abs/..", Ok(Some(a))),
        (b"/tmp/none", Ok(None)),
        (b"/tmp/none/x", Err(libc::ENOENT)),
        (b"/dev/null/x", Err(libc::ENOTDIR)),
        (b"/dev/null/", Err(libc::ENOTDIR)),
        (b"/tmp/loop", Err(libc::ELOOP)),
        (b"", Err(libc::ENOENT)),
        (&[b'x'; 256], Err(libc::ENAMETOOLONG)),
    ] {
        let got = fs.walk(ROOT, path, true).map(|found| found.node);
        assert_eq!(got, expected.map_err(Stop::Errno), "{:?}", String::from_utf8_lossy(path));
    }
    assert_eq!(fs.path_of(b).unwrap(), b"/tmp/a/b");
    assert_eq!(fs.path_of(ROOT).unwrap(), b"/");
}

#[test]
fn names_come_and_go_without_leaving_anything() {
    let mut fs = fs();
    let before = fs.usage();
    let tmp = fs.walk(ROOT, b"/tmp", true).unwrap().node.unwrap();
    let file = fs.create(tmp, b"f", Kind::File(Vec::new()), 0o644).unwrap();
    fs.room(file, 10, 5).unwrap().copy_from_slice(b"hello");
    assert_eq!(fs.data(file).unwrap(), b"\0\0\0\0\0\0\0\0\0\0hello");
    fs.link(file, tmp, b"g").unwrap();
    fs.rename((tmp, b"g"), (ROOT, b"h"), true).unwrap();
    assert_eq!(fs.create(tmp, b"f", Kind::File(Vec::new()), 0), Err(Stop::Errno(libc::EEXIST)));
    let dir = mkdir(&mut fs, b"/tmp/d");
    assert_eq!(fs.rename((tmp, b"d"), (dir, b"e"), true), Err(Stop::Errno(libc::EINVAL)));
    assert_eq!(fs.unlink(tmp, b"d", false), Err(Stop::Errno(libc::EISDIR)));
    assert_eq!(fs.unlink(ROOT, b"tmp", true), Err(Stop::Errno(libc::ENOTEMPTY)));
    fs.unlink(tmp, b"d", true).unwrap();
    fs.unlink(tmp, b"f", false).unwrap();
    assert_eq!(fs.data(file).unwrap().len(), 15, "one name is left");
    fs.unlink(ROOT, b"h", false).unwrap();
    assert!(fs.node(file).is_err());
    assert_eq!(fs.usage(), before);
}

#[test]
fn the_quota_holds() {
    let mut fs = fs();
    let file = fs.create(ROOT, b"f", Kind::File(Vec::new()), 0o644).unwrap();
    assert_eq!(fs.resize(file, 2 << 20), Err(Stop::Errno(libc::ENOSPC)));
    assert_eq!(fs.room(file, u64::MAX, 2).err(), Some(Stop::Errno(libc::EFBIG)));
    fs.resize(file, 1 << 19).unwrap();
    let many =
        (0..4000u32).find_map(|i| fs.create(ROOT, i.to_string().as_bytes(), Fs::directory(ROOT), 0).err());
    assert_eq!(many, Some(Stop::Errno(libc::ENOSPC)));
    fs.resize(file, 0).unwrap();
    assert!(fs.create(ROOT, b"one more", Fs::directory(ROOT), 0).is_ok());
}

/// Files that are cut to a little less again and again hold no more than they are charged for.
#[test]
fn what_is_cut_off_is_given_back() {
    let mut fs = fs();
    let mut held = 0;
    for name in 0..40_u8 {
        let Ok(file) = fs.create(ROOT, &[b'a' + name], Kind::File(Vec::new()), 0) else { break };
        let (used, limit) = fs.usage();
        fs.resize(file, limit - used).unwrap();
        fs.resize(file, (limit - used) / 4 + 1).unwrap();
        let Kind::File(data) = &fs.node(file).unwrap().kind else { panic!("a file") };
        held += data.capacity() as u64;
    }
    assert!(held <= fs.usage().1, "{held} bytes are held");
}
