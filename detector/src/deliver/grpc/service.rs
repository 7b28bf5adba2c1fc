//! The server's side of `timejump.v1`.

use std::pin::Pin;

use futures_util::stream::Stream;
use tonic::{Request, Response, Status};

use super::{
    convert::Foreign,
    remedy,
    v1::{self, time_jump_server::TimeJump, watch_request::Start},
    watch,
};
use crate::{
    clock::{BootNs, Clocks, SystemClocks, WallNs},
    deliver::{
        Backend, Offer, Shown, locked,
        report::{Incident, Which},
        stream::{Feed, Filter},
    },
    ledger::Jump,
    remedy::Case,
    store::{Order, Store},
    sys,
};

/// Entries queued for one consumer.
const QUEUE: usize = 2048;
/// Jumps in a page unless asked otherwise, and at most.
const PAGE: (u32, u32) = (100, 1000);
/// Jumps looked at for one page: whoever filters much gets short pages.
const LOOKED_AT: usize = 2_000;
/// Jumps read at once, so that a page that is soon full does not cost all of those.
const AT_ONCE: u32 = 250;

/// `timejump.v1.TimeJump`.
#[derive(Clone, Debug)]
pub struct Service {
    backend: Backend,
}

impl Service {
    /// On top of `backend`.
    pub fn new(backend: Backend) -> Self {
        Self { backend }
    }
}

