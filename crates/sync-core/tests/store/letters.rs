//! What every store promises of dead letters.

use std::sync::Arc;

use sync_core::store::{
    Claim, DeadLetter, Discard, Letter, LetterExport, LetterFilter, LetterFormat, LetterId,
    LetterPage, LetterStatus, Settlement, Store,
};
use sync_core::{ErrorKind, Operation, Rejection, RejectionClass};

use crate::given::*;

const ALL: LetterPage = LetterPage {
    after: None,
    limit: 99,
};

fn letter(name: &str, class: RejectionClass, column: &str, reason: &str) -> DeadLetter {
    DeadLetter {
        key: Some(key(name)),
        column: Some(column.into()),
        text: Some("1e5".into()),
        class,
        reason: reason.into(),
        fields: vec![
            ("recordno".into(), Some(name.into())),
            ("memo".into(), None),
            // What no text of a database may hold as it is.
            ("odd".into(), Some("\0\u{1}\u{feff}'\"\\\n".into())),
        ],
    }
}

fn unreadable(name: &str) -> DeadLetter {
    letter(name, RejectionClass::Unreadable, "amount", "not a number")
}

/// The settlement of a batch whose last row is refused.
fn last_refused(claim: &Claim, name: &str, records: &[(&str, &str)]) -> Settlement {
    let batch = prepared(claim, name, records.len(), 0);
    let mut settlement = settlement(&batch, records);
    let (refused, reason) = (records.last().unwrap().0, "too large");
    settlement.receipt.rejected = vec![Rejection {
        row: records.len() - 1,
        column: Some("amount".into()),
        class: RejectionClass::Unfit,
        reason: reason.into(),
    }];
    settlement.dead_letters = vec![letter(refused, RejectionClass::Unfit, "amount", reason)];
    settlement
}

async fn settled(store: &Arc<dyn Store>, claim: &Claim, settlement: Settlement) {
    let prepared = store.prepare(claim, &settlement.batch, &[]).await;
    prepared.unwrap();
    store.settle(claim, settlement).await.unwrap();
}

async fn all(store: &Arc<dyn Store>, claim: &Claim) -> Vec<Letter> {
    let filter = LetterFilter::of(&claim.scope);
    store.letters(&filter, ALL).await.unwrap()
}

async fn statuses(store: &Arc<dyn Store>, claim: &Claim) -> Vec<LetterStatus> {
    let letters = all(store, claim).await;
    letters.iter().map(|letter| letter.status).collect()
}

async fn kinds(store: &Arc<dyn Store>) -> Vec<String> {
    let entries = store.entries(0, 999).await.unwrap();
    entries.into_iter().map(|entry| entry.kind).collect()
}

pub(crate) async fn letters_are_listed_by_what_they_are(home: &impl Home) {
    let store = home.open().await;
    let (claim, other) = (running(&store).await, running_on(&store, "other").await);
    let first = [unreadable("1"), unreadable("2")];
    store.advance(&claim, None, &first).await.unwrap();
    home.clock().set(after(5));
    let late = letter("1", RejectionClass::Unreadable, "memo", "too long");
    store.advance(&claim, None, &[late]).await.unwrap();
    let of_other = [unreadable("1")];
    store.advance(&other, None, &of_other).await.unwrap();
    let refused = last_refused(&claim, "first", &[("7", "a"), ("8", "a")]);
    let batch = refused.batch.id;
    settled(&store, &claim, refused).await;

    let found = |filter: LetterFilter| {
        let store = Arc::clone(&store);
        async move {
            let letters = store.letters(&filter, ALL).await.unwrap();
            let counted = store.count_letters(&filter).await.unwrap();
            assert_eq!(counted, letters.len() as u64);
            let keys = letters.into_iter().map(|letter| {
                let key = letter.content.key.unwrap();
                format!("{}/{}", letter.scope.stream, key.as_str())
            });
            keys.collect::<Vec<_>>()
        }
    };
    let everything = ["entry/1", "entry/2", "entry/1", "other/1", "entry/8"];
    let mut filter = LetterFilter::default();
    assert_eq!(found(filter.clone()).await, everything);
    filter.pipeline = Some("books".into());
    filter.sink = Some("warehouse".into());
    assert_eq!(found(filter.clone()).await, everything);
    filter.sink = Some("elsewhere".into());
    assert!(found(filter).await.is_empty());
    let of_stream = LetterFilter::of(&claim.scope);
    assert_eq!(
        found(of_stream.clone()).await,
        ["entry/1", "entry/2", "entry/1", "entry/8"]
    );
    let mut by_class = of_stream.clone();
    by_class.class = Some(RejectionClass::Unfit);
    assert_eq!(found(by_class).await, ["entry/8"]);
    let mut by_column = of_stream.clone();
    by_column.column = Some("memo".into());
    assert_eq!(found(by_column).await, ["entry/1"]);
    let mut by_time = of_stream.clone();
    by_time.since = Some(after(5));
    assert_eq!(found(by_time.clone()).await, ["entry/1", "entry/8"]);
    by_time.since = Some(after(6));
    assert!(found(by_time).await.is_empty());
    let mut by_key = of_stream.clone();
    by_key.key = Some(key("1"));
    assert_eq!(found(by_key).await, ["entry/1", "entry/1"]);
    let mut by_status = of_stream.clone();
    by_status.statuses = vec![LetterStatus::Discarded, LetterStatus::Resolved];
    assert!(found(by_status).await.is_empty());
    assert_eq!(found(of_stream.clone().waiting()).await.len(), 4);

    // In pages, by numbers.
    let page = LetterPage {
        after: None,
        limit: 3,
    };
    let first_page = store.letters(&of_stream, page).await.unwrap();
    let page = LetterPage {
        after: first_page.last().map(|letter| letter.id),
        limit: 3,
    };
    let second_page = store.letters(&of_stream, page).await.unwrap();
    assert_eq!((first_page.len(), second_page.len()), (3, 1));
    let [last] = &second_page[..] else { panic!() };
    assert_eq!((last.batch, last.run), (Some(batch), claim.run));
    assert_eq!(
        last.content,
        letter("8", RejectionClass::Unfit, "amount", "too large")
    );
    assert_eq!((last.status, last.attempts), (LetterStatus::Open, 0));
    assert_eq!(last.at, sync_core::window::rfc3339(after(5)));
}

