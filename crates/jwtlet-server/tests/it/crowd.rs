//! Ten thousand clients that send nothing, and two hundred that send a byte a second.

#![cfg(target_os = "linux")]

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::interval};

use crate::{
    fleet::client,
    process::{measured, resident_kib},
    program::{Neighbours, Program, address, ready},
};

const SILENT: usize = 10_000;
const SLOW: usize = 200;
const MAX_BYTES: u64 = 200_000_000;

#[tokio::test]
async fn a_crowd_takes_less_than_200_mb_and_others_are_answered_beside_it() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let neighbours = Neighbours::start().await;
    let (binary, _) = measured();
    let program = Program::start(Program::command_of(&binary).arg(neighbours.config(0, 0)));
    let exchange = address(&program, "exchange").await;
    let http = client();
    ready(&http, &exchange).await;

    let to = exchange.trim_start_matches("http://");
    let mut silent = Vec::with_capacity(SILENT);
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(to).await.expect("open files: ulimit -Hn has to be 11,000 at least"));
    }
    let mut slow = JoinSet::new();
    for _ in 0..SLOW {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(b"POST /token HTTP/1.1\r\nhost: ").await.unwrap();
        slow.spawn(async move {
            let mut seconds = interval(Duration::from_secs(1));
            loop {
                seconds.tick().await;
                if stream.write_all(b"a").await.is_err() {
                    return;
                }
            }
        });
    }
    for _ in 0..100 {
        ready(&http, &exchange).await;
    }
    let kib = resident_kib(program.id());
    println!("{kib} KiB");
    assert!(kib * 1024 < MAX_BYTES, "{kib} KiB");
}
