//! The verifier's own token: read from a file that somebody else keeps current.

use std::fs;

use jwtlet_testkit::Fault;

use crate::support::Cluster;

#[tokio::test]
async fn a_replaced_token_is_read_at_once_when_the_old_one_is_refused() {
    let cluster = Cluster::start().await;
    cluster.accepts().await;
    cluster.write_token(&cluster.kubernetes.rotate_reviewer_token());
    cluster.accepts().await;
    assert_eq!(cluster.kubernetes.reviews(), 2);
}

#[tokio::test]
async fn a_refused_token_without_a_successor_is_an_operators_matter() {
    let cluster = Cluster::start().await;
    cluster.accepts().await;
    let new = cluster.kubernetes.rotate_reviewer_token();
    let causes = cluster.is_misconfigured().await;
    assert!(causes.ends_with("the API server does not accept jwtlet's own token from /token"), "{causes}");
    cluster.write_token(&new);
    cluster.accepts().await;
}

#[tokio::test]
async fn a_refused_token_is_retried_once_and_no_more() {
    let cluster = Cluster::start().await;
    cluster.accepts().await;
    cluster.write_token(&cluster.kubernetes.token("jwtlet", "jwtlet").mint());
    // The file's other token is as good as the first; a third attempt would show it.
    cluster.kubernetes.faults().next(2, Fault::kubernetes(401, "Unauthorized", "Unauthorized"));
    cluster.is_misconfigured().await;
    cluster.accepts().await;
    assert_eq!(cluster.kubernetes.reviews(), 2);
}

#[tokio::test]
async fn a_missing_permission_is_an_operators_matter() {
    let cluster = Cluster::start().await;
    cluster.kubernetes.forbid_reviews(true);
    let causes = cluster.is_misconfigured().await;
    assert!(causes.contains("bind it to the ClusterRole system:auth-delegator"), "{causes}");
    cluster.kubernetes.forbid_reviews(false);
    cluster.accepts().await;
}

#[tokio::test]
async fn white_space_around_the_token_does_not_matter() {
    let cluster = Cluster::start().await;
    cluster.write_token(&format!("\n {}\r\n\n", cluster.kubernetes.reviewer_token()));
    cluster.accepts().await;
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_an_outage_that_ends_when_it_comes() {
    let cluster = Cluster::start().await;
    fs::remove_file(cluster.token_file()).unwrap();
    let (_, causes) = cluster.is_unavailable().await;
    assert!(causes.contains("cannot read the token file"), "{causes}");
    assert_eq!(cluster.kubernetes.connections(), 0);
    cluster.write_token(&cluster.kubernetes.reviewer_token());
    cluster.accepts().await;
}

#[tokio::test]
async fn a_file_that_holds_no_token_is_an_operators_matter() {
    for (text, why) in
        [("", "it is empty"), (" \n", "it is empty"), ("two words", "one word"), ("{}", "it holds JSON")]
    {
        let cluster = Cluster::start().await;
        cluster.write_token(text);
        let causes = cluster.is_misconfigured().await;
        assert!(causes.contains(why), "{causes}");
        cluster.write_token(&cluster.kubernetes.reviewer_token());
        cluster.accepts().await;
    }
}

#[tokio::test]
async fn the_last_good_token_outlives_a_file_that_is_empty_or_gone() {
    let cluster = Cluster::start().await;
    cluster.accepts().await;
    cluster.write_token("");
    // A refusal in passing makes the verifier look at the file, which must not cost it the token that it has.
    cluster.kubernetes.faults().next(1, Fault::kubernetes(401, "Unauthorized", "Unauthorized"));
    cluster.is_misconfigured().await;
    cluster.accepts().await;
    fs::remove_file(cluster.token_file()).unwrap();
    cluster.kubernetes.faults().next(1, Fault::kubernetes(401, "Unauthorized", "Unauthorized"));
    cluster.is_misconfigured().await;
    cluster.accepts().await;
}

#[tokio::test]
async fn neither_token_is_in_the_debug_output() {
    let cluster = Cluster::start().await;
    cluster.accepts().await;
    let debug = format!("{:?}", cluster.verifier);
    assert!(!debug.contains("eyJ") && !debug.contains(&cluster.kubernetes.reviewer_token()), "{debug}");
}
