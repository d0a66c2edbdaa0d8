//! What the readiness probe is told, and how the verifier gets well by itself.

use std::{sync::Arc, time::Duration};

use jwtlet_testkit::{Fault, Kubernetes, wait_until};
use tokio::task::JoinHandle;

use crate::support::{Cluster, PATIENCE};

/// A cluster whose verifier is watched in the background.
struct Watched {
    cluster: Arc<Cluster>,
    watch: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Watched {
    fn new(cluster: Cluster) -> Self {
        let cluster = Arc::new(cluster);
        let watch = tokio::spawn({
            let cluster = Arc::clone(&cluster);
            async move { cluster.verifier.monitor().await }
        });
        Self { cluster, watch }
    }

    async fn becomes_ready(&self) {
        let ready = wait_until(|| self.cluster.reported().is_none(), PATIENCE).await;
        assert!(ready.is_ok(), "{:?}", self.cluster.reported());
    }

    async fn is_not_ready_because(&self, words: &str) {
        let says = || self.cluster.reported().is_some_and(|reason| reason.contains(words));
        let said = wait_until(says, PATIENCE).await;
        assert!(said.is_ok(), "{words} is not in {:?}", self.cluster.reported());
    }
}

#[tokio::test]
async fn before_the_first_answer_it_is_not_ready() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.reported().as_deref(), Some("not reached yet"));
    cluster.accepts().await;
    assert_eq!(cluster.reported(), None);
}

#[tokio::test]
async fn the_monitor_makes_it_ready_without_traffic() {
    let watched = Watched::new(Cluster::start().await);
    watched.becomes_ready().await;
    assert_eq!(watched.cluster.kubernetes.reviews(), 1);
}

#[tokio::test]
async fn a_refused_subject_token_is_no_failure_of_the_cluster() {
    let cluster = Cluster::start().await;
    cluster.rejects(&cluster.token().foreign_key().mint()).await;
    assert_eq!(cluster.reported(), None);
}

#[tokio::test]
async fn a_cluster_that_comes_later_is_noticed() {
    let kubernetes = Kubernetes::start().await.unwrap();
    kubernetes.stop().await;
    let watched = Watched::new(Cluster::around(kubernetes, |_| {}));
    watched.is_not_ready_because("the call failed").await;
    watched.cluster.kubernetes.restart().await.unwrap();
    watched.becomes_ready().await;
}

#[tokio::test]
async fn a_failure_shows_at_once_and_its_end_without_traffic() {
    let watched = Watched::new(Cluster::start().await);
    watched.becomes_ready().await;
    watched.cluster.kubernetes.faults().always(Fault::status(500));
    watched.cluster.is_unavailable().await;
    watched.is_not_ready_because("status 500").await;
    watched.cluster.kubernetes.faults().clear();
    // An idle cluster is looked at every ten seconds; a failing one more often.
    let ready = wait_until(|| watched.cluster.reported().is_none(), Duration::from_secs(6)).await;
    assert!(ready.is_ok(), "{:?}", watched.cluster.reported());
}

#[tokio::test]
async fn refused_credentials_are_named_and_recovered_from() {
    let watched = Watched::new(Cluster::start().await);
    watched.becomes_ready().await;
    watched.cluster.kubernetes.forbid_reviews(true);
    watched.cluster.is_misconfigured().await;
    watched.is_not_ready_because("may not create TokenReviews").await;
    watched.cluster.kubernetes.forbid_reviews(false);
    watched.becomes_ready().await;
    let new = watched.cluster.kubernetes.rotate_reviewer_token();
    watched.cluster.is_misconfigured().await;
    watched.is_not_ready_because("does not accept jwtlet's own token").await;
    watched.cluster.write_token(&new);
    watched.becomes_ready().await;
}

#[tokio::test]
async fn a_token_file_that_comes_later_is_noticed() {
    let cluster = Cluster::start().await;
    std::fs::remove_file(cluster.token_file()).unwrap();
    let watched = Watched::new(cluster);
    watched.is_not_ready_because("cannot read the token file").await;
    watched.cluster.write_token(&watched.cluster.kubernetes.reviewer_token());
    watched.becomes_ready().await;
}

#[tokio::test]
async fn a_slow_cluster_gets_ready_once_it_is_fast_again() {
    let watched =
        Watched::new(Cluster::start_with(|settings| settings.request_timeout = Duration::from_secs(1)).await);
    watched.becomes_ready().await;
    watched.cluster.kubernetes.faults().always(Fault::Hang);
    watched.cluster.is_unavailable().await;
    watched.is_not_ready_because("time limit").await;
    watched.cluster.kubernetes.faults().clear();
    watched.becomes_ready().await;
}
