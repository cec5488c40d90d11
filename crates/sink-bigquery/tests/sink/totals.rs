//! Counts and sums, by query.

use sync_core::{Condition, Sink as _, TotalsQuery};
use time::{Date, Duration, Month};

use crate::world::{BEGINNING, World, batch, deletes, vendor};

fn told(totals: sync_core::ControlTotals) -> Vec<String> {
    let groups = totals.groups.into_iter();
    let groups = groups.map(|(key, totals)| {
        let sums: Vec<_> = totals.sums.iter().map(ToString::to_string).collect();
        format!("{} {} {}", key.join("/"), totals.records, sums.join(" "))
    });
    groups.collect()
}

#[tokio::test]
async fn live_rows_are_counted_and_summed_by_group() {
    let world = World::of_vendors().await;
    let mut stream = vendor();
    let some = [
        ("1", "a", 110),
        ("2", "b", 220),
        ("3", "b", 330),
        ("4", "", 440),
        ("5", "a", 1),
    ];
    world.write(&batch(&stream, (0, 0), &some)).await;
    world.write(&deletes(&stream, (1, 0), &["5"])).await;
    let ask =
        async |query: TotalsQuery| told(world.sink.control_totals(&query).await.unwrap().unwrap());
    let all = TotalsQuery::of(std::sync::Arc::new(stream.clone()));
    assert_eq!(ask(all).await, [" 4 11.00"]);

    stream.totals.group_by = vec!["name".into()];
    let by_name = || TotalsQuery::of(std::sync::Arc::new(stream.clone()));
    assert_eq!(ask(by_name()).await, [" 1 4.40", "a 1 1.10", "b 2 5.50"]);
    let of_b = by_name().matching(Condition::one_of("name", ["b", ""]));
    assert_eq!(ask(of_b).await, [" 1 4.40", "b 2 5.50"]);
    // Changed 110, 220, 330 and 440 seconds before the beginning.
    let before = by_name().modified_before(BEGINNING - Duration::seconds(220));
    assert_eq!(ask(before).await, [" 1 4.40", "b 1 3.30"]);

    stream.totals.group_by = vec!["day".into()];
    let by_month = TotalsQuery::of(std::sync::Arc::new(stream.clone())).by_month();
    assert_eq!(
        ask(by_month.clone()).await,
        ["2026-01 2 7.70", "2026-02 2 3.30"]
    );
    let first = Date::from_calendar_date(2026, Month::February, 1).unwrap();
    let february = by_month.matching(Condition::between("day", Some(first), None));
    assert_eq!(ask(february).await, ["2026-02 2 3.30"]);
    let nothing = TotalsQuery::of(std::sync::Arc::new(stream.clone()))
        .matching(Condition::one_of("id", ["none"]));
    assert!(ask(nothing).await.is_empty());
}
