//! Why an exchange would be granted or refused.

use clap::Args;
use jwtlet_core::{Audience, ClientIdentifier, ParticipantContext, Scope};
use serde_json::{Value, json};

use crate::{
    client::path,
    error::Error,
    exit::Exit,
    output::{Output, Tone, cell_text},
    settings::Settings,
    text::indented,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Who asks, such as system:serviceaccount:NAMESPACE:NAME
    #[arg(value_parser = ClientIdentifier::parse)]
    client: ClientIdentifier,
    /// For which participant context
    #[arg(value_parser = ParticipantContext::parse)]
    context: ParticipantContext,
    /// A scope that is requested; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", value_parser = Scope::parse)]
    scopes: Vec<Scope>,
    /// An audience that is requested; may be given several times
    #[arg(long = "audience", value_name = "AUDIENCE", value_parser = Audience::parse)]
    audiences: Vec<Audience>,
}

pub(crate) async fn run(arguments: &Arguments, settings: &Settings, output: Output) -> Result<Exit, Error> {
    let question = json!({
        "clientIdentifier": arguments.client, "participantContext": arguments.context,
        "scopes": arguments.scopes, "audiences": arguments.audiences,
    });
    let reply = settings.management()?.post(&path(&["explain"]), &question).await?;
    let answer: Value = reply.json()?;
    let Some(granted) = answer["granted"].as_bool() else {
        return Err(Error::Incomplete { url: reply.url, missing: "granted" });
    };
    output.show(&answer, || explanation(&answer, granted, output))?;
    Ok(if granted { Exit::Success } else { Exit::No })
}

fn explanation(answer: &Value, granted: bool, output: Output) -> String {
    let mut table = output.table(&["HELD", "RULE", "WHY"]);
    for step in answer["steps"].as_array().into_iter().flatten() {
        let (tone, held) = if step["held"] == true { (Tone::Good, "yes") } else { (Tone::Bad, "no") };
        table.toned_row(tone, &[held.to_owned(), cell_text(&step["rule"]), cell_text(&step["detail"])]);
    }
    let steps = table.finish();
    if !granted {
        let answer = |member: &str| cell_text(&answer[member]);
        let said = format!("refused: {} {}: {}", answer("status"), answer("error"), answer("reason"));
        return format!("{steps}\n{}\n", output.paint(Tone::Bad, &said));
    }
    let claims = indented(&answer["claims"]);
    format!("{steps}\n{}\nclaims\n{claims}", output.paint(Tone::Good, "granted"))
}
