//! What a fake is told while it runs: one command a line, one JSON object in answer to each.

use std::str::{FromStr, SplitWhitespace};

use anyhow::{Context, Error, Result, bail};
use serde_json::{Value, json};

use super::{Absurd, Door, Fake, Faulty, Manners, NewContainer};

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `jump NS`: its wall clock steps.
    Jump(i64),
    /// `pass NS`: time passes on its clocks.
    Pass(i64),
    /// `pod NAMESPACE NAME [AGE_NS]`
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// How old it is.
        age: i64,
    },
    /// `add POD_ID NAME [AGE_NS [ATTEMPT [MILLICORES]]]`: a running container.
    Add {
        /// Its pod.
        pod: String,
        /// Its name.
        name: String,
        /// How old it is.
        age: i64,
        /// How often it was started before.
        attempt: u32,
        /// What it uses.
        millicores: u64,
    },
    /// `remove ID`: a container, or a pod with its containers.
    Remove(String),
    /// `exit ID [CODE]`: a container ends.
    Exit(String, i32),
    /// `cpu ID MILLICORES`: what a container uses from now on.
    Cpu(String, u64),
    /// `counter ID NS`: a container's CPU counter, to have it fall.
    Counter(String, u64),
    /// `restart`
    Restart,
    /// `down`: no process, no socket.
    Down,
    /// `up`: there again.
    Up,
    /// `door serve|hang|not-grpc|noise|close`; `hang on`, `hang off`.
    Door(Door),
    /// `fault [METHOD=]FAULT`: one more.
    Fault(Faulty),
    /// `absurd WAY`: one more.
    Absurd(Absurd),
    /// `calm`: it behaves.
    Calm,
    /// `calls`: what came so far.
    Calls,
    /// `forget`: count anew.
    Forget,
    /// `list`: pods and containers.
    List,
}

impl FromStr for Command {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let command = parse(&mut words).with_context(|| format!("no command: {line}"))?;
        match words.next() {
            Some(more) => bail!("too much after a command: {more}"),
            None => Ok(command),
        }
    }
}

fn parse(words: &mut SplitWhitespace<'_>) -> Result<Command> {
    let command = words.next().context("nothing")?;
    Ok(match command {
        "jump" => Command::Jump(next(words)?),
        "pass" => Command::Pass(next(words)?),
        "pod" => Command::Pod { namespace: next(words)?, name: next(words)?, age: or(words, 0)? },
        "add" => Command::Add {
            pod: next(words)?,
            name: next(words)?,
            age: or(words, 0)?,
            attempt: or(words, 0)?,
            millicores: or(words, 500)?,
        },
        "remove" => Command::Remove(next(words)?),
        "exit" => Command::Exit(next(words)?, or(words, 0)?),
        "cpu" => Command::Cpu(next(words)?, next(words)?),
        "counter" => Command::Counter(next(words)?, next(words)?),
        "restart" => Command::Restart,
        "down" => Command::Down,
        "up" => Command::Up,
        "door" => Command::Door(named(words)?),
        "hang" => match next::<String>(words)?.as_str() {
            "on" => Command::Door(Door::Hang),
            "off" => Command::Door(Door::Serve),
            other => bail!("neither on nor off: {other}"),
        },
        "fault" => Command::Fault(next::<String>(words)?.parse()?),
        "absurd" => Command::Absurd(named(words)?),
        "calm" => Command::Calm,
        "calls" => Command::Calls,
        "forget" => Command::Forget,
        "list" => Command::List,
        other => bail!("unknown: {other}"),
    })
}

fn next<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    words: &mut SplitWhitespace<'_>,
) -> Result<T> {
    let word = words.next().context("too short")?;
    word.parse().with_context(|| word.to_owned())
}

fn or<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    words: &mut SplitWhitespace<'_>,
    default: T,
) -> Result<T> {
    words.next().map_or(Ok(default), |word| word.parse().with_context(|| word.to_owned()))
}

fn named<T: FromStr<Err = String>>(words: &mut SplitWhitespace<'_>) -> Result<T> {
    words.next().context("too short")?.parse().map_err(Error::msg)
}

