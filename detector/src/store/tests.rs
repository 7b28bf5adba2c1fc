use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use super::*;
use crate::{
    actor::{Actor, ActorKind},
    clock::DeltaNs,
    impact::{Confidence, Remedy, State, Subject},
    ledger::{Closed, Evidence, Verdict, Window, WindowKind},
};

fn jump(sequence: u64, delta: i64) -> Jump {
    Jump {
        boot_id: "boot".into(),
        at: BootNs(sequence * 1_000),
        actor: Actor { kind: ActorKind::Process, comm: Some("date".into()), ..Actor::default() },
        verdict: Verdict::Disruption,
        evidence: vec![Evidence::WasSynchronised],
        excursion: Some(1),
        ..crate::deliver::tests::jump(sequence, delta)
    }
}

fn continuity(at: u64) -> Continuity {
    Continuity { boot_id: "boot".into(), at: BootNs(at), offset: OffsetNs(7), error: 3 }
}

fn impact(id: u64) -> Impact {
    Impact {
        id,
        jump: 1,
        kind: "token_not_yet_valid".into(),
        subject: Subject { kind: "pod".into(), name: Some("coredns".into()), ..Subject::default() },
        from: Some(WallNs(1)),
        until: None,
        boot_id: "boot".into(),
        from_boot: Some(BootNs(3)),
        until_boot: None,
        state: State::Open,
        confidence: Confidence::Predicted,
        remedy: Remedy::DeletePod,
        message: "m".into(),
        evidence: serde_json::json!({"a": 1}),
    }
}

fn excursion(id: u64, closed: Option<Closed>) -> Excursion {
    Excursion {
        id,
        boot_id: "boot".into(),
        opened_by: id,
        opened_at: BootNs(1),
        home: OffsetNs(-5),
        delta: DeltaNs(9),
        closed,
    }
}

fn fresh() -> (tempfile::TempDir, Directory) {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::take(dir.path()).unwrap();
    (dir, directory)
}

fn append(store: &mut Store, jumps: impl IntoIterator<Item = Jump>) {
    let entries: Vec<_> = jumps.into_iter().map(|jump| (jump.sequence, Kept::Jump(jump, None))).collect();
    store.append(&entries, None).unwrap();
}

#[test]
fn what_goes_in_comes_out() {
    let (_dir, directory) = fresh();
    let (mut store, left) = open(&directory, Retention::default()).unwrap();
    assert_eq!((left.last_sequence, left.last_position, left.continuity), (0, 0, None));
    let unseen = Jump {
        window: Some(Window {
            kind: WindowKind::RebootBehind,
            from_boot_id: "before".into(),
            from_boottime_ns: BootNs(4),
            from_wall: WallNs(-5),
            to_boottime_ns: BootNs(6),
        }),
        excursion: None,
        ..jump(2, -8)
    };
    let impact = impact(1);
    let missed = Missed { boot_id: "boot".into(), at: BootNs(9), missed: 12 };
    let entries = [
        (1, Kept::Jump(jump(1, 9), Some(excursion(1, None)))),
        (2, Kept::Impact(impact.clone())),
        (3, Kept::Missed(missed.clone())),
        (4, Kept::Jump(unseen.clone(), None)),
    ];
    store.append(&entries, Some(&continuity(50))).unwrap();
    drop(store);

    let (store, left) = open(&directory, Retention::default()).unwrap();
    assert_eq!((left.last_sequence, left.last_position), (2, 4));
    assert_eq!(left.continuity, Some(continuity(50)));
    assert_eq!(store.jumps(Order::OldestFirst(0), 9).unwrap(), [jump(1, 9), unseen.clone()]);
    assert_eq!(store.jumps(Order::NewestFirst(2), 9).unwrap(), [jump(1, 9)]);
    assert_eq!(store.jump(2).unwrap(), Some(unseen));
    assert_eq!(store.excursion(1).unwrap(), Some(excursion(1, None)));
    assert_eq!(store.impacts_of(1).unwrap(), std::slice::from_ref(&impact));
    assert_eq!((left.last_impact, left.impacts), (1, vec![impact]));
    let turns: Vec<_> = left.turns.iter().map(|turn| turn.jump).collect();
    assert_eq!(turns, [1, 2]);
    assert_eq!(store.burst(1).unwrap().unwrap().steps, 1);
    assert_eq!(store.burst(77).unwrap(), None);
    let positions: Vec<_> = store.entries(1, 2).unwrap().into_iter().map(|(position, _)| position).collect();
    assert_eq!(positions, [2, 3]);
    assert!(matches!(&store.entries(2, 1).unwrap()[..], [(3, Kept::Missed(found))] if *found == missed));
    assert_eq!((store.position_before(2).unwrap(), store.position_before(3).unwrap()), (Some(3), Some(4)));
}

