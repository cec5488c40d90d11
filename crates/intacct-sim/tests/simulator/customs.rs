//! What the company added itself: custom fields, an object, a dimension.

use std::collections::{BTreeMap, BTreeSet};

use intacct_sim::{Company, DataType, Edit, ObjectSpec, Scale, Simulator};

use crate::truth::{instant, of, start, text};
use crate::wire::{Wire, between, condition, filter, order, query, value};

#[tokio::test]
async fn custom_fields_are_described_and_keep_their_letters() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    for (object, fields) in [
        (
            "VENDOR",
            &[
                ("Preferred_Regions", "ENUM"),
                ("Contract_Value", "DECIMAL"),
                ("Last_Audit", "DATE"),
                ("Rasset", "INTEGER"),
            ][..],
        ),
        (
            "APBILLITEM",
            &[("Freight_Class", "TEXT"), ("GLDIMregion", "INTEGER")],
        ),
        (
            "GLENTRY",
            &[("Cost_Note", "TEXT"), ("GLDIMregion", "INTEGER")],
        ),
        (
            "GLDETAIL",
            &[("Cost_Note", "TEXT"), ("GLDIMregion", "INTEGER")],
        ),
    ] {
        let lookup = wire
            .text(&format!("<lookup><object>{object}</object></lookup>"))
            .await;
        for (field, data_type) in fields {
            let described = between(&lookup, &format!("<ID>{field}</ID>"), "</Field>");
            let described = described.unwrap_or_else(|| panic!("{object}.{field}"));
            assert!(
                described.contains("<ISCUSTOM>true</ISCUSTOM>"),
                "{described}"
            );
            assert!(described.contains(&format!("<DATATYPE>{data_type}</DATATYPE>")));
        }
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let page = wire.ok(&query(object, &names, "")).await;
        for name in names {
            let filled = page.column(name).iter().any(|text| !text.is_empty());
            assert!(filled, "{object}.{name}");
        }
        // In other letters it is another field.
        let upper = fields[0].0.to_uppercase();
        wire.fails(&query(object, &[&upper], "")).await;
    }
    let vendors = of(simulator.company(), "VENDOR");
    let picked = |many: bool| {
        let fits = |vendor: &&BTreeMap<String, String>| {
            text(vendor, "Preferred_Regions").contains("#~#") == many
        };
        vendors.iter().filter(fits).count()
    };
    assert!(picked(true) > 0 && picked(false) > 0);
}

#[tokio::test]
async fn the_companys_own_object_has_names_of_its_own() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let assets = of(simulator.company(), "asset");
    let fields = ["id", "name", "updatedAt", "Site", "site"];
    let by_id = order(&[("id", "ascending")]);
    let page = wire.ok(&query("asset", &fields, &by_id)).await;
    assert_eq!(page.data["listtype"], "asset");
    assert_eq!(page.records.len(), assets.len());
    for (row, asset) in page.records.iter().zip(&assets) {
        for field in fields {
            assert_eq!(value(row, field).unwrap_or_default(), text(asset, field));
        }
    }
    // Ids grow over a power of ten, and compare as numbers.
    let ids: Vec<u32> = page
        .column("id")
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(ids.is_sorted());
    let differ = |asset: &&BTreeMap<String, String>| text(asset, "Site") != text(asset, "site");
    assert!(assets.iter().any(|asset| differ(&asset)));

    let first = text(&assets[0], "id");
    let read = wire
        .text(&format!(
            "<read><object>asset</object><keys>{first}</keys></read>"
        ))
        .await;
    assert!(read.contains(&format!("<asset><id>{first}</id>")), "{read}");
    let body = wire
        .text("<readByQuery><object>asset</object><query>Book_Value &gt; 0</query></readByQuery>")
        .await;
    assert!(body.contains("<data listtype=\"asset\"") && body.contains("<createdBy>"));

    let company = simulator.company();
    let since = "2026-01-31 18:00:00";
    company
        .edit(&Edit::update("asset", first).set("Book_Value", "12.5"))
        .unwrap();
    let changed = &of(company, "asset")[0];
    assert!(text(changed, "Book_Value").ends_with("12.5"));
    assert!(instant(text(changed, "updatedAt")).as_str() >= since);
    company.edit(&Edit::delete("asset", first)).unwrap_err();
    let last = text(assets.last().unwrap(), "id");
    company.edit(&Edit::delete("asset", last)).unwrap();
    let changes = company.apply_round(1).unwrap()["asset"];
    assert_eq!((changes.created, changes.updated), (1, 1));
}

