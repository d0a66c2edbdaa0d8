//! The names that all processes of a measurement share.

/// The namespace of all service accounts.
pub(crate) const NAMESPACE: &str = "bench";
/// The service account that seeds the policy.
pub(crate) const OPERATOR: &str = "operator";
/// The participant context of every exchange.
pub(crate) const CONTEXT: &str = "acme";
/// The scope of every exchange.
pub(crate) const SCOPE: &str = "management-api:assets:read";
/// What subject tokens are bound to.
pub(crate) const EXCHANGE_AUDIENCE: &str = "jwtlet-exchange";
/// What tokens for the management API are bound to.
pub(crate) const MANAGEMENT_AUDIENCE: &str = "jwtlet-management";
/// `aud` of issued tokens.
pub(crate) const AUDIENCE: &str = "data-space";
/// The transit key.
pub(crate) const KEY: &str = "signing-jwtlet_pc";

/// The service account of the subject token with this index.
pub(crate) fn client_name(index: usize) -> String {
    format!("client-{index}")
}
