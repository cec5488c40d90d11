//! What each mode of a contract does with columns that come, go and change.

use sync_core::store::LetterStore as _;

use crate::things::{World, tells};

const FREEZE: &str = "contract = \"freeze\"";
const DISCARD_ROW: &str = "contract = \"discard_row\"";
const DISCARD_VALUE: &str = "[streams.thing]\ncontract = \"discard_value\"";

/// Two records, delivered, and long ago.
async fn delivered(world: &World) {
    world.things.columns("name:text due:decimal(2)");
    world.things.totals(&["due"], &[]);
    world.things.set(1, &[("name", "Ann"), ("due", "1.50")]);
    world.things.set(2, &[("name", "Bob"), ("due", "2.50")]);
    world.things.pass(1_000_000);
    world.complete("").await;
}

/// Decimals without the zeros that only one of the warehouses writes.
async fn rows(world: &World, columns: &str) -> Vec<String> {
    let rows = world.rows(columns).await.into_iter();
    let cells = |row: String| {
        let cells = row.split('|').map(|cell| match cell.split_once('.') {
            Some((whole, places)) => format!("{whole}.{:0<2}", places.trim_end_matches('0')),
            None => cell.to_owned(),
        });
        cells.collect::<Vec<_>>().join("|")
    };
    rows.map(cells).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_evolves_gains_columns_and_keeps_those_that_go() {
    World::each(|world| async move {
        delivered(&world).await;
        world.things.columns("due:decimal(2) rank:integer");
        world.things.set(2, &[("due", "3.50"), ("rank", "7")]);
        let planned = world.pipeline("").plan().await.unwrap();
        assert_eq!(
            (
                planned[0].differences.len(),
                planned[0].sinks[0].changes.len()
            ),
            (2, 1),
            "{planned:?}"
        );
        assert!(
            planned[0].sinks[0]
                .statements
                .iter()
                .any(|it| it.contains("rank"))
        );
        let report = world.complete("").await;
        assert_eq!(
            rows(&world, "recordno, name, due, rank").await,
            ["1|Ann|1.50|-", "2|-|3.50|7"]
        );
        assert!(report.tie_out.is_equal(), "{report:?}");
        assert!(tells(&report, &["rank", "new"]) && tells(&report, &["name", "gone"]));
        let told = world.ledger("schema_changed").await;
        let told: Vec<_> = told
            .iter()
            .filter_map(|it| it["differences"].as_array())
            .collect();
        let last: Vec<_> = told
            .last()
            .unwrap()
            .iter()
            .map(|it| it["difference"].as_str().unwrap())
            .collect();
        assert_eq!(last, ["column_added", "column_gone"]);
        assert!(world.pipeline("").plan().await.unwrap()[0].is_empty());

        // It comes back.
        world
            .things
            .columns("name:text due:decimal(2) rank:integer");
        world
            .things
            .set(2, &[("name", "Bea"), ("due", "3.50"), ("rank", "7")]);
        let report = world.complete("").await;
        assert_eq!(rows(&world, "recordno, name").await, ["1|Ann", "2|Bea"]);
        assert!(tells(&report, &["name", "again"]), "{:?}", report.findings);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_changes_goes_on_in_a_column_of_its_own_and_nothing_is_lost() {
    World::each(|world| async move {
        delivered(&world).await;
        world.things.delete(1);
        world.complete("").await;
        let read = world.things.read_so_far();
        world.things.columns("name:integer due:decimal(2)");
        world.things.set(3, &[("name", "30"), ("due", "1")]);
        // The source's other record has the new type too, and was not modified for it.
        world.things.pass(-1_000_000);
        world.things.set(2, &[("name", "20"), ("due", "2.50")]);
        world.things.pass(1_000_000);
        let report = world.complete("").await;
        assert_eq!(
            rows(&world, "recordno, name, name__integer").await,
            ["1|Ann|-", "2|-|20", "3|-|30"]
        );
        assert!(
            world.things.read_so_far() > read + 1,
            "the stream was read whole"
        );
        assert!(tells(
            &report,
            &["name was text and is integer", "name__integer"]
        ));
        assert!(report.tie_out.is_equal(), "{report:?}");

        // And back: into the column that it had.
        world.things.columns("name:text due:decimal(2)");
        world.things.set(3, &[("name", "Cid"), ("due", "1")]);
        world.complete("").await;
        let there = rows(&world, "recordno, name, name__integer").await;
        assert_eq!(there, ["1|Ann|-", "2|20|-", "3|Cid|-"]);
        let mut columns = world.columns().await;
        columns.sort();
        assert_eq!(
            columns.join(" "),
            "due name name__integer recordno whenmodified"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decimals_are_widened_in_place() {
    World::each(|world| async move {
        delivered(&world).await;
        world.things.columns("name:text due:decimal(18)");
        world
            .things
            .set(2, &[("name", "Bob"), ("due", "2.123456789012345678")]);
        let report = world.complete("").await;
        assert_eq!(
            rows(&world, "recordno, due").await,
            ["1|1.50", "2|2.123456789012345678"]
        );
        assert!(report.tie_out.is_equal(), "{report:?}");
        assert!(tells(&report, &["due was decimal(2) and is decimal(18)"]));
        // What needs fewer places needs no other column.
        world.things.columns("name:text due:decimal(2)");
        world.things.set(2, &[("name", "Bob"), ("due", "2")]);
        let report = world.complete("").await;
        assert!(
            report.tie_out.is_equal() && report.findings.is_empty(),
            "{report:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_stream_fails_before_it_is_read_and_says_in_what_it_differs() {
    World::each(|world| async move {
        delivered(&world).await;
        let read = world.things.read_so_far();
        world.things.columns("due:text rank:integer");
        world.things.totals(&[], &[]);
        world.things.set(2, &[("due", "3.50"), ("rank", "7")]);
        let report = world.run(FREEZE).await;
        let error = report.streams[0].error.as_ref().unwrap();
        for difference in [
            "due was decimal(2) and is text",
            "rank (integer) is new",
            "name (text) is gone",
        ] {
            assert!(error.contains(difference), "{error}");
        }
        assert_eq!(world.things.read_so_far(), read);
        let planned = world.pipeline(FREEZE).plan().await.unwrap();
        assert!(
            planned[0].refused.as_ref().unwrap().contains("rank"),
            "{planned:?}"
        );
        assert_eq!(world.columns().await.len(), 4);
        // Let go for one run, it is frozen as it is then.
        world.complete("").await;
        world.complete(FREEZE).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_with_something_new_are_dead_letters_until_the_stream_may_evolve() {
    World::each(|world| async move {
        delivered(&world).await;
        world
            .things
            .columns("name:text due:decimal(2) rank:integer");
        world
            .things
            .set(2, &[("name", "Bob"), ("due", "9"), ("rank", "7")]);
        world.things.set(3, &[("name", "Cid"), ("due", "3")]);
        let report = world.complete(DISCARD_ROW).await;
        assert_eq!((report.written, report.rejected), (1, 1));
        assert_eq!(
            rows(&world, "recordno, due").await,
            ["1|1.50", "2|2.50", "3|3.00"]
        );
        assert!(
            tells(&report, &["rank", "1 records"]),
            "{:?}",
            report.findings
        );
        assert!(!report.tie_out.is_equal());
        let letters = world
            .store()
            .dead_letters(&world.scope(), 10)
            .await
            .unwrap();
        assert_eq!(letters[0].column.as_deref(), Some("rank"));
        assert_eq!(letters[0].fields.len(), 5);

        world.things.pass(1_000_000);
        let report = world.complete("").await;
        assert_eq!(
            rows(&world, "recordno, due, rank").await,
            ["1|1.50|-", "2|9.00|7", "3|3.00|-"]
        );
        assert!(report.tie_out.is_equal(), "{report:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_something_new_are_left_out_and_counted_until_the_stream_may_evolve() {
    World::each(|world| async move {
        delivered(&world).await;
        world
            .things
            .columns("name:integer due:decimal(2) rank:integer");
        world
            .things
            .set(1, &[("name", "10"), ("due", "1.50"), ("rank", "6")]);
        world.things.set(2, &[("due", "9"), ("rank", "7")]);
        let report = world.complete(DISCARD_VALUE).await;
        assert_eq!(
            rows(&world, "recordno, name, due").await,
            ["1|-|1.50", "2|-|9.00"]
        );
        assert!(tells(&report, &["rank", "2 values"]) && tells(&report, &["name", "1 values"]));
        assert!(report.tie_out.is_equal(), "{report:?}");
        assert_eq!(world.columns().await.len(), 4);

        world.things.pass(1_000_000);
        let report = world.complete("").await;
        assert_eq!(
            rows(&world, "recordno, name, name__integer, rank").await,
            ["1|-|10|6", "2|-|-|7"]
        );
        assert!(report.tie_out.is_equal(), "{report:?}");
    })
    .await;
}
