//! How the daemon stands, to and from the protocol.

use super::{
    convert::{Foreign, from_word, known},
    v1,
};
use crate::{
    capture::{PathCoverage, RungReport, StepPath},
    clock::{BootNs, OffsetNs},
    deliver::{
        ConsumersReport, DaemonReport, LedgerReport, Listener, Status, StoreReport, WitnessReport,
        json::word, outbox::DeliveryReport,
    },
};

impl From<&Status> for v1::Status {
    fn from(status: &Status) -> Self {
        let daemon = status.daemon.as_ref();
        Self {
            version: status.version.clone(),
            kernel: status.kernel.clone(),
            boot_id: status.boot_id.clone(),
            rung: word(status.rung),
            offset_ns: status.offset_ns.0,
            offset_error_ns: status.offset_error_ns,
            rungs: status
                .rungs
                .iter()
                .map(|report| v1::RungReport {
                    rung: word(report.rung),
                    state: word(report.state),
                    reason: report.reason.clone(),
                })
                .collect(),
            coverage: status
                .coverage
                .iter()
                .map(|coverage| v1::PathCoverage {
                    path: v1::StepPath::from(coverage.path).into(),
                    size: word(coverage.size),
                    actor: coverage.actor,
                    note: coverage.note.clone(),
                })
                .collect(),
            witnesses: status
                .witnesses
                .iter()
                .map(|witness| v1::Witness { name: witness.name.clone(), state: witness.state.clone() })
                .collect(),
            rights: status.capabilities.clone().map(|capabilities| v1::Rights { capabilities }),
            ledger: daemon.map(|daemon| ledger(status, &daemon.ledger)),
            store: daemon.map(|daemon| store(&daemon.store)),
            listeners: daemon
                .into_iter()
                .flat_map(|daemon| &daemon.listeners)
                .map(|Listener { kind, address, state }| v1::Listener {
                    kind: kind.clone(),
                    address: address.clone(),
                    state: state.clone(),
                })
                .collect(),
            deliveries: daemon
                .into_iter()
                .flat_map(|daemon| &daemon.deliveries)
                .map(|delivery| v1::Delivery {
                    sink: delivery.sink.clone(),
                    place: delivery.place.clone(),
                    state: delivery.state.clone(),
                    position: delivery.position,
                    delivered: delivery.delivered,
                    given_up: delivery.given_up,
                    waiting: delivery.waiting,
                })
                .collect(),
            consumers: daemon.map(|daemon| {
                let ConsumersReport { now, limit, lagged } = daemon.consumers;
                let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                v1::Consumers { now: small(now), limit: small(limit), lagged }
            }),
            node: daemon.map(|daemon| (&daemon.node).into()),
            credentials: daemon.map(|daemon| (&daemon.credentials).into()),
            started_boottime_ns: daemon.map_or(0, |daemon| daemon.started_boottime_ns.0),
            now_boottime_ns: daemon.map_or(0, |daemon| daemon.now_boottime_ns.0),
        }
    }
}

fn ledger(status: &Status, ledger: &LedgerReport) -> v1::Ledger {
    v1::Ledger {
        start_offset_ns: ledger.start_offset_ns.0,
        offset_ns: status.offset_ns.0,
        sum_of_deltas_ns: ledger.sum_of_deltas_ns,
        jumps: ledger.jumps,
        missed: ledger.missed,
        dropped: ledger.dropped,
        refused: ledger.refused,
        suspends: ledger.suspends,
        suspended_ns: ledger.suspended_ns,
        last_sequence: ledger.last_sequence,
        last_boottime_ns: ledger.last_boottime_ns.0,
    }
}

fn store(store: &StoreReport) -> v1::Store {
    v1::Store {
        path: store.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        state: store.state.clone(),
        jumps: store.jumps,
        bytes: store.bytes,
        backlog: store.backlog,
        unstored: store.unstored,
    }
}

impl TryFrom<v1::Status> for Status {
    type Error = Foreign;

    fn try_from(status: v1::Status) -> Result<Self, Foreign> {
        let rungs = status.rungs.into_iter().map(|report| {
            Ok(RungReport {
                rung: from_word(&report.rung, "rung")?,
                state: from_word(&report.state, "rung's state")?,
                reason: report.reason,
            })
        });
        let coverage = status.coverage.into_iter().map(|coverage| {
            Ok(PathCoverage {
                path: known(StepPath::from_proto(coverage.path), "path")?,
                size: from_word(&coverage.size, "coverage")?,
                actor: coverage.actor,
                note: coverage.note,
            })
        });
        let ledger = status.ledger.unwrap_or_default();
        let store = status.store.unwrap_or_default();
        let consumers = status.consumers.unwrap_or_default();
        Ok(Self {
            version: status.version,
            kernel: status.kernel,
            boot_id: status.boot_id,
            rung: from_word(&status.rung, "rung")?,
            offset_ns: OffsetNs(status.offset_ns),
            offset_error_ns: status.offset_error_ns,
            rungs: rungs.collect::<Result<_, _>>()?,
            coverage: coverage.collect::<Result<_, _>>()?,
            witnesses: status
                .witnesses
                .into_iter()
                .map(|v1::Witness { name, state }| WitnessReport { name, state })
                .collect(),
            capabilities: status.rights.map(|rights| rights.capabilities),
            daemon: Some(DaemonReport {
                started_boottime_ns: BootNs(status.started_boottime_ns),
                now_boottime_ns: BootNs(status.now_boottime_ns),
                ledger: LedgerReport {
                    start_offset_ns: OffsetNs(ledger.start_offset_ns),
                    sum_of_deltas_ns: ledger.sum_of_deltas_ns,
                    jumps: ledger.jumps,
                    missed: ledger.missed,
                    dropped: ledger.dropped,
                    refused: ledger.refused,
                    suspends: ledger.suspends,
                    suspended_ns: ledger.suspended_ns,
                    last_sequence: ledger.last_sequence,
                    last_boottime_ns: BootNs(ledger.last_boottime_ns),
                },
                store: StoreReport {
                    path: (!store.path.is_empty()).then(|| store.path.into()),
                    state: store.state,
                    jumps: store.jumps,
                    bytes: store.bytes,
                    backlog: store.backlog,
                    unstored: store.unstored,
                },
                listeners: status
                    .listeners
                    .into_iter()
                    .map(|v1::Listener { kind, address, state }| Listener { kind, address, state })
                    .collect(),
                deliveries: status
                    .deliveries
                    .into_iter()
                    .map(|delivery| {
                        let v1::Delivery { sink, place, state, position, delivered, given_up, waiting } =
                            delivery;
                        DeliveryReport { sink, place, state, position, delivered, given_up, waiting }
                    })
                    .collect(),
                consumers: ConsumersReport {
                    now: consumers.now.into(),
                    limit: consumers.limit.into(),
                    lagged: consumers.lagged,
                },
                node: status.node.map(TryInto::try_into).transpose()?.unwrap_or_default(),
                credentials: status.credentials.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            }),
        })
    }
}
