//! What every store promises, asked of each of them; and what only one of them can meet.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod behaviour;
mod contracts;
mod damage;
mod given;
mod leases;
mod letters;
mod periods;
#[cfg(all(unix, feature = "postgres"))]
mod postgres;
mod sqlite;

/// Each behaviour as a test of each store.
macro_rules! of_every_store {
    ($($file:ident: $($name:ident)*;)*) => {
        mod in_sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$file::$name(&crate::sqlite::Home::new()).await;
                }
            )*)*
        }

        #[cfg(all(unix, feature = "postgres"))]
        mod in_postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(home) = crate::postgres::Home::new() {
                        crate::$file::$name(&home).await;
                    }
                }
            )*)*
        }
    };
}

of_every_store! {
    behaviour:
        a_window_stays_frozen_until_it_is_complete_and_the_watermark_never_goes_back
        a_batch_waits_until_it_is_settled_once
        refused_and_unreadable_records_are_kept_once
        a_record_is_traced_to_its_page_request_batch_and_job
        a_deleted_record_is_traced_to_its_end_and_may_come_back
        live_records_are_counted_by_period_and_found_by_owner
        a_census_finds_what_is_missing_of_its_own_stream
        payloads_are_forgotten_once_they_are_settled_and_old
        a_batch_whose_payload_is_lost_is_given_up_and_its_window_read_again
        a_configuration_is_told_when_it_changes
        handles_that_write_at_once_make_one_chain
        the_hash_rule_is_as_documented;
    contracts:
        a_contract_is_remembered_with_its_differences_in_the_ledger
        what_has_an_older_shape_is_read_whole_once_more;
    leases:
        a_stream_is_run_by_one_and_the_other_is_told_by_whom
        a_lease_is_renewed_given_back_and_given_on
        a_dead_holder_is_taken_over_and_every_late_change_of_its_is_refused
        of_many_that_ask_at_once_one_is_given_the_stream
        a_holder_that_is_gone_in_this_process_need_not_be_waited_for
        a_clock_that_is_set_back_keeps_nobody_out_for_long;
    periods:
        closed_periods_are_kept_as_they_were_verified
        what_is_told_of_a_period_is_in_the_ledger;
    letters:
        letters_are_listed_by_what_they_are
        a_record_that_arrives_closes_its_letters
        a_letter_is_open_again_when_its_record_is_refused_anew
        a_letter_that_is_sent_again_counts_attempts_until_it_arrives
        letters_are_discarded_with_a_reason_or_not_at_all
        letters_are_exported_as_they_are_kept;
    damage:
        every_kind_of_damage_is_found_and_named
        an_end_that_was_cut_off_is_found_by_what_the_destination_knows
        a_byte_changed_anywhere_is_found;
}
