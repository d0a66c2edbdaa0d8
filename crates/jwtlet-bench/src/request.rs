//! The exchanges that are sent, as bytes.

use std::net::SocketAddr;

use crate::environment::CONTEXT;

/// A whole request for these scopes, head and body.
pub(crate) fn request(address: SocketAddr, subject_token: &str, scopes: &[String]) -> Vec<u8> {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", subject_token),
        ("resource", CONTEXT),
        ("scope", &scopes.join(" ")),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}