#[tokio::test]
async fn a_custom_relation_leads_to_the_companys_own_object() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let assets: BTreeMap<String, String> = of(simulator.company(), "asset")
        .iter()
        .map(|asset| (text(asset, "id").to_owned(), text(asset, "name").to_owned()))
        .collect();
    let fields = ["RECORDNO", "Rasset", "Rasset.name"];
    let rest = filter(&condition("isnotnull", "Rasset", &[]));
    let page = wire.ok(&query("VENDOR", &fields, &rest)).await;
    assert!(!page.records.is_empty());
    let mut related = BTreeSet::new();
    for row in &page.records {
        let id = value(row, "Rasset").unwrap();
        // Whole numbers come as `12.0` at times; keys never do.
        assert_eq!(value(row, "Rasset.name"), Some(&*assets[id]));
        related.insert(id.to_owned());
    }
    let keys = page.column("RECORDNO").join(",");
    let call = format!(
        "<readRelated><object>VENDOR</object><keys>{keys}</keys><relation>Rasset</relation></readRelated>"
    );
    let answer = wire.ok(&call).await;
    assert_eq!(answer.data["listtype"], "asset");
    assert_eq!(
        answer.column("id").into_iter().collect::<BTreeSet<_>>(),
        related
    );
}

#[tokio::test]
async fn the_companys_own_dimension_is_on_lines_and_balances_alike() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let dimensions = wire.text("<getDimensions/>").await;
    let own = between(
        &dimensions,
        "<objectName>region</objectName>",
        "</dimension>",
    );
    let own = own.expect("the dimension");
    assert!(own.contains("<userDefinedDimension>true</userDefinedDimension>"));
    assert!(own.contains("<enabledInGL>true</enabledInGL>"));

    // One location has one region, on every object that shows both.
    let mut by_location: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (object, location) in [
        ("APBILLITEM", "LOCATIONID"),
        ("ARINVOICEITEM", "LOCATIONID"),
        ("GLENTRY", "LOCATION"),
        ("GLDETAIL", "LOCATIONID"),
        ("GLACCOUNTBALANCE", "LOCATIONID"),
    ] {
        for line in of(simulator.company(), object) {
            let regions = by_location
                .entry(text(&line, location).to_owned())
                .or_default();
            regions.insert(text(&line, "GLDIMregion").to_owned());
        }
    }
    assert!(by_location.len() > 3);
    assert!(
        by_location.values().all(|regions| regions.len() == 1),
        "{by_location:?}"
    );
    let regions: BTreeMap<String, String> = of(simulator.company(), "region")
        .iter()
        .map(|region| {
            (
                text(region, "id").to_owned(),
                text(region, "name").to_owned(),
            )
        })
        .collect();
    let page = wire
        .ok(&query("GLDETAIL", &["GLDIMregion", "GLDIMregion.name"], ""))
        .await;
    for row in &page.records {
        let name = value(row, "GLDIMregion").map(|id| &*regions[id]);
        assert_eq!(value(row, "GLDIMregion.name"), name);
    }
}

#[tokio::test]
async fn own_fields_and_dimensions_are_described_as_such() {
    let assets = ObjectSpec::new("asset")
        .field("id", DataType::Integer)
        .field("name", DataType::Text)
        .custom_field("Rvendor", DataType::Integer)
        .field("updatedAt", DataType::Timestamp)
        .user_defined_dimension("Asset")
        .record([("id", "1"), ("name", "Crane"), ("updatedAt", "01/02/2026")]);
    let simulator = Simulator::builder()
        .company(Company::from_objects([assets]).unwrap())
        .start()
        .await
        .unwrap();
    let wire = Wire::session(&simulator).await;
    let dimensions = wire.text("<getDimensions/>").await;
    let dimension = between(&dimensions, "<dimension>", "</dimension>").unwrap();
    assert_eq!(
        dimension,
        "<objectName>asset</objectName><objectLabel>Asset</objectLabel><termLabel>Asset</termLabel>\
         <userDefinedDimension>true</userDefinedDimension><enabledInGL>true</enabledInGL>"
    );
    let lookup = wire.text("<lookup><object>asset</object></lookup>").await;
    let custom = between(&lookup, "<ID>Rvendor</ID>", "</Field>").unwrap();
    assert!(custom.contains("<ISCUSTOM>true</ISCUSTOM>"), "{custom}");
    let changed = filter(&condition(
        "greaterthan",
        "updatedAt",
        &["01/01/2026 00:00:00"],
    ));
    let changed = wire
        .ok(&query("asset", &["id", "updatedAt"], &changed))
        .await;
    // A time may come as a date alone.
    assert_eq!(changed.column("updatedAt"), ["01/02/2026"]);
}