pub(crate) async fn a_record_that_arrives_closes_its_letters(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let mut keyless = unreadable("4");
    keyless.key = None;
    let letters = [unreadable("1"), unreadable("2"), unreadable("3"), keyless];
    store.advance(&claim, None, &letters).await.unwrap();

    let batch = deliver(&store, &claim, "first", Operation::Upsert, &[("1", "b")]).await;
    let gone = deliver(&store, &claim, "gone", Operation::Delete, &[("2", "b")]).await;
    use LetterStatus::{Open, Resolved};
    assert_eq!(
        statuses(&store, &claim).await,
        [Resolved, Resolved, Open, Open]
    );
    let letters = all(&store, &claim).await;
    assert_eq!(letters[0].resolved_by, Some(batch.id));
    assert_eq!(letters[1].resolved_by, Some(gone.id));
    assert!(letters[0].closed_at.is_some());
    assert_eq!(letters[0].attempts, 0);
    let entries = store.entries(0, 99).await.unwrap();
    let told = entries.iter().find(|it| it.kind == "letters_resolved");
    let told = &told.unwrap().body;
    assert!(
        told.contains(&format!(r#""letters":[{}]"#, letters[0].id))
            && told.contains(&batch.id.to_string()),
        "{told}"
    );

    // What is kept on the way to a batch, or behind it, may be a later state than the batch's.
    let next = prepared(&claim, "next", 1, 3);
    let later = letter("3", RejectionClass::Unreadable, "memo", "too long");
    store.prepare(&claim, &next, &[later]).await.unwrap();
    let latest = letter("3", RejectionClass::Unreadable, "rank", "too long");
    store.advance(&claim, None, &[latest]).await.unwrap();
    let settlement = settlement(&next, &[("3", "a")]);
    store.settle(&claim, settlement).await.unwrap();
    assert_eq!(
        statuses(&store, &claim).await,
        [Resolved, Resolved, Resolved, Open, Open, Open]
    );
}

pub(crate) async fn a_letter_is_open_again_when_its_record_is_refused_anew(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    store
        .advance(&claim, None, &[unreadable("1")])
        .await
        .unwrap();
    settled(&store, &claim, last_refused(&claim, "first", &[("8", "a")])).await;
    let arrived = [("1", "b"), ("8", "b")];
    deliver(&store, &claim, "second", Operation::Upsert, &arrived).await;
    use LetterStatus::{Open, Resolved};
    assert_eq!(statuses(&store, &claim).await, [Resolved, Resolved]);
    // The lookback reads what could not be read, again; and the destination refuses what it took.
    store
        .advance(&claim, None, &[unreadable("1")])
        .await
        .unwrap();
    settled(&store, &claim, last_refused(&claim, "third", &[("8", "a")])).await;
    assert_eq!(statuses(&store, &claim).await, [Resolved, Open]);
    let letter = all(&store, &claim).await.pop().unwrap();
    assert_eq!(
        (letter.batch, letter.resolved_by, letter.closed_at),
        (Some(batch_id("third")), None, None)
    );
}

pub(crate) async fn a_letter_that_is_sent_again_counts_attempts_until_it_arrives(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let letters = [unreadable("1"), unreadable("2")];
    store.advance(&claim, None, &letters).await.unwrap();
    let ids: Vec<_> = all(&store, &claim).await.iter().map(|it| it.id).collect();

    let first = last_refused(&claim, "retry 1", &[("1", "a"), ("2", "a")]);
    let prepared = store.prepare_retry(&claim, &first.batch, &ids).await;
    prepared.unwrap();
    // As after a crash in between.
    let waiting = home.open().await.unsettled(&claim.scope).await.unwrap();
    assert_eq!(waiting[0].batch, first.batch);
    store.settle(&claim, first.clone()).await.unwrap();
    use LetterStatus::{Resolved, Retried};
    let letters = all(&store, &claim).await;
    let [one, two] = &letters[..] else {
        panic!("a retried letter is no new one: {letters:?}")
    };
    assert_eq!((one.status, one.attempts), (Resolved, 1));
    assert_eq!(one.resolved_by, Some(first.batch.id));
    assert_eq!((two.status, two.attempts), (Retried, 1));
    assert_eq!(two.attempt_reason.as_deref(), Some("too large"));
    assert!(two.attempted_at.is_some() && two.closed_at.is_none());
    assert_eq!(two.content, unreadable("2"));

    let batch = crate::given::prepared(&claim, "retry 2", 1, 0);
    let prepared = store.prepare_retry(&claim, &batch, &ids[1..]).await;
    prepared.unwrap();
    let settlement = settlement(&batch, &[("2", "a")]);
    store.settle(&claim, settlement).await.unwrap();
    let two = all(&store, &claim).await.pop().unwrap();
    assert_eq!((two.status, two.attempts), (Resolved, 2));
    assert_eq!(
        (two.attempt_reason, two.resolved_by),
        (None, Some(batch.id))
    );
    assert_eq!(store.live_records(&claim.scope).await.unwrap(), 2);
    let kinds = kinds(&store).await;
    let of = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
    assert_eq!((of("letters_retried"), of("letters_resolved")), (2, 2));
    assert!(store.verify(&[]).await.unwrap().is_intact());
}

pub(crate) async fn letters_are_discarded_with_a_reason_or_not_at_all(home: &impl Home) {
    let store = home.open().await;
    let (claim, other) = (running(&store).await, running_on(&store, "other").await);
    let three = [unreadable("1"), unreadable("2"), unreadable("3")];
    store.advance(&claim, None, &three).await.unwrap();
    let ids: Vec<_> = all(&store, &claim).await.iter().map(|it| it.id).collect();
    let discard = |letters: &[LetterId]| Discard {
        letters: letters.to_vec(),
        reason: "entered twice, voided by the controller".into(),
        by: "a.controller".into(),
    };
    store
        .discard_letters(&claim.scope, &discard(&ids[..1]))
        .await
        .unwrap();
    use LetterStatus::{Discarded, Open, Superseded};
    let first = all(&store, &claim).await.swap_remove(0);
    assert_eq!(first.status, Discarded);
    assert_eq!(first.note.as_deref(), Some(discard(&[]).reason.as_str()));
    assert_eq!(first.closed_by.as_deref(), Some("a.controller"));
    let before = store.entries(0, 99).await.unwrap();
    let told = before.last().unwrap();
    assert_eq!((told.kind.as_str(), told.run), ("letters_discarded", None));
    assert!(told.body.contains("a.controller"), "{}", told.body);

    // All or none.
    let (some_are_not, elsewhere) = (discard(&[ids[1], ids[0]]), discard(&ids[1..2]));
    for (scope, discard) in [(&claim.scope, some_are_not), (&other.scope, elsewhere)] {
        let error = store.discard_letters(scope, &discard).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(statuses(&store, &claim).await, [Discarded, Open, Open]);
    assert_eq!(store.entries(0, 99).await.unwrap(), before);

    store.supersede_letters(&claim, &ids[2..]).await.unwrap();
    assert_eq!(
        statuses(&store, &claim).await,
        [Discarded, Open, Superseded]
    );
    // A discarded one that is read again stays so.
    store.advance(&claim, None, &three).await.unwrap();
    assert_eq!(
        statuses(&store, &claim).await,
        [Discarded, Open, Superseded]
    );
}

pub(crate) async fn letters_are_exported_as_they_are_kept(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let kept: Vec<_> = (0..150).map(|it| unreadable(&it.to_string())).collect();
    store.advance(&claim, None, &kept).await.unwrap();
    let refused = last_refused(&claim, "first", &[("700", "a"), ("800", "a")]);
    settled(&store, &claim, refused).await;
    let discard = Discard {
        letters: vec![LetterId(3)],
        reason: "=1+1".into(),
        by: String::new(),
    };
    store.discard_letters(&claim.scope, &discard).await.unwrap();
    let waiting = LetterFilter::of(&claim.scope).waiting();
    let page = LetterPage {
        after: None,
        limit: 999,
    };
    for filter in [waiting, LetterFilter::default()] {
        let mut lines = Vec::new();
        let export = LetterExport::new(&*store, filter.clone(), LetterFormat::Ndjson);
        let written = export.write_to(&mut lines).await.unwrap();
        let exported = String::from_utf8(lines).unwrap();
        let exported = exported
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let exported: Vec<Letter> = exported.collect();
        assert_eq!(written, exported.len() as u64);
        assert_eq!(exported, store.letters(&filter, page).await.unwrap());
    }
}
