//! Words of the protocol and ours, both ways.

use super::v1;
use crate::{
    actor::ActorKind,
    capture::{CapturedBy, StepPath},
    deliver::stream::{Direction, Kinds},
    impact::{Confidence, Remedy, State},
    ledger::{Verdict, WindowKind},
    remedy::{Action, Mode, Stage},
};

/// Pairs every value of ours with one of the protocol's; the compiler sees to it that none of ours is left out.
macro_rules! pairs {
    ($ours:ident, $theirs:ident: $($value:ident = $their_value:ident),+ $(,)?) => {
        impl From<$ours> for v1::$theirs {
            fn from(ours: $ours) -> Self {
                match ours { $($ours::$value => Self::$their_value),+ }
            }
        }

        impl $ours {
            /// From the protocol; nothing if unset or of a later version.
            pub(in crate::deliver::grpc) fn from_proto(theirs: i32) -> Option<Self> {
                match v1::$theirs::try_from(theirs).ok()? {
                    $(v1::$theirs::$their_value => Some(Self::$value),)+
                    #[allow(unreachable_patterns, reason = "some enumerations have nothing else")]
                    _ => None,
                }
            }
        }
    };
}

pairs!(StepPath, StepPath:
    ClockSettime = ClockSettime, Settimeofday = Settimeofday, Adjtimex = Adjtimex, TimezoneWarp = TimezoneWarp,
    LeapSecond = LeapSecond, Kernel = Kernel, Unattributed = Unattributed);
pairs!(CapturedBy, CapturedBy:
    Fentry = Fentry, Kprobe = Kprobe, RawTracepoint = RawTracepoint, Tracepoint = Tracepoint, Timerfd = Timerfd,
    Reconcile = Reconcile);
pairs!(ActorKind, ActorKind: Process = Process, Kernel = Kernel, Hypervisor = Hypervisor, Unknown = Unknown);
pairs!(Verdict, Verdict: Correction = Correction, Disruption = Disruption, Unknown = Unknown);
pairs!(WindowKind, WindowKind:
    DaemonDown = DaemonDown, RebootBehind = RebootBehind, RebootAhead = RebootAhead);
pairs!(Confidence, Confidence: Predicted = Predicted, Observed = Observed, Refuted = Refuted);
pairs!(State, ImpactState: Open = Open, Resolved = Resolved);
pairs!(Remedy, Remedy:
    RestartKubelet = RestartKubelet, DeletePod = DeletePod, RestartRuntime = RestartRuntime, Wait = Wait, None = None);
pairs!(Action, RemedyAction: RestartKubelet = RestartKubelet, EvictPod = EvictPod);
pairs!(Mode, RemedyMode: DryRun = DryRun, Act = Act);
pairs!(Stage, RemedyState:
    Planned = Planned, DryRun = DryRun, Waiting = Waiting, Started = Started, Succeeded = Succeeded, Failed = Failed,
    GivenUp = GivenUp, NotTaken = NotTaken);
pairs!(Direction, Direction: Forward = Forward, Backward = Backward);
pairs!(Kinds, Kinds: Both = Unspecified, Jumps = Jumps, Impacts = Impacts);
