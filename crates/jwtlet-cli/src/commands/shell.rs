//! Completions and the manual page.

use clap::{Args, CommandFactory, ValueEnum};

use crate::{cli::Cli, error::Error, exit::Exit, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// `source <(jwtlet completions bash)`
    Bash,
    /// `jwtlet completions zsh > "${fpath[1]}/_jwtlet"`
    Zsh,
    /// `jwtlet completions fish > ~/.config/fish/completions/jwtlet.fish`
    Fish,
}

pub(crate) fn completions(arguments: &Completions, output: Output) -> Result<Exit, Error> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "jwtlet", &mut script);
    print(&script, output)
}

/// One page with all commands: the page of the command itself, then the sections of each subcommand.
pub(crate) fn man(output: Output) -> Result<Exit, Error> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(Error::Output)?;
    let mut path = Vec::new();
    sections(&command, &mut path, &mut page).map_err(Error::Output)?;
    print(&page, output)
}

fn sections(command: &clap::Command, path: &mut Vec<String>, page: &mut Vec<u8>) -> std::io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        path.push(subcommand.get_name().to_owned());
        page.extend_from_slice(format!(".SH \"COMMAND {}\"\n", path.join(" ")).as_bytes());
        let man = clap_mangen::Man::new(subcommand.clone());
        let mut text = Vec::new();
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        // Sections of the subcommand are subsections of this page.
        page.extend_from_slice(String::from_utf8_lossy(&text).replace(".SH ", ".SS ").as_bytes());
        sections(subcommand, path, page)?;
        path.pop();
    }
    Ok(())
}

fn print(text: &[u8], output: Output) -> Result<Exit, Error> {
    output.print(&String::from_utf8_lossy(text))?;
    Ok(Exit::Success)
}
