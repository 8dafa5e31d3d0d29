use std::sync::Arc;
use std::time::Duration;

use mirror_compare::difference::Class;
use mirror_compare::report::{Finding, Shown};
use tempfile::tempdir;

use super::super::rows::{Contents, MINUTE, Range, Row, Wanted};
use super::super::{Limits, Place, RunFacts};
use super::*;

fn finding(id: usize, endpoint: &str, kind: u64, minute: i64) -> Arc<Finding> {
    let shown = Shown {
        path: format!("body.field{kind}").into(),
        pointer: String::new(),
        class: Class::Value,
        hint: None,
        production: None,
        candidate: None,
        noise: None,
        forgiven_by: None,
        rule: None,
    };
    Arc::new(Finding {
        id: id.to_string(),
        endpoint: endpoint.to_owned(),
        kind,
        at: Some(minute * MINUTE),
        differences: vec![shown],
        ..Finding::default()
    })
}

fn fill(database: &mut Database, findings: &[Arc<Finding>], bytes: usize) -> u64 {
    let row = |finding| Row { finding, data: vec![7; bytes] };
    findings
        .chunks(50)
        .map(|part| {
            let stored = database.insert(&part.iter().map(row).collect::<Vec<_>>(), 0).unwrap();
            database.tend().unwrap();
            stored
        })
        .sum()
}

fn open(place: &Place, limits: Limits) -> Database {
    let mut database = Database::open(place, limits).unwrap();
    database.begin_run(&RunFacts::default()).unwrap();
    database
}

fn all(database: &Database) -> (Contents, usize) {
    let contents = database.contents(&Wanted::default()).unwrap();
    let wanted = Wanted { upto: contents.upto, ..Wanted::default() };
    let pairs = database.pairs(&wanted, usize::MAX).unwrap();
    (contents, pairs.len())
}

fn refused(place: &Place) -> String {
    Database::open(place, Limits::default()).err().map_or_else(String::new, |why| why.to_string())
}

#[test]
fn what_is_stored_comes_back_by_kind_and_time() {
    let mut database = open(&Place::Memory, Limits::default());
    let mut findings = Vec::new();
    for n in 0..90 {
        findings.push(finding(n, "GET /a", 1 + n as u64 % 3, 10 + n as i64 / 30));
    }
    assert_eq!(fill(&mut database, &findings, 10), 90);
    let (contents, pairs) = all(&database);
    assert_eq!((contents.kinds.len(), contents.runs, pairs), (3, 1, 90));
    assert!(contents.kinds.iter().all(|kind| kind.seen == 30 && kind.stored == 30));
    let range = Range::new(Some(11 * MINUTE + 5), Some(12 * MINUTE));
    let wanted = Wanted { range, ..Wanted::default() };
    let contents = database.contents(&wanted).unwrap();
    assert!(contents.kinds.iter().all(|kind| (kind.seen, kind.stored) == (10, 10)), "{contents:?}");
    let wanted = Wanted { upto: contents.upto, ..wanted };
    assert_eq!(database.pairs(&wanted, 7).unwrap().len(), 7);
    assert_eq!(database.pairs(&wanted, 70).unwrap().len(), 30);
    let behind = Wanted { after: contents.upto, ..wanted };
    assert_eq!(database.pairs(&behind, 70).unwrap().len(), 0);
}

#[test]
fn fields_lead_to_their_pairs_by_an_index() {
    let database = open(&Place::Memory, Limits::default());
    let plan = "EXPLAIN QUERY PLAN SELECT p.sequence FROM field f JOIN kind k ON k.id = f.kind JOIN pair p ON p.kind = k.id \
                WHERE f.path = 'body.a' AND f.class = 'value' AND k.endpoint = 'e' AND p.minute BETWEEN 1 AND 2";
    let mut plan = database.connection.prepare(plan).unwrap();
    let steps = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
    let steps: Vec<String> = steps.map(Result::unwrap).collect();
    assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{steps:?}");
    assert!(
        steps.iter().any(|step| step.contains("pair_by_kind (kind=? AND minute>?")),
        "{steps:?}"
    );
}

