//! What every store promises of closed periods.

use std::collections::BTreeMap;

use sync_core::ErrorKind;
use sync_core::id::Hasher;
use sync_core::store::VerifiedPeriod;

use crate::given::*;

fn period(name: &str, records: u64, amount: &str) -> VerifiedPeriod {
    VerifiedPeriod {
        period: name.into(),
        records,
        sums: BTreeMap::from([("amount".into(), amount.parse().unwrap())]),
        content: Hasher::new("test").part(name.as_bytes()).digest(),
    }
}

pub(crate) async fn closed_periods_are_kept_as_they_were_verified(home: &impl Home) {
    let store = home.open().await;
    let (claim, other) = (running(&store).await, running_on(&store, "line").await);
    assert_eq!(store.verified_periods(&claim.scope).await.unwrap(), []);

    let (november, december) = (period("2025-11", 3, "-1.005"), period("2025-12", 0, "0"));
    for period in [&december, &november] {
        store.verify_period(&claim, period, None).await.unwrap();
    }
    store
        .verify_period(&other, &period("2025-10", 1, "7"), None)
        .await
        .unwrap();
    // As another process finds them: in their order, and those of this stream alone.
    let kept = home
        .open()
        .await
        .verified_periods(&claim.scope)
        .await
        .unwrap();
    assert_eq!(kept, [november.clone(), december.clone()]);

    let changed = period("2025-12", 1, "99999999999999999999.000000001");
    store
        .verify_period(&claim, &changed, Some("{}"))
        .await
        .unwrap();
    let kept = store.verified_periods(&claim.scope).await.unwrap();
    assert_eq!(kept, [november, changed.clone()]);

    store
        .reopen_periods(&claim, &["2025-11".into()])
        .await
        .unwrap();
    assert_eq!(
        store.verified_periods(&claim.scope).await.unwrap(),
        [changed]
    );
    assert_eq!(store.verified_periods(&other.scope).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_told_of_a_period_is_in_the_ledger(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let december = period("2025-12", 2, "10");
    store.verify_period(&claim, &december, None).await.unwrap();
    let change = r#"{"why":"posted into"}"#;
    store
        .verify_period(&claim, &december, Some(change))
        .await
        .unwrap();
    store
        .reopen_periods(&claim, &["2025-12".into()])
        .await
        .unwrap();
    let entries = store.entries(0, 100).await.unwrap();
    let told: Vec<_> = entries.iter().rev().take(3).rev().collect();
    let kinds: Vec<_> = told.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "period_verified",
            "closed_period_changed",
            "periods_reopened"
        ]
    );
    assert!(told[1].body.contains("posted into") && told[1].body.contains("10.00"));
    assert!(told.iter().all(|entry| entry.body.contains("2025-12")));
    assert!(store.verify(&[]).await.unwrap().is_intact());

    // One whose lease was taken over tells nothing.
    let mut late = claim.clone();
    late.token.0 += 1;
    let refused = store
        .verify_period(&late, &december, None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let refused = store.reopen_periods(&late, &[]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}
