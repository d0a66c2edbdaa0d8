//! What is tested, in this order: the later ones change the keys.

use std::{future::Future, pin::Pin};

use reqwest::StatusCode;

use crate::{
    failure::{Failure, ensure},
    policy::Policy,
    service::Service,
};

/// How long jwtlet may take to become ready after a start.
const READY_SECONDS: u64 = 120;
/// How long until a change of the signing key shows on every replica.
const KEY_SECONDS: u64 = 90;

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// One test.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Service) -> Outcome<'a>,
}

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 8] = [
    Scenario { name: "it becomes ready", run: |service| Box::pin(service.wait_until_ready(READY_SECONDS)) },
    Scenario {
        name: "a token is exchanged, and the published keys verify it",
        run: |service| Box::pin(exchange(service)),
    },
    Scenario {
        name: "the policy of the installation is in force",
        run: |service| Box::pin(installed_policy(service)),
    },
    Scenario {
        name: "an audience that is not allowed is refused",
        run: |service| Box::pin(denied_audience(service)),
    },
    Scenario {
        name: "a token for somebody else is refused",
        run: |service| Box::pin(foreign_token(service)),
    },
    Scenario {
        name: "a context without a mapping is refused",
        run: |service| Box::pin(unmapped_context(service)),
    },
    Scenario { name: "a restart loses neither policy nor keys", run: |service| Box::pin(restart(service)) },
    Scenario { name: "a key is rotated and retired", run: |service| Box::pin(rotation(service)) },
];

async fn exchange(service: &Service) -> Result<(), Failure> {
    let policy = Policy::create(service).await?;
    let settings = &service.settings;
    let issued = service.issue(&policy.context, &[("scope", &policy.scope)]).await?;
    ensure(issued.scope.as_ref() == Some(&policy.scope), || {
        format!("the granted scope is {:?}", issued.scope)
    })?;
    let claims = issued.verify(&service.keys().await?, &settings.issuer, &settings.audience)?;
    let wanted = [
        ("/sub", &*policy.context),
        ("/jwtlet_pc", &policy.context),
        ("/act/sub", &settings.client),
        ("/act/iss", &settings.cluster_issuer),
        ("/role", "reader"),
    ];
    for (path, value) in wanted {
        ensure(claims.pointer(path).is_some_and(|found| found == value), || {
            format!("{path} is not {value} in {claims}")
        })?;
    }
    let other = service.issue(&policy.context, &[("audience", "e2e-other")]).await?;
    other.verify(&service.keys().await?, &settings.issuer, "e2e-other")?;
    ensure(other.verify(&service.keys().await?, &settings.issuer, &settings.audience).is_err(), || {
        "a token for one audience is good for another".into()
    })?;
    policy.remove(service).await
}

async fn installed_policy(service: &Service) -> Result<(), Failure> {
    let settings = &service.settings;
    let issued = service.issue(&settings.installed_context, &[]).await?;
    issued.verify(&service.keys().await?, &settings.issuer, &settings.audience).map(|_| ())
}

async fn denied_audience(service: &Service) -> Result<(), Failure> {
    let policy = Policy::create(service).await?;
    let token = service.settings.subject_token.run().await?;
    let answer = service.exchange(&token, &policy.context, &[("audience", "e2e-not-allowed")]).await?;
    answer.expect_refused(StatusCode::FORBIDDEN, "invalid_target")?;
    let answer = service.exchange(&token, &policy.context, &[("scope", "e2e:not-granted")]).await?;
    answer.expect_refused(StatusCode::FORBIDDEN, "invalid_scope")?;
    policy.remove(service).await
}

async fn foreign_token(service: &Service) -> Result<(), Failure> {
    let policy = Policy::create(service).await?;
    let token = service.settings.foreign_token.run().await?;
    let answer = service.exchange(&token, &policy.context, &[]).await?;
    answer.expect_refused(StatusCode::BAD_REQUEST, "invalid_request")?;
    policy.remove(service).await
}

async fn unmapped_context(service: &Service) -> Result<(), Failure> {
    let policy = Policy::create(service).await?;
    let context = policy.context.clone();
    policy.remove(service).await?;
    let token = service.settings.subject_token.run().await?;
    // Each replica learns of a removal within a second.
    service
        .wait("a removed mapping still grants", 5, async || {
            let answer = service.exchange(&token, &context, &[]).await?;
            if answer.status == StatusCode::OK {
                return Ok(Some("200".into()));
            }
            answer.expect_refused(StatusCode::FORBIDDEN, "unauthorized_client").map(|()| None)
        })
        .await
}

async fn restart(service: &Service) -> Result<(), Failure> {
    let policy = Policy::create(service).await?;
    let settings = &service.settings;
    let before = service.issue(&policy.context, &[]).await?;
    settings.restart.run().await?;
    service.wait_until_ready(READY_SECONDS).await?;
    let after = service.issue(&policy.context, &[("scope", &policy.scope)]).await?;
    let keys = service.keys().await?;
    for issued in [&before, &after] {
        issued.verify(&keys, &settings.issuer, &settings.audience)?;
    }
    ensure(before.key_id == after.key_id, || format!("{} signs after {}", after.key_id, before.key_id))?;
    policy.remove(service).await
}

/// A new version is published and does not sign yet; once it is the only one, it signs, and what the old one signed is
/// not verified any more.
async fn rotation(service: &Service) -> Result<(), Failure> {
    let policy = Policy::create(service).await?;
    let settings = &service.settings;
    let old = service.issue(&policy.context, &[]).await?;
    let published = service.key_ids().await?;
    settings.rotate.run().await?;
    service
        .wait("the new version is not published", KEY_SECONDS, async || {
            let now = service.key_ids().await?;
            Ok(now.is_subset(&published).then(|| format!("{now:?}")))
        })
        .await?;
    let meanwhile = service.issue(&policy.context, &[]).await?;
    ensure(published.contains(&meanwhile.key_id), || {
        format!("{} signs before verifiers know it", meanwhile.key_id)
    })?;
    meanwhile.verify(&service.keys().await?, &settings.issuer, &settings.audience)?;

    settings.retire.run().await?;
    service
        .wait("the old version is not withdrawn", KEY_SECONDS, async || {
            let now = service.key_ids().await?;
            Ok((!now.is_disjoint(&published)).then(|| format!("{now:?}")))
        })
        .await?;
    let new = service.issue(&policy.context, &[]).await?;
    let keys = service.keys().await?;
    new.verify(&keys, &settings.issuer, &settings.audience)?;
    ensure(!published.contains(&new.key_id), || format!("{} still signs", new.key_id))?;
    ensure(old.verify(&keys, &settings.issuer, &settings.audience).is_err(), || {
        format!("{} is retired and still verifies", old.key_id)
    })?;
    policy.remove(service).await
}