#[test]
fn a_full_store_thins_what_there_is_most_of_and_counts_all() {
    let limits = Limits { bytes: 2 << 20, ..Limits::default() };
    let folder = tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut database = open(&Place::File(path.clone()), limits);
    let mut findings: Vec<_> = (0..8_000).map(|n| finding(n, "GET /often", 1, 0)).collect();
    findings.extend((8_000..8_020).map(|n| finding(n, "GET /rare", 2, 0)));
    findings.extend((8_020..9_000).map(|n| finding(n, "GET /often", 3, 0)));
    let stored = fill(&mut database, &findings, 1_000);
    assert!(stored < 9_000);
    let (contents, pairs) = all(&database);
    let counts: Vec<_> = contents.kinds.iter().map(|kind| kind.seen).collect();
    assert_eq!(counts, [8_000, 20, 980], "all are counted");
    assert!((500..2_000).contains(&pairs), "{pairs}");
    assert_eq!(contents.kinds[1].stored, 20, "the rare ones are all there");
    assert_eq!(contents.kinds.iter().map(|kind| kind.stored).sum::<u64>(), pairs as u64);
    // A uniform sample has early pairs and late ones.
    let wanted = Wanted { upto: contents.upto, ..Wanted::default() };
    let of_often = database.pairs(&wanted, usize::MAX).unwrap();
    let places: Vec<_> = of_often.iter().filter(|pair| pair.kind == 1).collect();
    let early = places.iter().filter(|pair| pair.sequence < 2_000).count();
    assert!(early > 0 && early < places.len(), "{early} of {}", places.len());
    assert!(std::fs::metadata(&path).unwrap().len() <= limits.bytes, "the file is bounded");
    database.close().unwrap();
    // It stays bounded, and the thresholds hold, when it is opened again.
    let mut database = open(&Place::File(path.clone()), limits);
    fill(&mut database, &findings, 1_000);
    let (contents, _) = all(&database);
    assert_eq!(contents.runs, 2);
    assert_eq!(contents.kinds.iter().map(|kind| kind.seen).sum::<u64>(), 18_000);
    assert!(std::fs::metadata(&path).unwrap().len() <= limits.bytes);
}

#[test]
fn what_is_too_old_goes_and_is_not_counted_any_more() {
    let limits = Limits { age: Duration::from_secs(3_600), ..Limits::default() };
    let mut database = open(&Place::Memory, limits);
    let findings: Vec<_> = (0..5_000).map(|n| finding(n, "GET /a", 1, 0)).collect();
    fill(&mut database, &findings, 10);
    // Two hours later.
    let old = database.hour - 2;
    database.connection.execute("UPDATE pair SET hour = ?1", [old]).unwrap();
    database.connection.execute("UPDATE seen SET hour = ?1", [old]).unwrap();
    let mut expired = database.tend().unwrap().expired;
    assert!(expired > 0 && expired < 5_000, "in parts: {expired}");
    assert_eq!(all(&database).1, 0, "none of them is read any more");
    while database
        .connection
        .query_row("SELECT count(*) FROM seen", [], |row| row.get::<_, i64>(0))
        .unwrap()
        > 0
    {
        expired += database.tend().unwrap().expired;
    }
    assert_eq!(expired, 5_000);
    let (contents, pairs) = all(&database);
    assert_eq!((contents.kinds.len(), pairs), (0, 0));
}

#[test]
fn kinds_of_an_endpoint_are_bounded() {
    let mut database = open(&Place::Memory, Limits::default());
    let findings: Vec<_> = (0..1_000).map(|n| finding(n, "GET /a", 1 + n as u64, 0)).collect();
    fill(&mut database, &findings, 10);
    let (contents, pairs) = all(&database);
    assert_eq!((contents.kinds.len(), pairs), (write::MAX_KINDS + 1, 1_000));
}