impl Fake {
    /// Does what a command says, and says what came of it.
    pub fn obey(&mut self, command: Command) -> Result<Value> {
        match command {
            Command::Jump(by) => self.jump(by),
            Command::Pass(ns) => self.pass(ns),
            Command::Pod { namespace, name, age } => {
                let id = self.node().add_pod(&namespace, &name, age);
                return Ok(json!({ "id": id }));
            }
            Command::Add { pod, name, age, attempt, millicores } => {
                let new = NewContainer { pod, name, attempt, age, exited: None, millicores };
                return Ok(json!({ "id": self.node().add(new)? }));
            }
            Command::Remove(id) => self.node().remove(&id)?,
            Command::Exit(id, code) => self.node().exit(&id, code)?,
            Command::Cpu(id, millicores) => self.node().use_cpu(&id, millicores)?,
            Command::Counter(id, used) => self.node().set_counter(&id, used)?,
            Command::Restart => self.restart()?,
            Command::Down => self.down(),
            Command::Up => self.up()?,
            Command::Door(door) => self.behave(|manners| manners.door = door),
            Command::Fault(fault) => self.behave(|manners| manners.faults.push(fault)),
            Command::Absurd(way) => self.behave(|manners| manners.absurd.push(way)),
            Command::Calm => self.behave(|manners| *manners = Manners::default()),
            Command::Calls => return Ok(json!({ "calls": self.calls(), "connections": self.connections() })),
            Command::Forget => self.forget_calls(),
            Command::List => return Ok(self.list()),
        }
        Ok(json!({ "ok": true }))
    }

    fn list(&self) -> Value {
        let mut node = self.node();
        let now = node.now();
        let pods = node
            .pods()
            .iter()
            .map(|pod| json!({ "id": pod.id, "namespace": pod.namespace, "name": pod.name, "uid": pod.uid }));
        let containers = node.containers().iter().map(|it| {
            json!({
                "id": it.id, "pod": it.pod, "name": it.name, "attempt": it.attempt,
                "created_at": it.created_at, "started_at": it.started_at,
                "finished_at": it.exited.map(|(at, _)| at),
            })
        });
        json!({
            "wall_ns": now.wall, "boot_ns": now.boot,
            "pods": pods.collect::<Vec<_>>(), "containers": containers.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, Now, Profile, Settings};
    use super::*;

    #[test]
    fn commands_are_read() {
        let command = |line: &str| line.parse::<Command>().unwrap();
        assert_eq!(command("jump -600000000000"), Command::Jump(-600_000_000_000));
        assert_eq!(command(" hang  on "), Command::Door(Door::Hang));
        assert_eq!(command("door not-grpc"), Command::Door(Door::NotGrpc));
        assert_eq!(command("absurd long-name"), Command::Absurd(Absurd::LongName));
        assert_eq!(command("fault Version=hang"), Command::Fault("Version=hang".parse().unwrap()));
        let add = Command::Add { pod: "ab".into(), name: "c".into(), age: -5, attempt: 0, millicores: 500 };
        assert_eq!(command("add ab c -5"), add);
        for nonsense in ["", "jump", "jump x", "jump 1 2", "hang maybe", "door open", "fault no", "reboot"] {
            nonsense.parse::<Command>().unwrap_err();
        }
    }

    #[test]
    fn commands_are_obeyed() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::standing(Now { wall: 1_000, boot: 100 });
        let settings = Settings { clock, pods: 0, ..Profile::CriO.into() };
        let mut fake = Fake::start(&directory.path().join("s"), &settings).unwrap();
        let mut obey = |line: &str| fake.obey(line.parse().unwrap());
        let text = |answer: &Value, key: &str| answer[key].as_str().unwrap().to_owned();
        let pod = text(&obey("pod kube-system dns").unwrap(), "id");
        let id = text(&obey(&format!("add {pod} c 400 2")).unwrap(), "id");
        obey("jump -500").unwrap();
        obey("pass 7").unwrap();
        obey(&format!("exit {id} 3")).unwrap();
        let list = obey("list").unwrap();
        assert_eq!((&list["wall_ns"], &list["boot_ns"]), (&json!(507), &json!(107)));
        let container = &list["containers"][0];
        assert_eq!((&container["created_at"], &container["attempt"]), (&json!(600), &json!(2)));
        assert_eq!(container["finished_at"], 507);
        for line in ["down", "up", "restart", "hang on", "fault slow:5", "absurd max", "calm", "forget"] {
            assert_eq!(obey(line).unwrap(), json!({ "ok": true }), "{line}");
        }
        assert_eq!(obey("calls").unwrap(), json!({ "calls": {}, "connections": 0 }));
        obey(&format!("remove {pod}")).unwrap();
        obey(&format!("remove {id}")).unwrap_err();
    }
}
