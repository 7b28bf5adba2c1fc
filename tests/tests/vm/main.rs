//! One trial per kernel, boot and scenario. Each boot runs its whole suite in one virtual machine, started when the first
//! trial asks for it; a trial reads its own result out of that. See `timejump_tests::scenario` for what there is.
//!
//! - `TIMEJUMP_XTASK`: the xtask binary, which boots the machines. `cargo xtask test` sets it.
//! - `TIMEJUMP_NO_VM=1`: ignore all trials. Where `CI` is set, trials that cannot run fail instead.
//! - `KUBE_APISERVER`, `KUBELET`, `ETCD`: components for the boot of a real cluster, which is left out without them.
//! - `TIMEJUMP_VM_AT_ONCE`: how many machines may run at the same time.

mod machine;
mod room;

use std::collections::HashMap;
use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use timejump_tests::scenario::{self, BOOTS, Boot, Verdict};

use machine::{Machine, Machines};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let machines = Arc::new(Machines::from_environment());
    let mut trials = Vec::new();
    let mut boots: HashMap<(&str, &str), Arc<Machine>> = HashMap::new();
    // Those that mostly wait first, as they take longest, and have others beside them. Then as the table has them, in which
    // the long ones come first as well.
    let waiting = BOOTS.iter().filter(|boot| boot.mostly_waits);
    for boot in waiting.chain(BOOTS.iter().filter(|boot| !boot.mostly_waits)) {
        for &kernel in boot.kernels {
            let name = |scenario: &str| format!("{kernel}::{}::{scenario}", boot.name);
            let wanted: Vec<_> = boot
                .scenarios_on(kernel)
                .filter(|scenario| !arguments.is_filtered_out(&Trial::test(name(scenario), || Ok(()))))
                .collect();
            let previous = boot.follows.map(|previous| Arc::clone(&boots[&(kernel.name(), previous)]));
            let machine = Arc::new(Machine::new(kernel, boot, wanted, boots.len(), previous));
            boots.insert((kernel.name(), boot.name), Arc::clone(&machine));
            for scenario in boot.scenarios_on(kernel) {
                let (machines, machine) = (Arc::clone(&machines), Arc::clone(&machine));
                trials.push(Trial::ignorable_test(name(scenario), move || {
                    if let Some(ignored) = machines.hindered()?.or_else(|| left_out(machine.boot)) {
                        return Ok(ignored);
                    }
                    judge(&machine, scenario, &machine.verdict(&machines, scenario)?)
                }));
            }
        }
    }
    // Trials only wait for their machine: with a thread for each, what runs at once is up to `Machines` alone.
    arguments.test_threads.get_or_insert(trials.len().max(1));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What a boot needs that this environment does not name: the one kind of trial that may be left out, in CI as well.
fn left_out(boot: &Boot) -> Option<Completion> {
    let missing = |variable: &&&str| env::var_os(variable).is_none_or(|value| value.is_empty());
    let variable = scenario::needs(boot.name).iter().find(missing)?;
    Some(Completion::ignored_with(format!(
        "{variable} is not set; `cargo xtask kubernetes` builds what it names"
    )))
}

/// What the guest said, against what was to be expected of this kernel.
fn judge(machine: &Machine, scenario: &str, verdict: &Verdict) -> Result<Completion, Failed> {
    match (verdict, scenario::unsupported(machine.kernel, scenario)) {
        (Verdict::Ok, None) => Ok(Completion::Completed),
        (Verdict::Failed(message), _) => Err(machine.failure(message)),
        (Verdict::Skipped(said), Some(stated)) if said == stated => Ok(Completion::Completed),
        (other, Some(stated)) => {
            Err(machine.failure(&format!("should be refused as {stated:?}, but the guest says {other:?}")))
        }
        (Verdict::Skipped(reason), None) if machine::in_ci() => {
            Err(machine.failure(&format!("skipped, which no table states: {reason}")))
        }
        (Verdict::Skipped(reason), None) => Ok(Completion::ignored_with(reason)),
    }
}
