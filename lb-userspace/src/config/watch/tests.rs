use super::*;
use crate::config::check_file;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A test that waits so long has failed.
const LIMIT: Duration = Duration::from_secs(30);

/// Without the poll, so that a test that passes owes it to inotify.
const NEVER: Duration = Duration::from_hours(1);

fn watch_and_poll(path: &Path, poll: Duration) -> io::Result<mpsc::Receiver<FileEvent>> {
    start(path, watch::channel(Referred::default()).1, poll)
}

async fn next(events: &mut mpsc::Receiver<FileEvent>) -> FileEvent {
    tokio::time::timeout(LIMIT, events.recv()).await.expect("an event").expect("a watcher")
}

/// Events until one is `wanted`: slow machines may see the steps of a change apart.
async fn until(events: &mut mpsc::Receiver<FileEvent>, wanted: FileEvent) {
    while next(events).await != wanted {}
}

fn setup() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lb.yaml");
    (directory, path)
}

#[tokio::test]
async fn a_write_in_place_is_seen() {
    let (_directory, path) = setup();
    fs::write(&path, "one").unwrap();
    let mut events = watch_and_poll(&path, NEVER).unwrap();
    fs::write(&path, "three").unwrap();
    until(&mut events, FileEvent::Changed).await;
}

#[tokio::test]
async fn a_replacement_by_rename_is_seen_every_time() {
    let (directory, path) = setup();
    fs::write(&path, "one").unwrap();
    let mut events = watch_and_poll(&path, NEVER).unwrap();
    for _ in 0..3 {
        let other = directory.path().join("lb.yaml.new");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        until(&mut events, FileEvent::Changed).await;
    }
}

#[tokio::test]
async fn a_swapped_config_map_is_seen_every_time() {
    let (directory, path) = setup();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("..1")).unwrap();
    fs::write(at("..1/lb.yaml"), "one").unwrap();
    symlink("..1", at("..data")).unwrap();
    symlink("..data/lb.yaml", &path).unwrap();
    let mut events = watch_and_poll(&path, NEVER).unwrap();
    for round in 2..4 {
        fs::create_dir(at(&format!("..{round}"))).unwrap();
        fs::write(at(&format!("..{round}/lb.yaml")), "next").unwrap();
        symlink(format!("..{round}"), at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at(&format!("..{}", round - 1))).unwrap();
        until(&mut events, FileEvent::Changed).await;
    }
}

#[tokio::test]
async fn a_change_behind_a_link_to_another_directory_is_seen() {
    let (_directory, path) = setup();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.yaml");
    fs::write(&real, "one").unwrap();
    symlink(&real, &path).unwrap();
    let mut events = watch_and_poll(&path, NEVER).unwrap();
    fs::write(&real, "three").unwrap();
    until(&mut events, FileEvent::Changed).await;
}

#[tokio::test]
async fn removal_and_return_are_seen() {
    let (_directory, path) = setup();
    let mut events = watch_and_poll(&path, NEVER).unwrap();
    fs::write(&path, "one").unwrap();
    until(&mut events, FileEvent::Changed).await;
    fs::remove_file(&path).unwrap();
    until(&mut events, FileEvent::Removed).await;
    fs::write(&path, "one").unwrap();
    until(&mut events, FileEvent::Changed).await;
}

#[tokio::test]
async fn a_burst_of_writes_is_not_an_event_each() {
    let (_directory, path) = setup();
    fs::write(&path, "0").unwrap();
    let mut events = watch_and_poll(&path, NEVER).unwrap();
    for round in 0..1_000 {
        fs::write(&path, "x".repeat(round)).unwrap();
    }
    until(&mut events, FileEvent::Changed).await;
    fs::remove_file(&path).unwrap();
    let mut changes = 1;
    while next(&mut events).await == FileEvent::Changed {
        changes += 1;
    }
    assert!(changes < 100, "{changes} events for 1000 writes");
}

#[tokio::test]
async fn the_poll_sees_what_inotify_cannot() {
    let (directory, _) = setup();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("etc/lb")).unwrap();
    fs::write(at("etc/lb/lb.yaml"), "one").unwrap();
    let mut events = watch_and_poll(&at("etc/lb/lb.yaml"), QUIET).unwrap();
    // Another file takes the path by a rename two directories up.
    fs::create_dir_all(at("new/lb")).unwrap();
    fs::write(at("new/lb/lb.yaml"), "two").unwrap();
    fs::rename(at("etc"), at("old")).unwrap();
    until(&mut events, FileEvent::Removed).await;
    fs::rename(at("new"), at("etc")).unwrap();
    until(&mut events, FileEvent::Changed).await;
    // From then on the new directory is the watched one.
    fs::write(at("etc/lb/lb.yaml"), "three").unwrap();
    until(&mut events, FileEvent::Changed).await;
}

#[tokio::test]
async fn a_change_of_a_file_that_is_referred_to_is_seen() {
    let (_directory, path) = setup();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("shop.pem");
    fs::write(&path, "one").unwrap();
    let (reader, referred) = watch::channel(Referred::default());
    let mut events = start(&path, referred, NEVER).unwrap();
    // It is missing when the configuration is read, comes, is replaced, and goes.
    let read = || Referred(BTreeMap::from([(other.clone(), Fingerprint::of(&other))]));
    reader.send_replace(read());
    fs::write(&other, "one").unwrap();
    until(&mut events, FileEvent::Changed).await;
    reader.send_replace(read());
    let new = elsewhere.path().join("new");
    fs::write(&new, "two").unwrap();
    fs::rename(&new, &other).unwrap();
    until(&mut events, FileEvent::Changed).await;
    fs::remove_file(&other).unwrap();
    until(&mut events, FileEvent::Changed).await;
    // Nothing changes any more: the next event is the one for the file itself.
    fs::remove_file(&path).unwrap();
    until(&mut events, FileEvent::Removed).await;
}

#[tokio::test]
async fn a_change_between_reading_and_watching_is_seen() {
    let (directory, path) = setup();
    let other = directory.path().join("shop.pem");
    fs::write(&path, "one").unwrap();
    let read = Referred(BTreeMap::from([(other.clone(), Fingerprint::of(&other))]));
    fs::write(&other, "one").unwrap();
    let mut events = start(&path, watch::channel(read).1, QUIET).unwrap();
    until(&mut events, FileEvent::Changed).await;
}

#[tokio::test]
async fn a_change_of_the_configuration_between_reading_and_watching_is_seen() {
    let (_directory, path) = setup();
    fs::write(&path, "services: []").unwrap();
    let read = check_file(&path).referred;
    fs::write(&path, "interfaces: []").unwrap();
    let mut events = start(&path, watch::channel(read).1, QUIET).unwrap();
    until(&mut events, FileEvent::Changed).await;
    // What was read is what is there: nothing to tell until it goes.
    drop(events);
    let read = check_file(&path).referred;
    let mut events = start(&path, watch::channel(read).1, NEVER).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(next(&mut events).await, FileEvent::Removed);
}

#[test]
fn links_that_run_in_circles_end() {
    let (directory, path) = setup();
    symlink(&path, directory.path().join("b")).unwrap();
    symlink(directory.path().join("b"), &path).unwrap();
    assert!(directories(&path).contains(directory.path()));
}
