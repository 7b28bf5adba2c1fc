//! `timejump fix`
//!
//! It acts itself, with the rights of whoever runs it: the daemon's socket stays one by which nothing can be done.

use std::{
    io::{self, BufRead, IsTerminal, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use super::{
    diagnose::here,
    exit::{self, Failure},
    print::{Print, colour},
    remedy::{RemedyAllow, RemedyKind, allowances, nanoseconds},
    remote::{RemoteArgs, block_on, failure},
    select::parse_duration,
};
use crate::{
    cluster::{Access, Cluster, Trouble},
    deliver::{
        Obstacles, Offer, OutputFormat,
        grpc::{Client, ConnectError, v1},
        offer_screen, remedy_value,
    },
    diagnose::Diagnosis,
    remedy::{
        Case, Policy, Reason, Remediation, Stage,
        act::{Means, Obstacle, Prepared},
        kubelet::Finder,
        lease::{GOOD_FOR, Held, LeaseError, Leases},
    },
    sys,
};

/// How long what was done may take to show.
const CURED: Duration = Duration::from_mins(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Options of `timejump fix`.
#[derive(Clone, Debug, Args)]
pub(super) struct FixArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    /// What may be done
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = RemedyKind::ALL, value_name = "KINDS")]
    kind: Vec<RemedyKind>,
    /// How to print what can be done: human is one screen; json is a line for each
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// Only once the clock has held still for so long
    #[arg(long, default_value = "5m", value_parser = parse_duration, value_name = "TIME")]
    still_for: Duration,
    /// Evict pods that are left alone by default
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHICH")]
    allow: Vec<RemedyAllow>,
    /// Do not ask an apiserver whether it is this node's turn; no pod is evicted then
    #[arg(long)]
    without_lease: bool,
    /// How the apiserver is reached, instead of as kubectl would
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The name of this node's Node object [default: the host's name]
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,
    /// The namespace of the Lease by which one node at a time is remedied
    #[arg(long, env = "POD_NAMESPACE", default_value = "timejump", value_name = "NAMESPACE")]
    namespace: String,
    /// The D-Bus address of the bus that systemd is on [default: unix:path=/run/dbus/system_bus_socket]
    #[arg(long, value_name = "ADDRESS")]
    dbus: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Shows what can be done and, if it is to be, does it.
pub(super) fn fix(args: &FixArgs) -> Result<(), Failure> {
    block_on(async {
        let mut fix = Fix::prepare(args).await?;
        let can = fix.show().await?;
        if fix.offer.remedies.is_empty() {
            return Ok(());
        }
        if args.dry_run || can.is_empty() {
            return Err(Failure::problems());
        }
        if !args.yes && !agreed(can.len())? {
            return Err(Failure::problems());
        }
        fix.carry_out(&can).await
    })
}

struct Fix<'a> {
    args: &'a FixArgs,
    host: String,
    /// Nothing where no daemon runs.
    daemon: Option<Client>,
    offer: Offer,
    means: Means,
    print: Print,
}

impl<'a> Fix<'a> {
    async fn prepare(args: &'a FixArgs) -> Result<Self, Failure> {
        let access = Access::by(args.kubeconfig.clone());
        let cluster = Cluster::new(access);
        // Without any to ask kubelet can be restarted all the same.
        let cluster = match cluster.client().await {
            _ if args.without_lease => None,
            Ok(_) => Some(cluster),
            Err(error) if args.kubeconfig.is_some() => return Err(Failure::new(exit::CONFIGURATION, error)),
            Err(error) => {
                tracing::debug!("{error}");
                None
            }
        };
        let means = Means {
            cluster,
            dbus: args.dbus.clone(),
            kubelet: Finder::default(),
            allowed: allowances(&args.allow),
            by_hand: true,
        };
        let (daemon, offer) = match args.remote.connect().await {
            Ok(mut client) => {
                let offer = client.plan_remedies(request(args)).await.map_err(failure)?;
                (Some(client), offer)
            }
            Err(ConnectError::Unreachable { .. }) => (None, by_diagnosis(args).await?),
            Err(error) => return Err(failure(error)),
        };
        Ok(Self { args, host: host(args), daemon, offer, means, print: Print::stdout() })
    }

