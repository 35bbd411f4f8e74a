//! Replacing a file as a whole or not at all.

use std::fs;
use std::io;
use std::path::Path;

use formats::{Error, Result, atomic_write};

use crate::folder;

fn write(path: &Path, content: &str) -> Result<()> {
    atomic_write(path, |out| out.write_all(content.as_bytes()))
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn new_and_replaced_files() {
    let folder = folder();
    let path = folder.path().join("a");
    write(&path, "one").unwrap();
    write(&path, "two").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(entries(folder.path()), ["a"]);
}

#[test]
fn a_failure_halfway_leaves_the_old_file_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("a");
    write(&path, "old").unwrap();
    let failure = atomic_write(&path, |out| {
        out.write_all(&[b'x'; 3 << 20])?;
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"))
    });
    let told = failure.unwrap_err().to_string();
    assert!(told.contains(path.to_str().unwrap()) && told.contains("no space left"), "{told}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(entries(folder.path()), ["a"]);
}

#[test]
fn a_panic_halfway_leaves_the_old_file_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("a");
    write(&path, "old").unwrap();
    let panic = std::panic::catch_unwind(|| {
        atomic_write(&path, |out| {
            out.write_all(b"new")?;
            panic!("in the middle of writing")
        })
    });
    assert!(panic.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(entries(folder.path()), ["a"]);
}

#[test]
fn places_where_nothing_can_be_written() {
    let folder = folder();
    let told = write(&folder.path().join("none/a"), "x").unwrap_err().to_string();
    assert!(told.contains("none does not exist"), "{told}");
    fs::create_dir(folder.path().join("taken")).unwrap();
    let told = write(&folder.path().join("taken"), "x").unwrap_err().to_string();
    assert!(told.contains("it is a folder"), "{told}");
    assert_eq!(entries(folder.path()), ["taken"]);
    #[cfg(target_os = "linux")]
    assert!(matches!(write(Path::new("/proc/a"), "x"), Err(Error::Write { .. })));
}

#[cfg(unix)]
#[test]
fn rights_are_the_usual_ones_or_those_of_the_old_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let mode =
        |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    fs::write(folder.path().join("usual"), "x").unwrap();
    write(&folder.path().join("new"), "x").unwrap();
    assert_eq!(mode("new"), mode("usual"));
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(folder.path().join("new"), private).unwrap();
    write(&folder.path().join("new"), "y").unwrap();
    assert_eq!(mode("new"), 0o600);
}
