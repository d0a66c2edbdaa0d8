//! Exchanges the token in the file named first for one of the participant context named second, and prints it.

use std::{env, error::Error, fs, time::Duration};

use reqwest::{Client, ClientBuilder, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    access_token: String,
}

async fn exchange(
    client: &Client,
    token_file: &str,
    context: &str,
    scope: &str,
) -> Result<String, Box<dyn Error>> {
    // Each time: the kubelet replaces the token.
    let subject_token = fs::read_to_string(token_file)?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", &subject_token),
        ("resource", context),
        ("scope", scope),
    ];
    let url = format!("{}/token", env::var("JWTLET_URL")?);
    let mut attempt = 1;
    loop {
        let response = client.post(&url).form(&form).send().await?;
        match response.status() {
            StatusCode::OK => return Ok(response.json::<Answer>().await?.access_token),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if attempt < 3 => {
                let advice =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(advice.unwrap_or(1))).await;
                attempt += 1;
            }
            status => return Err(format!("{status}: {}", response.text().await?).into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = ClientBuilder::new().timeout(Duration::from_secs(10)).build()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [token_file, context, rest @ ..] = &arguments[..] else { return Err("FILE CONTEXT [SCOPE]".into()) };
    println!("{}", exchange(&client, token_file, context, rest.first().map_or("", String::as_str)).await?);
    Ok(())
}