    /// Prints what can be done, and gives the places in the offer of that.
    async fn show(&mut self) -> Result<Vec<usize>, Failure> {
        let mut obstacles = Obstacles::new();
        for (place, remedy) in self.offer.remedies.iter_mut().enumerate() {
            if remedy.stage != Stage::Planned {
                continue;
            }
            if let Err(obstacle) = self.means.prepare(remedy.action, &remedy.subject).await {
                let (stage, reason, why) = told(obstacle);
                (remedy.stage, remedy.reason, remedy.message) = (stage, Some(reason), why.clone());
                obstacles.insert(place, why);
            }
        }
        let can = self.offer.remedies.iter().enumerate();
        let can = can.filter(|(_, remedy)| remedy.stage == Stage::Planned).map(|(place, _)| place).collect();
        match self.args.output {
            OutputFormat::Human => {
                let unit = self.means.kubelet.find().and_then(|kubelet| kubelet.unit);
                let screen = offer_screen(&self.host, &self.offer, &obstacles, unit.as_deref(), colour());
                self.print.text(&screen)?;
                if self.daemon.is_none() && !self.offer.remedies.is_empty() {
                    self.print
                        .line("\nNo daemon runs here: this is what a diagnosis found (timejump diagnose).")?;
                }
                if self.means.cluster.is_none() && !self.offer.remedies.is_empty() {
                    self.print.line(
                        "\nNo apiserver is asked: no pod is evicted, and nobody sees to it that one node at a time acts.",
                    )?;
                }
                if self.args.dry_run && !self.offer.remedies.is_empty() {
                    self.print.line(
                        "\nNothing was done. Without --dry-run this asks, and does what can be done.",
                    )?;
                }
            }
            OutputFormat::Json => {
                for remedy in &self.offer.remedies {
                    self.print.line(&remedy_value(remedy).to_string())?;
                }
            }
        }
        Ok(can)
    }

    async fn carry_out(&mut self, can: &[usize]) -> Result<(), Failure> {
        let holder = format!("{} (timejump fix)", self.host);
        let mut leases =
            self.means.cluster.clone().map(|cluster| Leases::new(cluster, &self.args.namespace, &holder));
        let mut held = match &mut leases {
            Some(leases) => Some(self.turn(leases).await?),
            None => None,
        };
        let mut failed = 0;
        for place in can {
            let Some(remedy) = self.offer.remedies.get(*place).cloned() else { continue };
            self.print.line(&format!("{} …", remedy.what()))?;
            let one = self.one(&remedy);
            let ending = crate::remedy::lease::renewing(&mut leases, &mut held, one).await;
            let line = match &ending {
                Ok(done) => format!("  done: {done}"),
                Err(why) => format!("  failed: {why}"),
            };
            failed += usize::from(ending.is_err());
            self.print.line(&line)?;
            if let (Some(leases), Some(lease)) = (&mut leases, &mut held)
                && let Err(error) = leases.renew(lease).await
            {
                self.print.line(&format!("the rest is left: {error}"))?;
                return Err(Failure::problems());
            }
        }
        if let (Some(leases), Some(held)) = (&mut leases, held) {
            leases.release(held).await;
        }
        if failed > 0 { Err(Failure::problems()) } else { Ok(()) }
    }

    /// Waits for this node's turn.
    async fn turn(&mut self, leases: &mut Leases) -> Result<Held, Failure> {
        let mut told = false;
        loop {
            match leases.acquire().await {
                Ok(held) => return Ok(held),
                Err(LeaseError::Held { holder, until }) => {
                    if !std::mem::replace(&mut told, true) {
                        let most = GOOD_FOR.as_secs();
                        let words = format!(
                            "{holder} is being remedied: waiting for its end (or {most} s of its silence) …"
                        );
                        self.print.line(&words)?;
                    }
                    tokio::time::sleep_until(until.min(tokio::time::Instant::now() + LOOK)).await;
                }
                Err(error) => {
                    let code = match &error {
                        LeaseError::Apiserver(Trouble::Forbidden(_) | Trouble::Unauthorized) => {
                            exit::NOT_PERMITTED
                        }
                        _ => exit::UNAVAILABLE,
                    };
                    return Err(Failure::new(code, format!("{error} (--without-lease goes without)")));
                }
            }
        }
    }

