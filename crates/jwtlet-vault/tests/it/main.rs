//! The signer against servers that speak Vault's wire protocol.
//!
//! [`suite`] runs as it is on the testkit's Vault and on a real OpenBao: what it asks of both, the testkit cannot get
//! wrong unnoticed. [`load`] does so while many callers sign. The others
//! need a server that does what no good server does, so they run on the testkit only.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests end the test, like the tests themselves"
)]

mod backend;
mod batches;
mod costs;
mod lagging;
mod load;
mod logins;
mod logs;
mod misbehaviour;
mod openbao;
mod repeats;
mod sizes;
mod stream;
mod suite;
mod support;
mod testkit;
mod verify;

macro_rules! on_both_servers {
    ($($module:ident: $($test:ident)*;)*) => {
        mod on_testkit {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    crate::$module::$test::<crate::testkit::Testkit>().await;
                })*
            })*
        }

        mod on_openbao {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    crate::$module::$test::<crate::openbao::RealOpenBao>().await;
                })*
            })*
        }
    };
}

on_both_servers! {
    suite:
        keys_of_all_supported_types_sign_and_verify_with_their_jwk
        rsa_keys_of_all_sizes_sign
        rsa_keys_sign_with_pss_where_that_is_wanted
        a_missing_key_is_created_when_the_policy_allows
        a_missing_key_that_may_not_be_created_is_explained
        a_key_that_is_created_later_is_found
        a_key_that_is_deleted_while_running_is_not_made_anew
        a_missing_transit_engine_is_explained
        keys_that_cannot_sign_jwts_are_refused_with_the_reason
        a_key_that_is_soft_deleted_while_running_is_explained_and_stays_published
        a_wrong_token_is_an_operators_matter
        a_revoked_token_is_an_operators_matter
        a_token_that_may_read_but_not_sign_never_becomes_ready
        a_replaced_token_file_is_used_at_once
        a_sealed_server_is_an_outage_that_ends_by_itself
        a_server_that_is_sealed_at_the_start_delays_readiness
        a_new_version_is_published_at_once_and_signs_later
        a_version_below_the_minimum_stops_signing_at_once
        a_minimum_for_signing_is_respected
        a_login_is_renewed_before_it_ends
        a_login_at_its_greatest_age_is_followed_by_another
        a_refused_login_token_is_replaced
        an_unknown_role_is_an_operators_matter
        a_namespace_is_respected
        hundreds_of_exchanges_at_once_all_get_their_own_token;
    load:
        tokens_verify_with_the_keys_published_at_their_issuance_whatever_happens_to_the_key
        a_retired_version_is_followed_at_once_by_the_next
        a_trimmed_key_goes_on_signing
        a_token_that_is_replaced_and_revoked_costs_no_exchange
        a_login_that_is_revoked_costs_no_exchange
        a_server_that_is_sealed_for_a_while_costs_exchanges_only_then
        a_quota_is_passed_on_when_the_server_says_how_long
        a_quota_without_a_time_is_an_outage_without_advice
        a_quota_is_waited_for_when_there_is_time;
}
