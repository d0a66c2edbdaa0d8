//! A process that is started again whenever it ends, as the kubelet does it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Keeps one process of a command running until it is dropped. The file `pid` has the id of the present one.
pub(crate) struct Supervisor {
    stopped: Arc<AtomicBool>,
    id: Arc<AtomicU32>,
    keeper: Option<JoinHandle<()>>,
}

impl Supervisor {
    pub(crate) fn start(mut command: Command, directory: &Path) -> Self {
        let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let pid = directory.join("pid");
        let stopped = Arc::new(AtomicBool::new(false));
        let first = spawn(&mut command, &pid);
        let id = Arc::new(AtomicU32::new(first.id()));
        let keeper = thread::spawn({
            let (stopped, id) = (Arc::clone(&stopped), Arc::clone(&id));
            move || keep(command, first, &stopped, &id, &pid)
        });
        Self { stopped, id, keeper: Some(keeper) }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let kill = format!("kill -KILL {}", self.id.load(Ordering::SeqCst));
        // It may be gone already; the keeper ends in any case.
        let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        let _ = self.keeper.take().map(JoinHandle::join);
    }
}

fn keep(mut command: Command, mut child: Child, stopped: &AtomicBool, id: &AtomicU32, pid: &Path) {
    loop {
        let _ = child.wait();
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        child = spawn(&mut command, pid);
        id.store(child.id(), Ordering::SeqCst);
    }
}

fn spawn(command: &mut Command, pid: &Path) -> Child {
    let child = command.spawn().unwrap();
    // Whoever reads the file sees one id or the other.
    let next = pid.with_extension("next");
    fs::write(&next, child.id().to_string()).unwrap();
    fs::rename(next, pid).unwrap();
    child
}
