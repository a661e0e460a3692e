//! A table is an ordered map, and two versions of it tell how they differ.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u16, u8),
    Remove(u16),
    Change(u16, u8),
    RetainNot(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u16..600;
    prop_oneof![
        6 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
        3 => key.clone().prop_map(Step::Remove),
        1 => (key, any::<u8>()).prop_map(|(key, value)| Step::Change(key, value)),
        1 => (2_u16..9).prop_map(Step::RetainNot),
    ]
}

fn take(step: Step, table: &mut Table<u16, u8>, map: &mut BTreeMap<u16, u8>) {
    match step {
        Step::Insert(key, value) => assert_eq!(table.insert(key, value), map.insert(key, value)),
        Step::Remove(key) => assert_eq!(table.remove(&key), map.remove(&key)),
        Step::Change(key, value) => {
            let (one, other) = (table.get_mut(&key), map.get_mut(&key));
            assert_eq!(one, other);
            one.into_iter().chain(other).for_each(|it| *it = value);
        }
        Step::RetainNot(factor) => {
            table.retain(|key, _| key % factor != 0);
            map.retain(|key, _| key % factor != 0);
        }
    }
    assert_eq!(table.len(), map.len());
    assert!(table.parts.iter().all(|it| !it.is_empty() && it.len() <= PART_MAX));
}

/// What differs, found the long way.
fn differing(
    before: &BTreeMap<u16, u8>,
    after: &BTreeMap<u16, u8>,
) -> Vec<(u16, Option<u8>, Option<u8>)> {
    let mut keys: Vec<u16> = before.keys().chain(after.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let pairs = keys.iter().map(|it| (*it, before.get(it).copied(), after.get(it).copied()));
    pairs.filter(|(_, before, after)| before != after).collect()
}

proptest! {
    #[test]
    fn a_table_is_as_a_map_and_tells_what_changed(
        first in prop::collection::vec(step(), 0..900),
        then in prop::collection::vec(step(), 0..40),
    ) {
        let (mut table, mut map) = (Table::new(), BTreeMap::new());
        for step in first {
            take(step, &mut table, &mut map);
        }
        let (before, map_before) = (table.clone(), map.clone());
        prop_assert!(before.is_same(&table));
        for step in then {
            take(step, &mut table, &mut map);
        }
        prop_assert!(table.iter().eq(&map));
        prop_assert!(before.iter().eq(&map_before), "a clone stays as it was");
        let changes = table.changes(&before, u8::eq);
        let changes: Vec<_> =
            changes.iter().map(|it| (*it.key, it.before.copied(), it.after.copied())).collect();
        prop_assert_eq!(changes, differing(&map_before, &map));
        prop_assert_eq!(table == before, map == map_before);
        let anew: Table<u16, u8> = map.clone().into_iter().collect();
        prop_assert!(anew == table && anew.iter().eq(&map));
        for key in 0..600 {
            prop_assert_eq!(table.get(&key), map.get(&key));
            prop_assert!(table.iter_from(&key).eq(map.range(key..)));
        }
    }
}

#[test]
fn a_change_copies_one_part_only() {
    let mut table: Table<u32, u32> = (0..10_000).map(|it| (it, it)).collect();
    let before = table.clone();
    table.insert(5_000, 1);
    let shared = table.parts.iter().zip(&*before.parts).filter(|(one, it)| Arc::ptr_eq(one, it));
    assert_eq!(shared.count(), table.parts.len() - 1);
    assert_eq!(table.remove(&20_000), None);
    table.retain(|_, _| true);
    let asked = std::cell::Cell::new(0_usize);
    let changes = table.changes(&before, |one, other| {
        asked.set(asked.get() + 1);
        one == other
    });
    assert_eq!(changes.len(), 1);
    assert!(asked.get() <= PART_MAX);
}

#[test]
fn it_is_written_and_read_as_a_map() {
    let table: Table<String, u8> = [("b".to_owned(), 2), ("a".to_owned(), 1)].into();
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(text, r#"{"a":1,"b":2}"#);
    assert_eq!(serde_json::from_str::<Table<String, u8>>(&text).unwrap(), table);
    assert_eq!(format!("{table:?}"), r#"{"a": 1, "b": 2}"#);
}
