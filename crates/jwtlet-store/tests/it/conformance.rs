//! The tests of all stores, stamped out for each.

macro_rules! on_each_database {
    ($($module:ident: $($test:ident),+ $(,)?;)+) => {
        mod memory {
            $($(#[tokio::test] async fn $test() {
                crate::$module::$test(crate::fixture::Fixture::memory().await).await;
            })+)+
        }
        mod sqlite {
            $($(#[tokio::test] async fn $test() {
                crate::$module::$test(crate::fixture::Fixture::sqlite().await).await;
            })+)+
        }
        mod postgres {
            $($(#[tokio::test] async fn $test() {
                crate::$module::$test(crate::fixture::Fixture::postgres().await).await;
            })+)+
        }
    };
}

/// Of those that write to the database by hand.
macro_rules! on_each_shared_database {
    ($($module:ident: $($test:ident),+ $(,)?;)+) => {
        mod sqlite_by_hand {
            $($(#[tokio::test] async fn $test() {
                crate::$module::$test(crate::fixture::Fixture::sqlite().await).await;
            })+)+
        }
        mod postgres_by_hand {
            $($(#[tokio::test] async fn $test() {
                crate::$module::$test(crate::fixture::Fixture::postgres().await).await;
            })+)+
        }
    };
}

on_each_database! {
    reads:
        an_exchange_reads_the_mapping_and_the_claims_of_all_granted_scopes,
        names_are_compared_byte_by_byte,
        what_was_read_is_remembered,
        those_who_want_a_policy_at_the_same_time_share_a_read,
        a_current_read_asks_the_database,
        absence_is_never_remembered,
        a_scope_mapping_that_is_missing_is_looked_for_again,
        a_replaced_mapping_is_forgotten,
        a_deleted_mapping_is_forgotten,
        the_mappings_of_a_deleted_client_are_forgotten,
        a_changed_scope_mapping_is_forgotten,
        a_refused_change_leaves_what_is_remembered;
    changes:
        a_created_mapping_has_version_one_and_a_replacement_one_more,
        a_created_scope_mapping_has_version_one_and_a_replacement_one_more,
        a_mapping_that_is_created_again_is_another_one,
        a_create_of_a_key_that_is_taken_changes_nothing,
        a_create_that_repeats_a_key_changes_nothing,
        a_create_of_a_scope_that_is_taken_or_repeats_changes_nothing,
        a_replacement_needs_something_to_replace,
        a_replacement_keeps_its_precondition,
        a_deletion_keeps_its_precondition,
        scope_mappings_keep_their_preconditions,
        deletions_tell_how_much_is_gone,
        changes_of_one_request_build_on_each_other,
        a_change_that_fails_undoes_those_before_it,
        ten_thousand_records_are_changed_in_one_request;
    lists:
        mappings_are_sorted_byte_by_byte,
        mappings_are_filtered,
        mappings_come_in_pages,
        filtered_mappings_come_in_pages,
        scope_mappings_come_sorted_and_in_pages;
    apply:
        an_apply_makes_the_policy_what_is_desired,
        an_apply_that_is_repeated_writes_nothing,
        a_dry_run_tells_the_plan_and_writes_nothing,
        a_plan_that_has_changed_is_not_made,
        records_of_others_are_left_alone_until_they_are_taken_over,
        what_an_apply_changes_is_forgotten,
        a_snapshot_has_the_records_that_match,
        of_many_who_apply_the_same_plan_one_writes_it,
        ten_thousand_mappings_are_applied_changed_and_pruned;
    metadata:
        owner_and_labels_are_kept_replaced_and_removed,
        an_exchange_reads_neither_owner_nor_labels,
        mappings_are_filtered_by_owner_and_labels,
        scope_mappings_are_filtered_by_owner_and_labels,
        the_trail_has_owner_and_labels,
        the_trail_is_filtered_by_the_id_of_an_apply;
    trail:
        a_record_tells_who_did_what_and_when,
        a_record_has_the_state_before_and_after,
        changes_of_scope_mappings_are_recorded,
        one_request_leaves_one_record_for_each_changed_record,
        what_changes_nothing_is_not_recorded,
        a_refusal_is_recorded,
        a_refusal_of_any_text_is_recorded,
        the_trail_is_read_from_its_end_in_pages,
        the_trail_is_filtered,
        the_trail_is_filtered_by_time,
        a_whole_chain_is_followed_over_pages;
    values:
        the_largest_mapping_is_kept,
        the_largest_claims_are_kept,
        the_longest_names_are_kept,
        expiry_and_description_are_kept_and_removed,
        times_have_microseconds,
        numbers_in_claims_are_kept_exactly,
        texts_in_claims_are_kept_exactly,
        claims_are_sorted_by_name;
    concurrency:
        of_many_who_create_a_key_one_does,
        of_many_who_expect_a_revision_one_replaces_it,
        a_reader_sees_all_of_a_change_or_nothing,
        a_change_goes_on_without_who_asked_for_it;
}

on_each_shared_database! {
    metadata:
        what_cannot_be_read_of_owner_and_labels_is_left_out;
    hands:
        the_trail_cannot_be_altered,
        an_altered_record_breaks_the_chain,
        a_removed_record_breaks_the_chain,
        a_cut_off_end_breaks_the_chain,
        an_unreadable_record_is_left_out_of_the_trail,
        rows_that_break_rules_are_left_out,
        a_page_is_filled_up_when_rows_are_left_out,
        a_row_made_by_hand_is_the_first_version,
        an_update_by_hand_makes_another_revision,
        a_mapping_without_readable_audiences_grants_nothing;
}
