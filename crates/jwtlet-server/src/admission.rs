//! The verifier of the service: whoever the cluster confirms is let in, as often as one client may ask.
//!
//! Both APIs ask it, so one count is kept for both, and no handler has to remember to.

use jiff::Timestamp;
use jwtlet_core::{Audience, Subject, SubjectToken, SubjectVerifier, health::Health, subject::VerifyError};
use jwtlet_kubernetes::KubernetesVerifier;

use crate::limits::{ClientLimiter, TooMany};

/// Verifies with Kubernetes, then counts.
#[derive(Debug)]
pub(crate) struct Admission {
    kubernetes: KubernetesVerifier,
    /// `None` counts nobody.
    clients: Option<ClientLimiter>,
}

impl Admission {
    pub(crate) fn new(kubernetes: KubernetesVerifier, clients: Option<ClientLimiter>) -> Self {
        Self { kubernetes, clients }
    }

    /// Requests of clients that asked too often.
    pub(crate) fn refused(&self) -> u64 {
        self.clients.as_ref().map_or(0, ClientLimiter::refused)
    }

    pub(crate) fn kubernetes(&self) -> &KubernetesVerifier {
        &self.kubernetes
    }
}

impl SubjectVerifier for Admission {
    async fn verify(
        &self,
        token: &SubjectToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<Subject, VerifyError> {
        let subject = self.kubernetes.verify(token, audience, now).await?;
        match self.clients.as_ref().map_or(Ok(()), |clients| clients.admit(&subject.identity)) {
            Ok(()) => Ok(subject),
            Err(TooMany { retry_after }) => Err(VerifyError::Limited { subject, retry_after }),
        }
    }

    fn health(&self) -> Health {
        self.kubernetes.health()
    }
}
