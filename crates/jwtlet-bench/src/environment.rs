//! The names that all processes of a measurement share.

/// The namespace of all service accounts.
pub(crate) const NAMESPACE: &str = "bench";
/// The service account that seeds the policy.
pub(crate) const OPERATOR: &str = "operator";
/// The participant context of every exchange.
pub(crate) const CONTEXT: &str = "acme";
/// What subject tokens are bound to.
pub(crate) const EXCHANGE_AUDIENCE: &str = "jwtlet-exchange";
/// What tokens for the management API are bound to.
pub(crate) const MANAGEMENT_AUDIENCE: &str = "jwtlet-management";
/// `aud` of issued tokens.
pub(crate) const AUDIENCE: &str = "data-space";
/// The transit key.
pub(crate) const KEY: &str = "signing-jwtlet_pc";

/// The service account with this index.
pub(crate) fn client_name(index: usize) -> String {
    format!("client-{index}")
}

/// The first so many scopes.
pub(crate) fn scopes(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("management-api:resource-{index}:read")).collect()
}