#[test]
fn what_is_no_store_of_ours_is_refused_with_a_reason() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let file = |name: &str| Place::File(at(name));
    std::fs::write(
        at("text"),
        "not a database, whatever its name says, and longer than a header is".repeat(20),
    )
    .unwrap();
    assert!(refused(&file("text")).contains("no store of mirror compare"));
    let other = Connection::open(at("other.db")).unwrap();
    other.execute_batch("CREATE TABLE a (b)").unwrap();
    drop(other);
    assert!(refused(&file("other.db")).contains("no store of mirror compare"));
    assert!(refused(&Place::ReadOnly(at("missing"))).contains("no such file"));
    std::fs::write(at("empty"), "").unwrap();
    assert!(refused(&Place::ReadOnly(at("empty"))).contains("no store of mirror compare"));
    assert_eq!(refused(&file("empty")), "", "an empty file becomes one");

    let mut database = open(&file("f.db"), Limits::default());
    let findings: Vec<_> = (0..500).map(|n| finding(n, "GET /a", 1, 0)).collect();
    fill(&mut database, &findings, 1_000);
    for place in [file("f.db"), Place::ReadOnly(at("f.db"))] {
        assert!(
            refused(&place).contains("another mirror uses it"),
            "{place:?}: {}",
            refused(&place)
        );
    }
    database.close().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "no log is left");
    assert_eq!(refused(&Place::ReadOnly(at("f.db"))), "");

    let newer = Connection::open(at("f.db")).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    drop(newer);
    assert!(refused(&file("f.db")).contains("newer mirror wrote it: its version is 9"));
    let older = Connection::open(at("f.db")).unwrap();
    older.pragma_update(None, "user_version", 1).unwrap();
    drop(older);
    let whole = std::fs::read(at("f.db")).unwrap();
    for length in [whole.len() / 2, whole.len() - 1_000, 4_096 * 3, 1_000] {
        std::fs::write(at("cut.db"), &whole[..length]).unwrap();
        for place in [file("cut.db"), Place::ReadOnly(at("cut.db"))] {
            assert!(
                refused(&place).contains("cut off or damaged"),
                "{length}: {}",
                refused(&place)
            );
        }
    }
}

#[test]
fn a_disk_without_space_is_told_and_what_was_written_stays() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("f.db");
    let mut database = open(&Place::File(path.clone()), Limits::default());
    let findings: Vec<_> = (0..400).map(|n| finding(n, "GET /a", 1, 0)).collect();
    fill(&mut database, &findings[..200], 100);
    let pages = database.number("page_count").unwrap();
    database.connection.pragma_update(None, "max_page_count", pages + 3).unwrap();
    let rows: Vec<Row<'_>> =
        findings[200..].iter().map(|finding| Row { finding, data: vec![7; 2_000] }).collect();
    let error = database.insert(&rows, 0).unwrap_err().to_string();
    assert_eq!(error, "the disk is full");
    assert_eq!(all(&database).1, 200);
    database.close().unwrap();
    assert_eq!(all(&Database::open(&Place::ReadOnly(path), Limits::default()).unwrap()).1, 200);
}

#[test]
fn a_process_that_was_killed_leaves_a_store_that_can_be_read_and_added_to() {
    let folder = tempdir().unwrap();
    let (path, copy) = (folder.path().join("f.db"), folder.path().join("copy.db"));
    let mut database = open(&Place::File(path.clone()), Limits::default());
    let findings: Vec<_> = (0..500).map(|n| finding(n, "GET /a", 1, 0)).collect();
    fill(&mut database, &findings, 1_000);
    // What is on the disk at this moment, with a log whose last bytes did not reach it.
    std::fs::copy(&path, &copy).unwrap();
    let log = std::fs::read(folder.path().join("f.db-wal")).unwrap();
    std::fs::write(folder.path().join("copy.db-wal"), &log[..log.len() - 100]).unwrap();
    drop(database);
    let read = Database::open(&Place::ReadOnly(copy.clone()), Limits::default()).unwrap();
    let (contents, pairs) = all(&read);
    assert!(pairs > 0 && pairs % 50 == 0, "whole batches: {pairs}");
    assert_eq!(contents.kinds[0].seen, pairs as u64);
    drop(read);
    let mut database = open(&Place::File(copy), Limits::default());
    fill(&mut database, &findings, 1_000);
    assert_eq!(all(&database).0.kinds[0].seen, pairs as u64 + 500);
}
