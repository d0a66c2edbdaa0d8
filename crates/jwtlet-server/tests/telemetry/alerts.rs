//! Every alert has a test that provokes its fault, says what to do, and is silent while nothing is wrong.

use std::collections::BTreeSet;

use crate::{
    harness::Harness,
    promql::{Prometheus, repository},
};

/// Names the alerts of a module, and makes a test of each fault.
macro_rules! provoked {
    ($($test:ident: $alert:literal by $fault:path;)+) => {
        /// The alerts that are provoked here.
        pub(crate) const PROVOKED: &[&str] = &[$($alert),+];

        $(#[tokio::test]
        async fn $test() {
            $fault($alert).await;
        })+
    };
}
pub(crate) use provoked;

#[tokio::test]
async fn every_alert_is_provoked_by_a_test() {
    let server = Harness::start().await;
    let alerts = Prometheus::watch(&[&server]).await.alerts().await;
    let names: Vec<&str> = alerts.iter().map(|alert| alert["name"].as_str().unwrap()).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    let provoked = [crate::neighbours::PROVOKED, crate::own::PROVOKED, crate::store::PROVOKED].concat();
    assert_eq!(distinct, provoked.into_iter().collect());
}

#[tokio::test]
async fn every_alert_says_what_is_wrong_and_where_to_read_on() {
    let runbook = std::fs::read_to_string(repository().join("docs/runbook.md")).unwrap();
    let server = Harness::start().await;
    for alert in Prometheus::watch(&[&server]).await.alerts().await {
        let name = alert["name"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        for annotation in ["summary", "description"] {
            let text = alert["annotations"][annotation].as_str().unwrap();
            assert!(text.len() > 10, "{name}: {annotation}");
        }
        assert_eq!(alert["annotations"]["runbook_url"], format!("docs/runbook.md#{name}"));
        assert!(runbook.contains(&format!("<a id=\"{name}\"></a>")), "{name} is not in the runbook");
    }
}

#[tokio::test]
async fn no_alert_fires_while_nothing_is_wrong() {
    let (server, _certificate) = Harness::start_with_everything().await;
    server.map(crate::harness::CONNECTOR, "acme", &[], &[]).await;
    let prometheus = Prometheus::watch(&[&server]).await;
    for _ in 0..20 {
        assert_eq!(server.exchange(&[("resource", "acme")]).await.status, 200);
    }
    assert_eq!(prometheus.firing().await, Vec::<String>::new());
}
