//! Tables: made, widened, left alone.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};
use sink_bigquery::TableId;
use sink_bigquery::client::{FieldType, Table, TableSchema};
use sync_core::stream::metadata;
use sync_core::{ErrorKind, SchemaChange, Sink as _};

use crate::world::{World, batch, of, vendor};

#[tokio::test]
async fn a_plan_changes_nothing_and_is_carried_out_once() {
    let world = World::new().await;
    let stream = vendor();
    let plan = world.sink.plan(&stream).await.unwrap();
    let tables: Vec<_> = plan
        .changes
        .iter()
        .map(|change| match change {
            SchemaChange::CreateTable { table } => table.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tables, ["sync_batch", "sync_run", "sync_tie_out", "vendor"]);
    assert_eq!(plan.statements.len(), 4);
    assert!(
        world
            .client
            .tables()
            .list(&world.dataset)
            .await
            .unwrap()
            .is_empty()
    );
    let refused = world
        .sink
        .write(&batch(&stream, (0, 0), &[("1", "Ada", 1)]))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);

    world.sink.prepare(&plan).await.unwrap();
    world.sink.prepare(&plan).await.unwrap();
    assert!(world.sink.plan(&stream).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_table_is_made_for_those_who_read_it() {
    let world = World::new().await;
    let label = HashMap::from([
        (metadata::LABEL.to_owned(), "Account".to_owned()),
        (metadata::SOURCE_NAME.to_owned(), "ACCOUNTNO".to_owned()),
    ]);
    let mut stream = of(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("account.no", DataType::Utf8, true).with_metadata(label),
        Field::new("day", DataType::Date32, true),
        Field::new("rate", DataType::Decimal128(38, 18), true),
        Field::new("number", DataType::Int64, true),
        Field::new("is_open", DataType::Boolean, true),
    ]);
    stream.period = Some("day".into());
    stream.totals.roles.account = Some("account.no".into());
    world.prepare(&stream).await;
    let table = world.dataset.table(TableId::new("vendor").unwrap());
    let table = world.client.tables().get(&table).await.unwrap();
    let partitioning = table.time_partitioning.unwrap();
    assert_eq!(
        (
            partitioning.granularity.as_str(),
            partitioning.field.as_deref()
        ),
        ("MONTH", Some("day"))
    );
    assert_eq!(table.clustering.unwrap().fields, ["account_no", "id"]);
    assert_eq!(table.labels["stream"], "vendor");
    let fields = table.schema.unwrap().fields;
    let types: Vec<_> = fields
        .iter()
        .map(|it| (it.name.as_str(), &it.field_type))
        .collect();
    assert_eq!(
        types[..7],
        [
            ("id", &FieldType::String),
            ("account_no", &FieldType::String),
            ("day", &FieldType::Date),
            ("rate", &FieldType::BigNumeric),
            ("number", &FieldType::Int64),
            ("is_open", &FieldType::Bool),
            ("_record_id", &FieldType::String),
        ]
    );
    assert_eq!(
        fields[1].description.as_deref(),
        Some("Account (source field ACCOUNTNO)")
    );
    let key = table.table_constraints.unwrap().primary_key.unwrap();
    assert_eq!(key.columns, ["id"]);
}

#[tokio::test]
async fn columns_come_and_what_the_source_drops_turns_null() {
    let world = World::of_vendors().await;
    let narrow = vendor();
    world
        .write(&batch(&narrow, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]))
        .await;

    let mut fields: Vec<Field> = narrow
        .schema
        .fields()
        .iter()
        .map(|it| it.as_ref().clone())
        .collect();
    fields.retain(|field| field.name() != "name" && field.name() != "changed");
    fields.push(Field::new("email", DataType::Utf8, true));
    let other = of(fields);
    let plan = world.sink.plan(&other).await.unwrap();
    assert_eq!(
        plan.changes,
        [SchemaChange::AddColumn {
            table: "vendor".into(),
            column: "email".into(),
            column_type: "STRING".into()
        }]
    );
    world.sink.prepare(&plan).await.unwrap();
    assert!(world.sink.plan(&other).await.unwrap().is_empty());
    world
        .write(&batch(&other, (1, 0), &[("2", "bob@example.org", 2)]))
        .await;
    let sql = "SELECT id, name, email FROM vendor ORDER BY id";
    assert_eq!(world.ask(sql).await, ["1|Ada|-", "2|-|bob@example.org"]);
}

#[tokio::test]
async fn a_column_takes_more_places_and_no_other_type() {
    let world = World::new().await;
    if world.simulator.is_none() {
        // The emulator widens no decimals.
        return;
    }
    let scaled = |data_type| {
        of(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("amount", data_type, true),
        ])
    };
    world.prepare(&scaled(DataType::Decimal128(38, 9))).await;
    let finer = scaled(DataType::Decimal128(38, 18));
    let plan = world.sink.plan(&finer).await.unwrap();
    assert_eq!(
        plan.changes,
        [SchemaChange::WidenColumn {
            table: "vendor".into(),
            column: "amount".into(),
            from: "NUMERIC".into(),
            to: "BIGNUMERIC".into()
        }]
    );
    world.sink.prepare(&plan).await.unwrap();
    assert!(world.sink.plan(&finer).await.unwrap().is_empty());
    // What has fewer places fits as it is.
    let coarse = scaled(DataType::Decimal128(38, 2));
    assert!(world.sink.plan(&coarse).await.unwrap().is_empty());
    let refused = world.sink.plan(&scaled(DataType::Utf8)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn what_others_made_is_left_alone() {
    let world = World::new().await;
    let table = world.dataset.table(TableId::new("vendor").unwrap());
    let schema = TableSchema::new([sink_bigquery::client::Field::new("id", FieldType::String)]);
    let made = Table::new(table).with_schema(schema);
    world.client.tables().insert(&made).await.unwrap();
    let refused = world.sink.plan(&vendor()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let told: Vec<_> = world.sink.check().await.unwrap();
    assert!(
        told.iter().any(|it| it.to_string().contains("vendor")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_dataset_is_made_only_where_that_was_asked_for() {
    let elsewhere = |name: &str| {
        let id = format!("{name}_{}", std::process::id());
        sink_bigquery::DatasetRef::new(
            sink_bigquery::ProjectId::new("demo").unwrap(),
            sink_bigquery::DatasetId::new(id).unwrap(),
        )
    };
    let world = World::with(|mut options| {
        options.dataset = elsewhere("missing");
        options
    })
    .await;
    let refused = world.sink.plan(&vendor()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let checked = world.sink.check().await.unwrap();
    assert!(
        checked
            .iter()
            .any(|it| it.to_string().contains("does not exist"))
    );

    let world = World::with(|mut options| {
        options.dataset = elsewhere("made");
        options.create_dataset_in(sink_bigquery::Location::new("EU").unwrap())
    })
    .await;
    world.prepare(&vendor()).await;
    world
        .write(&batch(&vendor(), (0, 0), &[("1", "Ada", 1)]))
        .await;
}

#[tokio::test]
async fn a_check_finds_nothing_where_all_is_well() {
    let world = World::of_vendors().await;
    let found = world.sink.check().await.unwrap();
    let bad = found
        .iter()
        .filter(|it| it.severity > sync_core::Severity::Info);
    assert_eq!(bad.count(), 0, "{found:?}");
    assert!(
        found.iter().any(|it| it.to_string().contains("EU")),
        "{found:?}"
    );
}
