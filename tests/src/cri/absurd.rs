//! Answers that keep to the protocol and make no sense.

use std::collections::HashMap;

use k8s_cri::v1;

use super::manners::Absurd;

/// A long name's length.
const LONG: usize = 10_000_000;

/// What messages have in common that can be made absurd.
pub(super) trait Distort {
    fn times(&mut self) -> Vec<&mut i64>;
    fn ids(&mut self) -> Vec<&mut String>;
    fn name(&mut self) -> Option<&mut String>;
    fn state(&mut self) -> Option<&mut i32>;
    fn strip(&mut self);
}

/// Makes all that an answer has absurd, in each of the ways.
pub(super) fn distort<T: Distort>(mut all: Vec<T>, ways: &[Absurd]) -> Vec<T> {
    for way in ways {
        for item in &mut all {
            match way {
                Absurd::Negative => item.times().into_iter().for_each(|at| *at = -1),
                Absurd::Max => item.times().into_iter().for_each(|at| *at = i64::MAX),
                Absurd::EmptyId => item.ids().into_iter().for_each(String::clear),
                Absurd::OneId => item.ids().into_iter().for_each(|id| *id = "0".repeat(64)),
                Absurd::LongName | Absurd::Nothing => {}
                Absurd::NoMetadata => item.strip(),
                Absurd::NoState => item.state().into_iter().for_each(|state| *state = 77),
            }
        }
        match way {
            Absurd::LongName => {
                if let Some(name) = all.first_mut().and_then(Distort::name) {
                    *name = "n".repeat(LONG);
                }
            }
            Absurd::Nothing => all.clear(),
            _ => {}
        }
    }
    all
}

impl Distort for v1::PodSandbox {
    fn times(&mut self) -> Vec<&mut i64> {
        vec![&mut self.created_at]
    }

    fn ids(&mut self) -> Vec<&mut String> {
        vec![&mut self.id]
    }

    fn name(&mut self) -> Option<&mut String> {
        self.metadata.as_mut().map(|metadata| &mut metadata.name)
    }

    fn state(&mut self) -> Option<&mut i32> {
        Some(&mut self.state)
    }

    fn strip(&mut self) {
        self.metadata = None;
        self.labels = HashMap::new();
    }
}

impl Distort for v1::PodSandboxStatus {
    fn times(&mut self) -> Vec<&mut i64> {
        vec![&mut self.created_at]
    }

    fn ids(&mut self) -> Vec<&mut String> {
        vec![&mut self.id]
    }

    fn name(&mut self) -> Option<&mut String> {
        self.metadata.as_mut().map(|metadata| &mut metadata.name)
    }

    fn state(&mut self) -> Option<&mut i32> {
        Some(&mut self.state)
    }

    fn strip(&mut self) {
        self.metadata = None;
        self.labels = HashMap::new();
    }
}

impl Distort for v1::Container {
    fn times(&mut self) -> Vec<&mut i64> {
        vec![&mut self.created_at]
    }

    fn ids(&mut self) -> Vec<&mut String> {
        vec![&mut self.id, &mut self.pod_sandbox_id]
    }

    fn name(&mut self) -> Option<&mut String> {
        self.metadata.as_mut().map(|metadata| &mut metadata.name)
    }

    fn state(&mut self) -> Option<&mut i32> {
        Some(&mut self.state)
    }

    fn strip(&mut self) {
        self.metadata = None;
        self.labels = HashMap::new();
    }
}

impl Distort for v1::ContainerStatus {
    fn times(&mut self) -> Vec<&mut i64> {
        vec![&mut self.created_at, &mut self.started_at, &mut self.finished_at]
    }

    fn ids(&mut self) -> Vec<&mut String> {
        vec![&mut self.id]
    }

    fn name(&mut self) -> Option<&mut String> {
        self.metadata.as_mut().map(|metadata| &mut metadata.name)
    }

    fn state(&mut self) -> Option<&mut i32> {
        Some(&mut self.state)
    }

    fn strip(&mut self) {
        self.metadata = None;
        self.labels = HashMap::new();
    }
}

impl Distort for v1::ContainerStats {
    fn times(&mut self) -> Vec<&mut i64> {
        self.cpu.iter_mut().map(|cpu| &mut cpu.timestamp).collect()
    }

    fn ids(&mut self) -> Vec<&mut String> {
        self.attributes.iter_mut().map(|attributes| &mut attributes.id).collect()
    }

    fn name(&mut self) -> Option<&mut String> {
        self.attributes.as_mut()?.metadata.as_mut().map(|metadata| &mut metadata.name)
    }

    fn state(&mut self) -> Option<&mut i32> {
        None
    }

    fn strip(&mut self) {
        self.attributes = None;
    }
}
