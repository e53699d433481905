//! The sweep: what belongs to nobody goes, what belongs to a row or to an open task stays.

use crate::bench::{Bench, FIRST, FOREIGN, LAYER, SECOND, id};
use crate::platform::tag;
use serde_json::Value;
use shale_server::catalog::{TaskRow, now};
use shale_server::sweep::{Swept, sweep};

use std::sync::Arc;
use uuid::Uuid;

/// What has no row.
const ORPHAN: Uuid = id(0x31);

/// A world in which nothing belongs to nobody.
fn tidy_bench() -> Bench {
    let bench = Bench::new();
    // The foreign version is deployable: the machine that carries its id has served its purpose.
    assert_eq!(
        sweep(bench.world()).unwrap(),
        Swept { machines: vec![FOREIGN], versions: vec![], ..Swept::default() }
    );
    bench
}

/// A task on a version, open.
fn open_task(bench: &Bench, kind: &str, version: Uuid) -> Uuid {
    let at = now();
    let task = TaskRow {
        id: Uuid::now_v7(),
        kind: kind.into(),
        title: "A task.".into(),
        layer_id: Some(LAYER),
        version_id: Some(version),
        input: Value::Null,
        request: Value::Null,
        created_by: "a test".into(),
        comment: String::new(),
        created_at: at.clone(),
        updated_at: at,
        ending: None,
        error: None,
        finished_at: None,
    };
    bench.change(async |tx| task.insert(tx).await);
    task.id
}

/// A task on a version that is over: this catalog knows what became of it.
fn ended_task(bench: &Bench, version: Uuid) {
    let task = open_task(bench, "add_version", version);
    bench.change(async |tx| TaskRow::end(tx, task, "canceled", None).await);
}

#[test]
fn a_version_that_the_catalog_never_heard_of_stays_as_an_older_catalog_would_not_know_it_either() {
    let bench = tidy_bench();
    bench.store(ORPHAN, 0x99);
    assert_eq!(sweep(bench.world()).unwrap(), Swept::default());
    assert!(stored(&bench).contains(&ORPHAN));
}

#[test]
fn a_machine_stays_while_its_version_is_being_made_even_if_its_task_is_stuck() {
    let bench = tidy_bench();
    bench.add_editing(LAYER, ORPHAN, "1.2", Some(FIRST));
    bench.platform.plant(ORPHAN);
    ended_task(&bench, ORPHAN);
    assert_eq!(sweep(bench.world()).unwrap(), Swept::default());
    assert_eq!(bench.platform.tags(), [tag(ORPHAN)]);
}

fn stored(bench: &Bench) -> Vec<Uuid> {
    bench.world().repository.versions().unwrap().into_iter().map(|version| version.id.into()).collect()
}

#[test]
fn what_no_row_knows_is_removed_from_the_platform_and_from_the_repository_and_the_rest_stays() {
    let bench = tidy_bench();
    bench.platform.plant(ORPHAN);
    bench.store(ORPHAN, 0x99);
    ended_task(&bench, ORPHAN);
    assert_eq!(
        sweep(bench.world()).unwrap(),
        Swept { machines: vec![ORPHAN], versions: vec![ORPHAN], ..Swept::default() }
    );
    assert!(bench.platform.tags().is_empty());
    assert_eq!(stored(&bench), [FIRST, SECOND, FOREIGN]);
    assert_eq!(sweep(bench.world()).unwrap(), Swept::default(), "there is nothing to do any more");
}

#[test]
fn what_an_open_task_works_on_stays_until_the_task_has_ended() {
    let bench = tidy_bench();
    // The row is gone already, as in a task that is being undone, or that has not committed its last word.
    bench.platform.plant(ORPHAN);
    bench.store(ORPHAN, 0x99);
    let task = open_task(&bench, "add_version", ORPHAN);
    assert_eq!(sweep(bench.world()).unwrap(), Swept::default());
    assert_eq!(bench.platform.tags(), [tag(ORPHAN)]);
    bench.change(async |tx| TaskRow::end(tx, task, "stuck", None).await);
    assert_eq!(
        sweep(bench.world()).unwrap(),
        Swept { machines: vec![ORPHAN], versions: vec![ORPHAN], ..Swept::default() }
    );
}

#[test]
fn a_version_being_made_keeps_its_machine_although_it_is_nowhere_in_the_repository() {
    let bench = tidy_bench();
    bench.add_editing(LAYER, ORPHAN, "1.2", Some(FIRST));
    bench.platform.plant(ORPHAN);
    open_task(&bench, "add_version", ORPHAN);
    assert_eq!(sweep(bench.world()).unwrap(), Swept::default());
    assert_eq!(bench.platform.tags(), [tag(ORPHAN)]);
}

#[test]
fn what_is_made_while_the_sweep_looks_has_its_row_by_the_time_the_catalog_is_read() {
    let bench = Arc::new(tidy_bench());
    let maker = bench.clone();
    // As a request and its task would: row and task first, then the machine, in the moment of the listing.
    bench.platform.before_listing(move || {
        maker.add_editing(LAYER, ORPHAN, "1.2", Some(FIRST));
        open_task(&maker, "add_version", ORPHAN);
        maker.platform.plant(ORPHAN);
        maker.store(ORPHAN, 0x99);
    });
    assert_eq!(sweep(bench.world()).unwrap(), Swept::default());
    assert_eq!(bench.platform.tags(), [tag(ORPHAN)]);
    assert!(stored(&bench).contains(&ORPHAN));
}

#[test]
fn a_platform_that_does_not_answer_keeps_nobody_from_sweeping_the_repository() {
    let bench = tidy_bench();
    bench.platform.plant(ORPHAN);
    bench.store(ORPHAN, 0x99);
    ended_task(&bench, ORPHAN);
    bench.platform.go_away();
    assert_eq!(
        sweep(bench.world()).unwrap(),
        Swept { machines: vec![], versions: vec![ORPHAN], ..Swept::default() }
    );
    assert_eq!(bench.platform.tags(), [tag(ORPHAN)]);
}