#[test]
fn a_failed_batch_leaves_nothing() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    append(&mut store, [jump(1, 5)]);
    let entries = [(2, Kept::Jump(jump(2, 5), None)), (3, Kept::Jump(jump(1, 5), None))];
    store.append(&entries, Some(&continuity(50))).unwrap_err();
    assert_eq!(store.left().unwrap().last_sequence, 1);
    assert_eq!(store.left().unwrap().continuity, None);
}

#[test]
fn excursions_close_and_take_their_steps_with_them() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    let closed = Closed { by: 3, at: BootNs(30), residual: DeltaNs(1) };
    let entries = [
        (1, Kept::Jump(jump(1, 9), Some(excursion(1, None)))),
        (2, Kept::Jump(jump(2, 9), Some(excursion(2, None)))),
        (3, Kept::Jump(jump(3, 9), Some(excursion(1, Some(closed))))),
    ];
    store.append(&entries, None).unwrap();
    assert_eq!(store.excursion(1).unwrap(), Some(excursion(1, Some(closed))));
    let mut left = store.left().unwrap().excursions;
    let next = left.open(&jump(4, 1));
    assert_eq!(next.id, 3, "numbers go on");
    let back = Jump { new: OffsetNs(0), ..jump(5, -1) };
    assert_eq!(left.close(&back).map(|closed| closed.id), Some(3), "1 is closed, 2 was a step of it");
}

#[test]
fn retention_by_count_and_by_uptime() {
    let mut store = Store::in_memory(Retention { jumps: 3, age: Duration::from_micros(5) }).unwrap();
    append(&mut store, (1..=5).map(|n| jump(n, 5)));
    assert_eq!(store.retain().unwrap(), 2);
    assert_eq!(store.jump_count(), 3);
    // The machine lives on; then another boot adds its own uptime.
    store.append(&[], Some(&continuity(8_200))).unwrap();
    assert_eq!(store.retain().unwrap(), 1, "uptime 7200; jump 3 came at 2000, 4 at 3000");
    let next_boot = Continuity { boot_id: "next".into(), ..continuity(900) };
    store.append(&[], Some(&next_boot)).unwrap();
    assert_eq!(store.retain().unwrap(), 1);
    assert_eq!(store.retain().unwrap(), 0);
}

#[test]
fn impacts_have_a_bound_of_their_own() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    append(&mut store, [jump(1, 5)]);
    let resolved = |id| Impact { state: State::Resolved, ..impact(id) };
    let kept = [resolved(1), impact(2), resolved(3), resolved(200_003)];
    let entries: Vec<_> = (2..).zip(kept.map(Kept::Impact)).collect();
    store.append(&entries, None).unwrap();
    assert_eq!(store.retain().unwrap(), 0);
    let ids: Vec<u64> = store
        .connection
        .prepare("SELECT id FROM impacts ORDER BY id")
        .unwrap()
        .query_map([], |row| rows::unsigned(row, 0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(ids, [2, 200_003], "what lasts stays");
}

#[test]
fn one_daemon_a_directory() {
    let (dir, _directory) = fresh();
    assert!(matches!(Directory::take(dir.path()), Err(DirectoryError::Taken(_))));
}

#[test]
fn for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let directory = Directory::take(&state).unwrap();
    let (mut store, _) = open(&directory, Retention::default()).unwrap();
    append(&mut store, [jump(1, 5)]);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(state.clone()), 0o700);
    for name in ["timejump.db", "timejump.db-wal", "timejump.lock"] {
        assert_eq!(mode(state.join(name)), 0o600, "{name}");
    }
}

#[test]
fn numbers_outlive_the_database() {
    let (_dir, directory) = fresh();
    directory.note_last_told(41, 77).unwrap();
    let (_, left) = open(&directory, Retention::default()).unwrap();
    assert_eq!((left.last_sequence, left.last_position), (41, 77));
}

