//! Who takes the notifications of a stack from its queue: the function, or a worker in its place.

use std::process::Command;
use std::sync::Mutex;

use xtask::local_environment::{Leash, Lifetime, ServerPlace};

use crate::servers::environment;
use crate::stack::{Bucket, Stack, processes_with};

/// Defines each of these tests twice: with the function at the queue, and with a worker. The body of a test is an async
/// function that takes a [`Runner`].
#[macro_export]
macro_rules! with_function_and_worker {
    ($($test:ident),+ $(,)?) => {
        mod with_function {
            $(#[tokio::test] async fn $test() { super::$test($crate::Runner::Function).await; })+
        }
        mod with_worker {
            $(#[tokio::test] async fn $test() { super::$test($crate::Runner::Worker).await; })+
        }
    };
}

/// Who loads the objects of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// The function, as the template says.
    Function,
    /// `flatfire work` with the function's variables; nothing feeds the function.
    Worker,
}

impl Runner {
    /// Deploys as [`Stack::deploy`] does.
    pub async fn deploy(self, name: &str) -> Stack {
        self.deploy_with(name, environment().await.servers.database.uri(), &[]).await
    }

    /// Deploys as [`Runner::deploy`], with checks of the deployment's own.
    pub async fn deploy_checked(self, name: &str, checks: &str) -> Stack {
        self.deploy_with(name, environment().await.servers.database.uri(), &[("Checks", checks)]).await
    }

    /// Deploys as [`Runner::deploy`], over a bucket that exists already, keeps versions and sends its events to
    /// `EventBridge`.
    pub async fn deploy_over_bucket(self, name: &str) -> Stack {
        let bucket = Bucket::make(&self.name(name)).await;
        bucket.keep_versions().await;
        bucket.announce_uploads().await;
        let uri = environment().await.servers.database.uri();
        self.deploy_with(name, uri, &[("MakeBucket", "no"), ("BatchSize", "10")]).await
    }

    /// Deploys as [`Stack::deploy_with`] does.
    pub async fn deploy_with(self, name: &str, mongodb_uri: &str, parameters: &[(&str, &str)]) -> Stack {
        Stack::deploy_for(self, &self.name(name), mongodb_uri, parameters).await
    }

    /// Returns the name of a stack of this runner: a test has two of the same name.
    fn name(self, name: &str) -> String {
        match self {
            Self::Function => name.to_owned(),
            Self::Worker => format!("{name}-w"),
        }
    }
}

/// Workers of one queue. They are killed with the value, and end when the process of the test does.
#[derive(Debug)]
pub(crate) struct Workers {
    name: String,
    queue_url: String,
    leashes: Mutex<Vec<Leash>>,
}

impl Workers {
    /// Makes a place for workers that read this queue; none is started.
    pub(crate) const fn new(name: String, queue_url: String) -> Self {
        Self { name, queue_url, leashes: Mutex::new(Vec::new()) }
    }

    /// Starts a worker. What it writes goes to a file.
    pub(crate) async fn start(&self, command: &Command) {
        let environment = environment().await;
        let mut leashes = self.leashes.lock().unwrap();
        let name = self.log_name(leashes.len());
        let place = ServerPlace {
            tools: &environment.tools,
            directory: environment.directory(),
            lifetime: &Lifetime::Owner,
        };
        let leash = Leash::tie(place, command, &name).unwrap();
        leashes.push(leash);
    }

    /// Returns the lines that all of them have written.
    pub(crate) async fn log(&self) -> Vec<String> {
        let directory = environment().await.directory();
        let count = self.leashes.lock().unwrap().len();
        let logs = (0..count).map(|number| directory.join(format!("{}.log", self.log_name(number))));
        let texts = logs.map(|log| String::from_utf8(std::fs::read(log).unwrap()).unwrap());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Returns the processes of the workers that run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let is_worker = |process: &u32| {
            std::fs::read_link(format!("/proc/{process}/exe"))
                .is_ok_and(|program| program.ends_with("flatfire"))
        };
        processes_with(&[format!("QUEUE_URL={}", self.queue_url)]).into_iter().filter(is_worker).collect()
    }

    fn log_name(&self, number: usize) -> String {
        format!("worker-{}-{number}", self.name)
    }
}

impl Drop for Workers {
    /// Stops the worker. One that is asked to stop waits for its queue first.
    fn drop(&mut self) {
        for process in self.processes() {
            Command::new("kill").args(["-KILL", &process.to_string()]).status().ok();
        }
    }
}
