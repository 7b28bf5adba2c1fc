//! What a collector's answer means (OTLP specification, "OTLP/gRPC Response"): pure.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use tonic::{Code, Status};

use crate::deliver::{grpc::causes, outbox::Refusal, printable};

/// What a collector says that took some of the records, or none, and wants no more of them.
pub(super) fn of_response(response: &ExportLogsServiceResponse, sent: usize) -> Result<(), Refusal> {
    let Some(partial) = &response.partial_success else { return Ok(()) };
    let words = printable(&partial.error_message);
    if partial.rejected_log_records > 0 {
        let rejected = partial.rejected_log_records;
        return Err(Refusal::Never(format!("the collector rejected {rejected} of {sent} records: {words}")));
    }
    if !words.is_empty() {
        tracing::warn!("otlp: the collector took all records, and says: {words}");
    }
    Ok(())
}

/// What an error means. Whatever never came from the collector may be otherwise later.
pub(super) fn of_status(status: &Status) -> Refusal {
    if let Some(cause) = std::error::Error::source(status) {
        return Refusal::not_now(printable(&causes(cause)));
    }
    let why = format!("{:?}: {}", status.code(), printable(status.message()));
    let after = retry_delay(status.details());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Refusal::NotNow { why, after },
        // Only whoever says when has room again.
        Code::ResourceExhausted if after.is_some() => Refusal::NotNow { why, after },
        _ => Refusal::Never(why),
    }
}

/// `google.rpc.RetryInfo` among an error's details.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

/// `google.rpc.Status`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<RpcAny>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct RpcAny {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RpcDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct RpcDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;

    use super::*;

    fn retry_info(seconds: i64, nanos: i32) -> Vec<u8> {
        let info = RetryInfo { retry_delay: Some(RpcDuration { seconds, nanos }) };
        let other = RpcAny { type_url: "type.googleapis.com/google.rpc.Help".into(), value: vec![1, 2, 3] };
        let any = RpcAny {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        };
        RpcStatus { details: vec![other, any] }.encode_to_vec()
    }

    fn is_final(refusal: &Refusal) -> bool {
        matches!(refusal, Refusal::Never(_))
    }

    #[test]
    fn codes_are_as_the_specification_has_them() {
        use Code::{
            Aborted, AlreadyExists, Cancelled, DataLoss, DeadlineExceeded, FailedPrecondition, Internal,
            InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted, Unauthenticated,
            Unavailable, Unimplemented, Unknown,
        };
        for code in [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss] {
            assert!(!is_final(&of_status(&Status::new(code, "x"))), "{code:?}");
        }
        for code in [
            Unknown,
            InvalidArgument,
            NotFound,
            AlreadyExists,
            PermissionDenied,
            Unauthenticated,
            FailedPrecondition,
            Unimplemented,
            Internal,
            ResourceExhausted,
        ] {
            assert!(is_final(&of_status(&Status::new(code, "x"))), "{code:?}");
        }
    }

    #[test]
    fn whoever_says_when_is_asked_then() {
        for (code, message) in [(Code::ResourceExhausted, "full"), (Code::Unavailable, "busy")] {
            let status = Status::with_details(code, message, retry_info(7, 500_000_000).into());
            let Refusal::NotNow { after, .. } = of_status(&status) else { panic!() };
            assert_eq!(after, Some(Duration::from_millis(7500)));
        }
        for nonsense in [retry_info(-1, 0), vec![255; 9], Vec::new()] {
            assert!(is_final(&of_status(&Status::with_details(
                Code::ResourceExhausted,
                "full",
                nonsense.into()
            ))));
        }
    }

    #[test]
    fn what_is_rejected_is_not_sent_again() {
        let answer = |rejected_log_records, error_message: &str| ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records,
                error_message: error_message.into(),
            }),
        };
        assert_eq!(of_response(&ExportLogsServiceResponse::default(), 3), Ok(()));
        assert_eq!(of_response(&answer(0, ""), 3), Ok(()));
        assert_eq!(of_response(&answer(0, "a hint"), 3), Ok(()));
        assert_eq!(
            of_response(&answer(2, "too old"), 3),
            Err(Refusal::Never("the collector rejected 2 of 3 records: too old".into()))
        );
    }
}