#[test]
fn a_damaged_database_is_set_aside() {
    let (dir, directory) = fresh();
    let (mut store, _) = open(&directory, Retention::default()).unwrap();
    append(&mut store, (1..=50).map(|n| jump(n, 5)));
    store.checkpoint().unwrap();
    drop(store);
    let path = directory.database();
    let whole = fs::read(&path).unwrap();
    for (number, damaged) in [
        b"not a database, but long enough to be taken for one if nobody looked".repeat(100),
        {
            let mut bytes = whole.clone();
            let middle = bytes.len() / 3;
            bytes[middle..middle + 9_000].fill(0x5a);
            bytes
        },
        whole[..whole.len() / 2].to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&path, &damaged).unwrap();
        let (mut store, left) = open(&directory, Retention::default()).unwrap();
        assert_eq!(left.last_sequence, 0, "damage {number}");
        append(&mut store, [jump(1, 5)]);
        let aside = dir.path().join(format!("timejump.db.damaged-{}", number + 1));
        assert_eq!(fs::read(aside).unwrap(), damaged);
    }
}

#[test]
fn earlier_schemas_are_brought_up() {
    for (version, takes_away) in [
        (3, "DROP INDEX jumps_by_burst; CREATE INDEX jumps_by_burst ON jumps (burst);"),
        (2, "DROP TABLE deliveries; DROP TABLE remedies;"),
        (
            1,
            "DROP TABLE deliveries; DROP TABLE remedies; DROP INDEX impacts_open; ALTER TABLE impacts DROP COLUMN boot_id; ALTER TABLE impacts \
             DROP COLUMN from_boottime_ns; ALTER TABLE impacts DROP COLUMN until_boottime_ns; ALTER TABLE impacts DROP \
             COLUMN state;",
        ),
    ] {
        let (_dir, directory) = fresh();
        let (mut store, _) = open(&directory, Retention::default()).unwrap();
        append(&mut store, [jump(1, 5)]);
        let statements = format!("{takes_away} PRAGMA user_version = {version};");
        store.connection.execute_batch(&statements).unwrap();
        drop(store);
        let (mut store, left) = open(&directory, Retention::default()).unwrap();
        assert_eq!((left.last_sequence, &left.deliveries[..]), (1, &[][..]), "from version {version}");
        store.append(&[(2, Kept::Impact(impact(1)))], None).unwrap();
        let index = "SELECT sql FROM sqlite_schema WHERE name = 'jumps_by_burst'";
        let index: String = store.connection.query_row(index, [], |row| row.get(0)).unwrap();
        assert!(index.ends_with("WHERE burst <> sequence"), "from version {version}: {index}");
    }
}

#[test]
fn a_burst_is_found_without_looking_at_all_jumps() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    let of = |sequence, burst| Jump { burst, ..jump(sequence, 5) };
    append(&mut store, [of(1, 1), of(2, 2), of(3, 2), of(4, 2), of(5, 5)]);
    let found = |first| store.burst(first).unwrap().map(|burst| (burst.first, burst.last, burst.steps));
    assert_eq!([1, 2, 3, 5, 6].map(found), [Some((1, 1, 1)), Some((2, 4, 3)), None, Some((5, 5, 1)), None]);
    let mut plan = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {}", page::BURST)).unwrap();
    let steps: Vec<String> = plan.query_map([1], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(steps.iter().any(|step| step.contains("jumps_by_burst")), "{steps:?}");
    assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
}

#[test]
fn how_far_a_delivery_has_come_is_known() {
    let (_dir, directory) = fresh();
    let (mut store, _) = open(&directory, Retention::default()).unwrap();
    let at = |sink: &str, position| Delivery { sink: sink.into(), position, state: "{}".into() };
    store.note_deliveries(&[at("a", 1), at("b", 7)]).unwrap();
    store.note_deliveries(&[at("a", 5)]).unwrap();
    drop(store);
    let (_, left) = open(&directory, Retention::default()).unwrap();
    assert_eq!(left.deliveries, [at("a", 5), at("b", 7)]);
}

#[test]
fn a_later_schema_is_left_alone() {
    let (_dir, directory) = fresh();
    let (store, _) = open(&directory, Retention::default()).unwrap();
    store.connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(store);
    let error = open(&directory, Retention::default()).unwrap_err().to_string();
    assert!(error.contains("later version") && error.contains("99"), "{error}");
}

#[test]
fn what_cannot_be_written_can_be_read() {
    let (dir, directory) = fresh();
    let (mut store, _) = open(&directory, Retention::default()).unwrap();
    append(&mut store, [jump(1, 5)]);
    drop(store);
    drop(directory);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(peek(dir.path()).unwrap().last_sequence, 1);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn where_a_stream_begins() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    assert_eq!(store.position_before(1).unwrap(), None);
    let missed = Missed { boot_id: "boot".into(), at: BootNs(1), missed: 3 };
    let entries =
        [(4, Kept::Jump(jump(2, 5), None)), (6, Kept::Jump(jump(3, 5), None)), (7, Kept::Missed(missed))];
    store.append(&entries, None).unwrap();
    for (sequence, before) in [(0, 3), (2, 3), (3, 5), (4, 7)] {
        assert_eq!(store.position_before(sequence).unwrap(), Some(before), "{sequence}");
    }
}

