//! Instants as Kubernetes writes them.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
    jiff::Timestamp,
};

use crate::clock::WallNs;

/// To the microsecond. An apiserver takes exactly six digits after the point (`metav1.RFC3339Micro`).
pub fn micro(wall: WallNs) -> MicroTime {
    MicroTime(timestamp(wall))
}

/// To the second.
pub fn second(wall: WallNs) -> Time {
    Time(timestamp(wall))
}

/// The nearest instant of the years 1970 to 9999: Go's RFC 3339 knows no others.
fn timestamp(wall: WallNs) -> Timestamp {
    let latest = Timestamp::MAX.as_nanosecond();
    Timestamp::from_nanosecond(wall.0.clamp(0, latest)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_and_none() {
        let wall = WallNs(1_707_177_753_099_999_999);
        assert_eq!(serde_json::to_value(micro(wall)).unwrap(), "2024-02-06T00:02:33.099999Z");
        assert_eq!(serde_json::to_value(second(wall)).unwrap(), "2024-02-06T00:02:33Z");
        assert_eq!(serde_json::to_value(micro(WallNs(0))).unwrap(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn beyond_what_can_be_written_the_nearest() {
        assert_eq!(serde_json::to_value(second(WallNs(i128::MAX))).unwrap(), "9999-12-30T22:00:00Z");
        assert_eq!(serde_json::to_value(second(WallNs(-5))).unwrap(), "1970-01-01T00:00:00Z");
    }
}