#[tonic::async_trait]
impl TimeJump for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let filter = filter(request.filter)?;
        let from = match request.start {
            None => None,
            // One that was never handed out is of another store: then with what happens from now on.
            Some(Start::AfterPosition(position)) => {
                Some(position).filter(|position| *position <= self.backend.hub.position())
            }
            Some(Start::FromSequence(sequence)) => {
                // A jump that is not there yet may come before the stream is open: so the stream has a beginning always.
                let now = self.backend.hub.position();
                let before = self.backend.read(move |store| store.position_before(sequence)).await;
                Some(before.map_err(unreadable)?.unwrap_or(now))
            }
        };
        let feed = Feed::open(&self.backend.hub, &self.backend.store, filter, from, QUEUE)
            .map_err(|error| Status::resource_exhausted(error.to_string()))?;
        let heartbeat = watch::heartbeat(request.heartbeat_ms);
        Ok(Response::new(Box::pin(watch::responses(feed, heartbeat))))
    }

    async fn list_jumps(
        &self,
        request: Request<v1::ListJumpsRequest>,
    ) -> Result<Response<v1::ListJumpsResponse>, Status> {
        let request = request.into_inner();
        let wanted = Wanted {
            filter: filter(request.filter)?,
            since_wall: request.since_wall_ns.map(|wall| WallNs(wall.into())),
            since_boot: match request.since_boottime_ns {
                Some(at) => Some((self.status().await?.boot_id, at)),
                None => None,
            },
            until_wall: request.until_wall_ns.map(|wall| WallNs(wall.into())),
        };
        let size = page_size(request.page_size);
        let token = page_token(&request.page_token)?;
        let newest_first = request.newest_first;
        let page = self.backend.read(move |store| wanted.page(store, newest_first, token, size)).await;
        let (jumps, next_page_token) = page.map_err(unreadable)?;
        Ok(Response::new(v1::ListJumpsResponse {
            jumps: jumps.iter().map(v1::Jump::from).collect(),
            next_page_token,
        }))
    }

    async fn get_jump(
        &self,
        request: Request<v1::GetJumpRequest>,
    ) -> Result<Response<v1::GetJumpResponse>, Status> {
        let sequence = request.into_inner().sequence;
        let shown = self.backend.read(move |store| shown(store, sequence)).await.map_err(unreadable)?;
        let shown = shown.ok_or_else(|| {
            Status::not_found(format!("there is no jump {sequence} in the store, or no longer"))
        })?;
        Ok(Response::new((&shown).into()))
    }

    async fn list_impacts(
        &self,
        request: Request<v1::ListImpactsRequest>,
    ) -> Result<Response<v1::ListImpactsResponse>, Status> {
        let v1::ListImpactsRequest { jump, page_size: size, page_token: token } = request.into_inner();
        let size = page_size(size);
        let after = page_token(&token)?.unwrap_or(0);
        let of = (jump != 0).then_some(jump);
        let impacts = self.backend.read(move |store| store.impacts(of, after, size)).await;
        let impacts = impacts.map_err(unreadable)?;
        let full = impacts.len() == size as usize;
        let next = impacts.last().filter(|_| full).map(|last| last.id.to_string());
        Ok(Response::new(v1::ListImpactsResponse {
            impacts: impacts.iter().map(v1::Impact::from).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn list_containers(
        &self,
        _: Request<v1::ListContainersRequest>,
    ) -> Result<Response<v1::ListContainersResponse>, Status> {
        let report = self.backend.containers().await;
        let report = report.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new((&report).into()))
    }

    async fn list_tokens(
        &self,
        _: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let report = self.backend.tokens().await;
        let report = report.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new((&report).into()))
    }

    async fn get_incident(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        let which = Which::from(request.into_inner());
        let found = self.backend.read(move |store| Incident::gather(store, which)).await;
        let found = found
            .map_err(unreadable)?
            .ok_or_else(|| Status::not_found(format!("there is no {which} in the store, or no longer")))?;
        Ok(Response::new((&found).into()))
    }

    async fn plan_remedies(
        &self,
        request: Request<v1::PlanRemediesRequest>,
    ) -> Result<Response<v1::PlanRemediesResponse>, Status> {
        let request = request.into_inner();
        let boot_id = self.status().await?.boot_id;
        let csi_pods = {
            let credentials = locked(&self.backend.credentials);
            (!credentials.kubelet_root.is_empty()).then_some(credentials.csi_pods)
        };
        let boot = boot_id.clone();
        let case = self.backend.read(move |store| store.remedy_case(&boot)).await.map_err(unreadable)?;
        let case = Case {
            now: BootNs(SystemClocks.boottime_ns()),
            synchronised: sys::clock_is_synchronised() == Some(true),
            csi_pods,
            ..case
        };
        let offer = Offer::of(&case, &remedy::policy(&request)?, &boot_id);
        Ok(Response::new((&offer).into()))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Result<Response<v1::Status>, Status> {
        Ok(Response::new((&self.status().await?).into()))
    }
}

impl Service {
    async fn status(&self) -> Result<crate::deliver::Status, Status> {
        self.backend.status().await.map_err(|error| Status::unavailable(error.to_string()))
    }
}

/// Which jumps to list.
struct Wanted {
    filter: Filter,
    since_wall: Option<WallNs>,
    /// This boot, and a time in it.
    since_boot: Option<(String, u64)>,
    until_wall: Option<WallNs>,
}

impl Wanted {
    fn wants(&self, jump: &Jump) -> bool {
        let (before, after) = (jump.wall_before(), jump.wall_after());
        let (earliest, latest) = (before.min(after), before.max(after));
        let since_boot =
            self.since_boot.as_ref().is_some_and(|(boot, at)| *boot == *jump.boot_id && jump.at.0 >= *at);
        let no_since = self.since_wall.is_none() && self.since_boot.is_none();
        (no_since || since_boot || self.since_wall.is_some_and(|since| latest >= since))
            && self.until_wall.is_none_or(|until| earliest <= until)
            && self.filter.lets_jump(jump)
    }

    fn page(
        &self,
        store: &Store,
        newest_first: bool,
        token: Option<u64>,
        size: u32,
    ) -> rusqlite::Result<(Vec<Jump>, String)> {
        let mut last = token.unwrap_or(if newest_first { u64::MAX } else { 0 });
        let mut found = Vec::new();
        let mut looked_at = 0;
        while looked_at < LOOKED_AT {
            let order = if newest_first { Order::NewestFirst(last) } else { Order::OldestFirst(last) };
            let jumps = store.jumps(order, AT_ONCE)?;
            let is_end = jumps.len() < AT_ONCE as usize;
            looked_at += jumps.len();
            for jump in jumps {
                if found.len() == size as usize {
                    return Ok((found, last.to_string()));
                }
                last = jump.sequence;
                if self.wants(&jump) {
                    found.push(jump);
                }
            }
            if is_end {
                return Ok((found, String::new()));
            }
        }
        Ok((found, last.to_string()))
    }
}

fn shown(store: &Store, sequence: u64) -> rusqlite::Result<Option<Shown>> {
    let Some(jump) = store.jump(sequence)? else { return Ok(None) };
    let excursion = jump.excursion.map(|id| store.excursion(id)).transpose()?.flatten();
    let other_end = match &excursion {
        Some(excursion) if excursion.opened_by != sequence => store.jump(excursion.opened_by)?,
        Some(excursion) => match excursion.closed {
            Some(closed) => store.jump(closed.by)?,
            None => None,
        },
        None => None,
    };
    let burst = store.burst(jump.burst)?;
    let impacts = store.impacts_of(sequence)?;
    Ok(Some(Shown { jump, excursion, other_end, burst, impacts }))
}

fn filter(filter: Option<v1::Filter>) -> Result<Filter, Status> {
    let filter = Filter::try_from(filter.unwrap_or_default());
    filter.map_err(|Foreign(what)| Status::invalid_argument(format!("the filter's {what} is unknown")))
}

fn page_size(asked: u32) -> u32 {
    if asked == 0 { PAGE.0 } else { asked.min(PAGE.1) }
}

fn page_token(token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let number = token.parse().map(Some);
    number.map_err(|_| Status::invalid_argument("page_token is none that came with a response"))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: rusqlite::Error) -> Status {
    Status::internal(format!("cannot read the store: {error}"))
}
