//! What every store promises of contracts.

use sync_core::shape::{AcceptedContract, ColumnKind, Contract, ContractColumn, Difference};
use sync_core::{Cursor, ErrorKind, Window};

use crate::given::*;

fn contract(columns: &[&str]) -> Contract {
    let columns = columns.iter().map(|name| ContractColumn {
        name: (*name).into(),
        of: (*name).into(),
        kind: ColumnKind::Text,
        supplied: true,
    });
    Contract {
        columns: columns.collect(),
        key: vec!["recordno".into()],
        modified: None,
        keep_together: None,
        period: None,
        left_out: ["odd".to_owned()].into(),
        mapping: sync_core::id::Hasher::new("mapping").digest(),
    }
}

pub(crate) async fn a_contract_is_remembered_with_its_differences_in_the_ledger(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    assert_eq!(store.contract(&claim.scope).await.unwrap(), None);
    let first = AcceptedContract::new(contract(&["recordno"]), false);
    store.accept_contract(&claim, &first, &[]).await.unwrap();
    assert_eq!(store.contract(&claim.scope).await.unwrap(), Some(first));

    let second = AcceptedContract::new(contract(&["recordno", "name"]), false);
    let difference = Difference::ColumnReturned {
        column: "name".into(),
        holds: ColumnKind::Text,
    };
    let accepted = store.accept_contract(&claim, &second, &[difference]).await;
    accepted.unwrap();
    // As another process finds it, on the way to another sink.
    let mut elsewhere = claim.scope.clone();
    elsewhere.sink = "second".into();
    let found = home.open().await.contract(&elsewhere).await.unwrap();
    assert_eq!(found, Some(second.clone()));
    elsewhere.stream = "other".parse().unwrap();
    assert_eq!(store.contract(&elsewhere).await.unwrap(), None);
    let entries = store.entries(0, 100).await.unwrap();
    let last = entries.last().unwrap();
    assert_eq!(last.kind, "schema_changed");
    assert!(
        last.body.contains(r#""difference":"column_returned""#),
        "{}",
        last.body
    );

    let mut late = claim.clone();
    late.token.0 += 1;
    let refused = store
        .accept_contract(&late, &second, &[])
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

pub(crate) async fn what_has_an_older_shape_is_read_whole_once_more(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    store.open_window(&claim, window(5)).await.unwrap();
    store.complete_window(&claim).await.unwrap();
    let between = Window {
        from: Some(after(3)),
        until: after(9),
    };
    store.open_window(&claim, between).await.unwrap();
    let position = Cursor("10".into());
    store.advance(&claim, Some(&position), &[]).await.unwrap();

    let accepted = AcceptedContract::new(contract(&["recordno"]), true);
    store.accept_contract(&claim, &accepted, &[]).await.unwrap();
    // Nothing is read anew until what is on its way has arrived; that may take another process.
    let before = store.checkpoint(&claim.scope).await.unwrap();
    assert_eq!(
        (before.watermark, before.open.unwrap().cursor),
        (Some(after(5)), Some(position))
    );
    let store = home.open().await;
    assert!(store.contract(&claim.scope).await.unwrap().unwrap().reread);
    store.begin_reread(&claim).await.unwrap();
    assert!(!store.contract(&claim.scope).await.unwrap().unwrap().reread);
    let begun = store.checkpoint(&claim.scope).await.unwrap();
    let open = begun.open.unwrap();
    let whole = Window {
        from: None,
        until: after(9),
    };
    assert_eq!(
        (begun.watermark, open.window, open.cursor),
        (None, whole, None)
    );

    let batch = prepared(&claim, "first", 1, 7);
    store.prepare(&claim, &batch, &[]).await.unwrap();
    let settled = settlement(&batch, &[("1", "a")]);
    store.settle(&claim, settled).await.unwrap();
    store.complete_window(&claim).await.unwrap();
    store.begin_reread(&claim).await.unwrap();
    let complete = store.checkpoint(&claim.scope).await.unwrap();
    assert_eq!(complete.watermark, Some(after(9)));

    // Read whole at the same time again, no batch has the place of the first.
    store.accept_contract(&claim, &accepted, &[]).await.unwrap();
    store.begin_reread(&claim).await.unwrap();
    store.open_window(&claim, whole).await.unwrap();
    let open = store.checkpoint(&claim.scope).await.unwrap().open.unwrap();
    assert_eq!((open.window, open.next_ordinal), (whole, 1));
}
