//! Captured log text.

use jwtlet_testkit::LogCapture;
use tracing_subscriber::fmt;

#[test]
fn everything_logged_is_captured() {
    let capture = LogCapture::new();
    let subscriber = fmt().with_max_level(tracing::Level::TRACE).with_writer(capture.clone()).finish();
    tracing::subscriber::with_default(subscriber, || tracing::trace!(token = "abc", "seen"));
    assert!(capture.contains("seen") && capture.contains("abc"), "{}", capture.text());
    capture.clear();
    assert_eq!(capture.text(), "");
}
