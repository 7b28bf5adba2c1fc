//! `timejump history`

use clap::Args;

use super::{
    exit::Failure,
    print::{Print, colour},
    remote::{RemoteArgs, block_on, failure},
    select::{Moment, SelectArgs},
};
use crate::{
    clock::{Clocks, SystemClocks},
    deliver::{JumpTable, Message, OutputFormat, grpc::v1, json_line, stream::Kinds},
    ledger::Jump,
};

/// Jumps asked for at once.
const PAGE: u32 = 500;

/// Options of `timejump history`.
#[derive(Clone, Debug, Args)]
pub(super) struct HistoryArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// Only jumps since then: an instant, or a time ago such as 2h. A jump counts if the wall clock showed a later time
    /// before or after it; "ago" is by the wall clock or by uptime, whichever lets more through
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only jumps until then, by the wall clock before or after them
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// At most so many, the newest
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
    /// A row for each step of a burst
    #[arg(long)]
    steps: bool,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Prints the jumps of the past, oldest first.
pub(super) fn history(args: &HistoryArgs) -> Result<(), Failure> {
    let mut print = Print::stdout();
    let mut table = JumpTable::new(colour(), !args.steps);
    let jumps = block_on(fetch(args))?;
    if args.output == OutputFormat::Human {
        if jumps.is_empty() {
            return print.line("no jumps");
        }
        print.line(&table.head())?;
    }
    for jump in jumps {
        match args.output {
            OutputFormat::Json => print.line(&json_line(&Message::Jump(jump)))?,
            OutputFormat::Human => {
                for row in table.rows(&jump) {
                    print.line(&row)?;
                }
            }
        }
    }
    table.flush().map_or(Ok(()), |row| print.line(&row))
}

async fn fetch(args: &HistoryArgs) -> Result<Vec<Jump>, Failure> {
    let mut client = args.remote.connect().await.map_err(failure)?;
    let mut request = request(args);
    // The newest few come first to be few, and are turned around then.
    request.newest_first = args.limit.is_some();
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut jumps = Vec::new();
    while jumps.len() < limit {
        let (page, next) = client.list_jumps(request.clone()).await.map_err(failure)?;
        jumps.extend(page);
        if next.is_empty() {
            break;
        }
        request.page_token = next;
    }
    jumps.truncate(limit);
    if request.newest_first {
        jumps.reverse();
    }
    Ok(jumps)
}

fn request(args: &HistoryArgs) -> v1::ListJumpsRequest {
    let clocks = SystemClocks;
    let wall = |moment: Moment| match moment {
        Moment::At(instant) => i64::try_from(instant.as_nanosecond()).unwrap_or(i64::MAX),
        Moment::Ago(time) => {
            clocks.realtime_ns().saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
        }
    };
    let uptime = |moment| match moment {
        Moment::At(_) => None,
        Moment::Ago(time) => {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            Some(clocks.boottime_ns().saturating_sub(time))
        }
    };
    v1::ListJumpsRequest {
        filter: Some((&args.select.filter(Kinds::Jumps)).into()),
        since_wall_ns: args.since.map(wall),
        since_boottime_ns: args.since.and_then(uptime),
        until_wall_ns: args.until.map(wall),
        page_size: PAGE,
        page_token: String::new(),
        newest_first: false,
    }
}