#[test]
fn the_view_reads_well() {
    let mut store = Store::in_memory(Retention::default()).unwrap();
    append(&mut store, [jump(1, 1_500_000_000)]);
    let row: (String, f64, String) = store
        .connection
        .query_row("SELECT wall_after, delta_s, actor FROM history", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(row, ("1970-01-01 00:00:01".into(), 1.5, "date".into()));
}

#[test]
fn remedies_are_entries_like_others() {
    use crate::remedy::{Action, Mode, Reason, Remediation, Stage};
    let (_dir, directory) = fresh();
    let (mut store, left) = open(&directory, Retention::default()).unwrap();
    assert_eq!(left.last_remedy, 0);
    let remedy = |id, stage| Remediation {
        id,
        boot_id: "boot".into(),
        at: BootNs(9),
        wall: WallNs(-7),
        action: Action::EvictPod,
        subject: Subject { kind: "pod".into(), uid: Some("u".into()), ..Subject::default() },
        jump: 1,
        impacts: vec![4, 5],
        stage,
        reason: (stage == Stage::Failed).then_some(Reason::NotCured),
        message: "m".into(),
        mode: Mode::Act,
        started: Some(BootNs(8)),
    };
    let of_another = Remediation { boot_id: "before".into(), ..remedy(1, Stage::DryRun) };
    let (begun, failed) = (remedy(2, Stage::Started), remedy(2, Stage::Failed));
    let told = [of_another.clone(), begun, failed.clone()];
    let entries: Vec<_> = (2..).zip(told.map(Kept::Remedy)).collect();
    store.append(&[(1, Kept::Jump(jump(1, 5), None))], None).unwrap();
    store.append(&entries, None).unwrap();
    // As it was told last, where that was.
    assert_eq!(store.remedies("boot").unwrap(), std::slice::from_ref(&failed));
    assert_eq!(store.remedy(1).unwrap(), Some(of_another.clone()));
    let replayed: Vec<_> = store
        .entries(1, 9)
        .unwrap()
        .into_iter()
        .map(|(position, kept)| match kept {
            Kept::Remedy(remedy) => (position, remedy.id),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(replayed, [(2, 1), (4, 2)]);
    let left = store.left().unwrap();
    assert_eq!((left.last_position, left.last_remedy), (4, 2));
    assert_eq!(store.position_before(99).unwrap(), Some(4));
    // They go with their jump.
    let few = Retention { jumps: 1, ..Retention::default() };
    store.append(&[(5, Kept::Jump(jump(2, 5), None))], None).unwrap();
    drop(store);
    let (mut store, _) = open(&directory, few).unwrap();
    store.retain().unwrap();
    assert!(store.remedies("boot").unwrap().is_empty());
    assert_eq!(store.first_position().unwrap(), Some(5));
}

#[test]
fn what_decides_about_remedies() {
    let (_dir, directory) = fresh();
    let (mut store, _) = open(&directory, Retention::default()).unwrap();
    let closed = |by| Some(Closed { by, at: BootNs(2), residual: DeltaNs(0) });
    let kept = [
        Kept::Jump(jump(1, 5), Some(excursion(1, None))),
        Kept::Jump(jump(2, -5), Some(excursion(1, closed(2)))),
        Kept::Jump(jump(3, 5), Some(excursion(2, None))),
        Kept::Impact(Impact { jump: 2, ..impact(1) }),
        Kept::Impact(Impact { jump: 2, state: State::Resolved, ..impact(2) }),
        Kept::Impact(Impact { jump: 0, boot_id: "before".into(), ..impact(3) }),
    ];
    let entries: Vec<_> = (1..).zip(kept).collect();
    store.append(&entries, None).unwrap();
    let case = store.remedy_case("boot").unwrap();
    assert_eq!(case.impacts.iter().map(|impact| impact.id).collect::<Vec<_>>(), [1]);
    assert_eq!(case.jumps.keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(case.last_jump, Some(BootNs(3000)));
    let excursions: Vec<_> = case.excursions.iter().map(|it| (it.id, it.closed.is_some())).collect();
    assert_eq!(excursions, [(1, true), (2, false)]);
    let other = store.remedy_case("another").unwrap();
    assert!(other.impacts.is_empty() && other.last_jump.is_none());
}
