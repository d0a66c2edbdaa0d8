//! The five-minute tour of README.md, run as it is written.
//!
//! The command lines are taken from the document. Only three programs are others than a reader has: `cargo` checks that
//! there is what it is to install, `kubectl` asks the stand-in cluster over HTTP as the original does, and the ports are free
//! ones.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use jwtlet_testkit::wait_until;

/// `kubectl create token NAME -n NAMESPACE --audience=AUDIENCE`, with the cluster of `$KUBECONFIG`.
const KUBECTL: &str = r#"#!/bin/bash
set -euo pipefail
[[ "$1 $2 $4" == "create token -n" ]]
value() { sed -n "s/^ *-\? *$1: *//p" "$KUBECONFIG" | head -1 | tr -d '"'; }
value certificate-authority-data | base64 -d >"$KUBECONFIG.ca"
curl -sf --cacert "$KUBECONFIG.ca" "$(value server)/api/v1/namespaces/$5/serviceaccounts/$3/token" \
    -H "Authorization: Bearer $(value token)" -H 'Content-Type: application/json' \
    -d "{\"apiVersion\": \"authentication.k8s.io/v1\", \"kind\": \"TokenRequest\", \"spec\": {\"audiences\": [\"${6#--audience=}\"]}}" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["status"]["token"])'
"#;

/// `cargo install --path CRATE`.
const CARGO: &str = r#"#!/bin/bash
[[ "$1 $2 $3" == "install --locked --path" && -f "$4/Cargo.toml" ]]
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The commands of the tour, block by block.
fn blocks() -> Vec<String> {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, tour) = readme.split_once("\n## A tour in five minutes\n").unwrap();
    let tour = tour.split("\n## ").next().unwrap();
    tour.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// The server that belongs to this command. All tests of the workspace come with it.
fn server() -> PathBuf {
    let server = Path::new(env!("CARGO_BIN_EXE_jwtlet")).with_file_name("jwtlet-server");
    if !server.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--workspace", "--bin", "jwtlet-server"]);
        assert!(build.current_dir(repository()).status().unwrap().success());
    }
    server
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The processes of the tour's first terminal; they end with this.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        // The server took the place of the shell, and removes its files when it is told to stop.
        let stopped = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_is_written() {
    let bin = tempfile::tempdir().unwrap();
    executable(&bin.path().join("kubectl"), KUBECTL);
    executable(&bin.path().join("cargo"), CARGO);
    symlink(env!("CARGO_BIN_EXE_jwtlet"), bin.path().join("jwtlet")).unwrap();
    symlink(server(), bin.path().join("jwtlet-server")).unwrap();
    let ports = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [exchange, management] = ports.map(|port| port.local_addr().unwrap().port().to_string());
    let blocks: Vec<String> =
        blocks().iter().map(|block| block.replace("8080", &exchange).replace("8081", &management)).collect();
    let [install, start, tour @ ..] = &blocks[..] else { panic!("the tour has too few blocks") };
    assert!(tour.len() >= 2 && tour.concat().lines().count() >= 8, "{tour:?}");
    let shell = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script])
            .current_dir(repository())
            .env_clear()
            .stdin(Stdio::null());
        bash.env("PATH", format!("{}:/usr/bin:/bin", bin.path().display())).env("HOME", bin.path());
        bash
    };
    assert!(shell(install).status().unwrap().success(), "{install}");

    let story = bin.path().join("story");
    let told = || fs::read_to_string(&story).unwrap_or_default();
    let output = fs::File::create(&story).unwrap();
    let server = shell(&format!("exec {}", start.trim())).stdout(output).spawn().unwrap();
    let _server = Terminal(server);
    wait_until(|| told().contains("Ctrl-C stops."), std::time::Duration::from_mins(1)).await.unwrap();

    // The second terminal: one shell for all the rest, with the file that the story names.
    let kubeconfig = told().split("--kubeconfig ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let script = tour.concat().replace("/tmp/jwtlet-dev-XXXXXX/kubeconfig", &kubeconfig);
    assert!(script.contains(&kubeconfig), "{script}");
    let output = shell(&script).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    for said in
        ["ok    keys ", "nothing to do: 76 records", "granted", "verified with the published key", "intact: "]
    {
        assert!(out.contains(said), "{said} is not in {out}");
    }
}