    /// Looks at it once more, does it, and waits until it shows.
    async fn one(&self, remedy: &Remediation) -> Result<String, String> {
        let why = |obstacle| told(obstacle).2;
        let prepared: Prepared = self.means.prepare(remedy.action, &remedy.subject).await.map_err(why)?;
        let done = prepared.act(&self.means.kubelet).await.map_err(why)?;
        let Some(mut daemon) = self.daemon.clone() else {
            return Ok(format!("{done}; `timejump diagnose` tells in two minutes whether it helped"));
        };
        let until = tokio::time::Instant::now() + CURED;
        let all = remedy.impacts.len();
        loop {
            // A daemon that restarts meanwhile is asked again.
            let open = match daemon.plan_remedies(request(self.args)).await {
                Ok(offer) => {
                    offer.impacts.iter().filter(|impact| remedy.impacts.contains(&impact.id)).count()
                }
                Err(_) => all,
            };
            if open == 0 {
                return Ok(format!("{done}; all that it was for is over"));
            }
            if tokio::time::Instant::now() >= until {
                return Err(format!("{done}, but {open} of {all} impacts are not over after five minutes"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn request(args: &FixArgs) -> v1::PlanRemediesRequest {
    v1::PlanRemediesRequest {
        still_for_ns: nanoseconds(args.still_for),
        actions: args.kind.iter().map(|kind| v1::RemedyAction::from(kind.action()).into()).collect(),
    }
}

/// Where no daemon runs, of what a diagnosis finds.
async fn by_diagnosis(args: &FixArgs) -> Result<Offer, Failure> {
    let diagnosis: Diagnosis = here().await;
    let policy = Policy {
        kinds: args.kind.iter().map(|kind| kind.action()).collect(),
        still_for_ns: nanoseconds(args.still_for),
        ..Policy::by_hand()
    };
    let case = Case {
        now: diagnosis.now,
        last_jump: diagnosis.past.jumps.last().map(|jump| jump.guess.at),
        synchronised: sys::clock_is_synchronised() == Some(true),
        csi_pods: u64::try_from(diagnosis.scene.facts.csi_pods.len()).ok(),
        impacts: diagnosis.impacts,
        ..Case::default()
    };
    let boot = crate::daemon::boot_id();
    let mut offer = Offer::of(&case, &policy, &boot);
    if let Some(problem) = diagnosis.clock.first() {
        // Whatever is done before that would have to be done again.
        for remedy in &mut offer.remedies {
            remedy.stage = Stage::Waiting;
            remedy.reason = Some(Reason::ClockAway);
            remedy.message = format!("set the clock right first: {}", problem.message);
        }
    }
    Ok(offer)
}

fn told(obstacle: Obstacle) -> (Stage, Reason, String) {
    match obstacle {
        Obstacle::Later(reason, why, _) => (Stage::Waiting, reason, why),
        Obstacle::Never(reason, why) | Obstacle::Failed(reason, why) => (Stage::NotTaken, reason, why),
    }
}

fn host(args: &FixArgs) -> String {
    let name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    args.node_name.clone().unwrap_or_else(name)
}

/// Asks whoever sits there.
fn agreed(remedies: usize) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let what = "nobody to ask: standard input is no terminal; --yes does it without asking, --dry-run does nothing";
        return Err(Failure::new(exit::USAGE, what));
    }
    let what = if remedies == 1 { "Do it".to_owned() } else { format!("Do these {remedies}") };
    let asked = write!(io::stderr(), "\n{what}? [y/N] ").and_then(|()| io::stderr().flush());
    let mut answer = String::new();
    asked
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::new(exit::IO, format!("asking: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
