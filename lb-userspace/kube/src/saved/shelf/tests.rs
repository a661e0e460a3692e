use super::*;
use tempfile::{TempDir, tempdir};

fn options(name: &str) -> ClusterOptions {
    ClusterOptions {
        name: name.to_owned(),
        kubeconfig: None,
        context: None,
        namespaces: Vec::new(),
        weight: 100,
    }
}

fn stored() -> (TempDir, Shelf) {
    let directory = tempdir().unwrap();
    let shelf = Shelf::new(directory.path().join("clusters"));
    shelf.store(&options("blue"), &Objects::default(), &Assigned::new()).unwrap();
    (directory, shelf)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn nobody_else_may_see_what_is_stored() {
    let (_directory, shelf) = stored();
    assert_eq!(mode(&shelf.directory), DIRECTORY_MODE);
    assert_eq!(mode(&shelf.path("blue")), FILE_MODE);
    assert_eq!(fs::read_dir(&shelf.directory).unwrap().count(), 1, "nothing is left over");
    assert!(shelf.load(&options("blue")).unwrap().is_some());
    assert!(shelf.load(&options("green")).unwrap().is_none());
}

#[test]
fn what_others_may_have_written_is_not_used() {
    let (_directory, shelf) = stored();
    fs::set_permissions(shelf.path("blue"), Permissions::from_mode(0o660)).unwrap();
    assert!(matches!(shelf.load(&options("blue")), Err(Unusable::Exposed)));
}

#[test]
fn a_state_is_as_old_as_it_was_last_confirmed() {
    let (_directory, shelf) = stored();
    let long_ago = UNIX_EPOCH + std::time::Duration::from_secs(1_000);
    File::open(shelf.path("blue")).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(shelf.load(&options("blue")).unwrap().unwrap().at_ms, 1_000_000);
    shelf.confirm("blue").unwrap();
    assert!(shelf.load(&options("blue")).unwrap().unwrap().at_ms > 1_000_000);
}

#[test]
fn what_nobody_wants_any_more_goes() {
    let (_directory, shelf) = stored();
    shelf.store(&options("green"), &Objects::default(), &Assigned::new()).unwrap();
    // One more than there can be: linux/threads.h, PID_MAX_LIMIT.
    fs::write(shelf.directory.join(unfinished("green", (4 << 20) + 1)), "half").unwrap();
    shelf.tidy(&BTreeSet::from(["green".to_owned()]));
    let left: Vec<_> = fs::read_dir(&shelf.directory).unwrap().flatten().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].path(), shelf.path("green"));
}

#[test]
fn what_is_being_written_is_left_to_who_writes_it() {
    let (_directory, shelf) = stored();
    let path = shelf.directory.join(unfinished("blue", std::process::id()));
    fs::write(&path, "half").unwrap();
    shelf.tidy(&BTreeSet::from(["blue".to_owned()]));
    assert!(path.exists());
}
