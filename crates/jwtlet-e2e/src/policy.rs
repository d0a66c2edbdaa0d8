//! The policy of one scenario: names that nobody else has, removed at the end.

use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::{failure::Failure, service::Service};

/// A participant context, and a scope that adds a claim.
pub(crate) struct Policy {
    pub(crate) context: String,
    pub(crate) scope: String,
}

impl Policy {
    /// Lets the client act for a new context, with one scope and the audiences `default` and `other`.
    pub(crate) async fn create(service: &Service) -> Result<Self, Failure> {
        let id = Uuid::new_v4().simple().to_string();
        let policy = Self { context: format!("e2e-{id}"), scope: format!("e2e:{id}:read") };
        let scope = json!({"scope": policy.scope, "claims": {"role": "reader"}});
        created(service, "/scopes", scope).await?;
        let settings = &service.settings;
        let mapping = json!({
            "clientIdentifier": settings.client,
            "participantContext": policy.context,
            "scopes": [policy.scope],
            "audiences": [settings.audience, "e2e-other"],
        });
        created(service, "/mappings", mapping).await?;
        Ok(policy)
    }

    /// Deletes what was created.
    pub(crate) async fn remove(self, service: &Service) -> Result<(), Failure> {
        let client = &service.settings.client;
        for path in [format!("/mappings/{client}/{}", self.context), format!("/scopes/{}", self.scope)] {
            let answer = service.manage(Method::DELETE, &path, None).await?;
            answer.expect(StatusCode::NO_CONTENT, "204")?;
        }
        Ok(())
    }
}

async fn created(service: &Service, path: &str, record: serde_json::Value) -> Result<(), Failure> {
    service.manage(Method::POST, path, Some(&record)).await?.expect(StatusCode::CREATED, "201").map(|_| ())
}
