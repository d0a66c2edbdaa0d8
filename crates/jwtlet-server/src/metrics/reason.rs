//! How an exchange ends: the outcome, and the one reason for it.

use jwtlet_core::{
    ExchangeError, UpstreamError, evaluation::Refusal, policy::Denial, subject::Rejection, upstream::System,
};

macro_rules! reasons {
    ($($reason:ident = $outcome:literal, $name:literal, $meaning:literal;)+) => {
        /// Why an exchange ended as it did.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Reason {
            $(#[doc = $meaning] $reason,)+
        }

        impl Reason {
            /// All of them.
            pub(crate) const ALL: [Self; [$($name),+].len()] = [$(Self::$reason),+];

            /// `issued`, `refused` (the caller's) or `failed` (ours).
            pub(crate) fn outcome(self) -> &'static str {
                match self {
                    $(Self::$reason => $outcome,)+
                }
            }

            /// As labels and log lines have it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }

            /// For the reference.
            pub(super) fn meaning(self) -> &'static str {
                match self {
                    $(Self::$reason => $meaning,)+
                }
            }
        }
    };
}

reasons! {
    Issued = "issued", "none", "A token was issued.";
    Malformed = "refused", "malformed", "The request is not a well-formed exchange.";
    TokenMalformed = "refused", "token_malformed", "The subject token is not of a form that is accepted.";
    TokenExpired = "refused", "token_expired", "The subject token has expired.";
    TokenNotYetValid = "refused", "token_not_yet_valid", "The subject token is not valid yet.";
    TokenAudience = "refused", "token_audience", "The subject token is bound to another audience.";
    TokenAudienceNotConfirmed = "refused", "token_audience_not_confirmed",
        "The cluster does not confirm the audience of the subject token.";
    TokenNotServiceAccount = "refused", "token_not_service_account",
        "The subject token does not belong to a service account.";
    TokenRefused = "refused", "token_refused", "The cluster does not accept the subject token.";
    NoMapping = "refused", "no_mapping", "There is no mapping for the client and the participant context.";
    MappingExpired = "refused", "mapping_expired", "The mapping has expired.";
    ScopeNotGranted = "refused", "scope_not_granted", "The mapping does not grant a requested scope.";
    AudienceNotAllowed = "refused", "audience_not_allowed", "The mapping does not allow the audience.";
    ClaimConflict = "refused", "claim_conflict", "The claims of the granted scopes contradict each other.";
    KubernetesUnavailable = "failed", "kubernetes_unavailable", "Kubernetes could not review the subject token.";
    KubernetesMisconfigured = "failed", "kubernetes_misconfigured",
        "Kubernetes does not accept jwtlet's own credentials, or they are missing.";
    VaultUnavailable = "failed", "vault_unavailable", "Vault could not sign.";
    VaultMisconfigured = "failed", "vault_misconfigured",
        "Vault does not accept jwtlet's credentials, or the signing key is missing or unusable.";
    StoreUnavailable = "failed", "store_unavailable", "The policy store could not be read.";
    StoreMisconfigured = "failed", "store_misconfigured", "The stored claims cannot be used.";
    Internal = "failed", "internal", "A defect of jwtlet.";
}

impl From<&ExchangeError> for Reason {
    fn from(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::Rejected(rejection) => rejection.into(),
            ExchangeError::Refused { refusal, .. } => refusal.into(),
            ExchangeError::Upstream(error) => error.into(),
        }
    }
}

impl From<&Rejection> for Reason {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::NotJwt | Rejection::TooLong | Rejection::Header(_) | Rejection::Claims(_) => {
                Self::TokenMalformed
            }
            Rejection::Expired => Self::TokenExpired,
            Rejection::NotYetValid => Self::TokenNotYetValid,
            Rejection::WrongAudience(_) => Self::TokenAudience,
            Rejection::AudienceNotConfirmed(_) => Self::TokenAudienceNotConfirmed,
            Rejection::NotServiceAccount => Self::TokenNotServiceAccount,
            Rejection::Refused => Self::TokenRefused,
        }
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Denied(Denial::NoMapping) => Self::NoMapping,
            Refusal::Denied(Denial::Expired(_)) => Self::MappingExpired,
            Refusal::Denied(Denial::ScopesNotGranted(_)) => Self::ScopeNotGranted,
            Refusal::Denied(Denial::AudiencesNotAllowed(_) | Denial::DefaultAudienceNotAllowed(_)) => {
                Self::AudienceNotAllowed
            }
            Refusal::Conflict(_) => Self::ClaimConflict,
        }
    }
}

impl From<&UpstreamError> for Reason {
    fn from(error: &UpstreamError) -> Self {
        let is_unavailable = matches!(error, UpstreamError::Unavailable { .. });
        match (error.system(), is_unavailable) {
            (System::Kubernetes, true) => Self::KubernetesUnavailable,
            (System::Kubernetes, false) => Self::KubernetesMisconfigured,
            (System::Vault, true) => Self::VaultUnavailable,
            (System::Vault, false) => Self::VaultMisconfigured,
            (System::Store, true) => Self::StoreUnavailable,
            (System::Store, false) => Self::StoreMisconfigured,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_and_a_name_of_its_own() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            let same = |other: &&Reason| other.name() == reason.name();
            assert_eq!(Reason::ALL.iter().filter(same).count(), 1, "{}", reason.name());
        }
    }
}
