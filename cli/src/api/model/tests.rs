use super::*;
use convoke::{Incarnation, Life};
use convoke_core::{Admission, Instance};
use std::sync::Arc;

/// The example of the operator's contract, with a partition.
#[test]
fn status_has_the_keys_of_the_contract_in_their_order() {
    let text = r#"{
  "cluster": {
    "name": "convoke",
    "id": "5f0c",
    "size": 3,
    "fingerprint": "9b1d",
    "quorum": true,
    "partition": {
      "kind": "cut",
      "unreachable": [
        "convoke3@10.0.0.3"
      ],
      "share": 0.44,
      "since": "2026-11-22T17:02:11.120Z"
    },
    "down": {
      "policy": "keep-oldest",
      "present": 2,
      "all": 3,
      "since": "2026-11-22T17:02:31.120Z"
    }
  },
  "local": "convoke2@10.0.0.2",
  "running_nodes": [
    "convoke1@10.0.0.1",
    "convoke2@10.0.0.2"
  ],
  "stopped_nodes": [
    "convoke3@10.0.0.3"
  ],
  "members": [
    {
      "name": "convoke1@10.0.0.1",
      "address": "10.0.0.1:4370",
      "state": "alive",
      "incarnation": 1782120000000,
      "since": "2026-11-22T17:02:11.120Z",
      "rtt_ms": 0.31,
      "version": "0.1.0",
      "tags": {}
    }
  ]
}"#;
    let status: Status = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&status).unwrap(), text);
}

#[test]
fn moments_are_rfc_3339_in_utc_with_milliseconds() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_782_120_000_120_999);
    assert_eq!(rfc3339(at), "2026-06-22T09:20:00.120Z");
    assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
}

#[test]
fn numbers_are_rounded_to_hundredths() {
    assert_eq!(hundredths(0.437_5), 0.44);
    assert_eq!(hundredths(0.309), 0.31);
}

fn life() -> Life {
    Life {
        admission: Admission(1),
        incarnation: Incarnation(7),
    }
}

fn json(event: Event) -> String {
    let notice = Notice {
        seq: 3,
        at: SystemTime::UNIX_EPOCH,
        since: None,
        event,
    };
    serde_json::to_string(&EventObject::of(&notice)).unwrap()
}

#[test]
fn an_event_is_an_object_on_one_line() {
    let name: NodeName = "a@10.0.0.1".parse().unwrap();
    let member = MemberEvent {
        name: name.clone(),
        life: life(),
    };
    assert_eq!(
        json(Event::MemberFailed {
            member: member.clone(),
            refused: true
        }),
        r#"{"at":"1970-01-01T00:00:00.000Z","seq":3,"event":"member_failed","node":"a@10.0.0.1","incarnation":7,"refused":true}"#
    );
    let profile = Profile {
        name,
        life: life(),
        instance: Instance::new(1, 1),
        address: "10.0.0.1:4370".parse().unwrap(),
        rpc_port: 5370,
        version: "0.1.0".into(),
        side: None,
        tags: BTreeMap::from([("zone".into(), "x".into())]),
    };
    assert_eq!(
        json(Event::MemberJoined(Arc::new(profile))),
        r#"{"at":"1970-01-01T00:00:00.000Z","seq":3,"event":"member_joined","node":"a@10.0.0.1","incarnation":7,"address":"10.0.0.1:4370","version":"0.1.0","tags":{"zone":"x"}}"#
    );
    assert_eq!(
        json(Event::PartitionHealed {
            lasted: Duration::from_millis(1500),
            sides: 3
        }),
        r#"{"at":"1970-01-01T00:00:00.000Z","seq":3,"event":"partition_healed","lasted_ms":1500,"sides":3}"#
    );
    let downed = Downed {
        policy: SplitBrain::KeepMajority,
        present: 2,
        all: 5,
        since: convoke_core::Instant::ORIGIN,
        resumed: false,
    };
    assert_eq!(
        json(Event::Downed(downed)),
        r#"{"at":"1970-01-01T00:00:00.000Z","seq":3,"event":"downed","policy":"keep-majority","present":2,"all":5}"#
    );
    assert!(json(Event::Restored).ends_with(r#""event":"restored"}"#));
    assert!(json(Event::QuorumLost).ends_with(r#""event":"quorum_lost"}"#));
    let removed = MemberEvent {
        life: Life {
            incarnation: Incarnation(u64::MAX),
            ..life()
        },
        ..member
    };
    assert!(json(Event::MemberRemoved(removed)).ends_with(r#""node":"a@10.0.0.1"}"#));
}

#[test]
fn a_partition_tells_since_when_it_stands() {
    let partition = convoke_core::output::Partition {
        kind: PartitionKind::Cut,
        unreachable: vec!["a@10.0.0.1".parse().unwrap()],
        share: 0.5,
        quorum: false,
        since: convoke_core::Instant::ORIGIN,
    };
    let notice = Notice {
        seq: 3,
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(9),
        since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4)),
        event: Event::PartitionDetected(partition),
    };
    assert_eq!(
        serde_json::to_string(&EventObject::of(&notice)).unwrap(),
        r#"{"at":"1970-01-01T00:00:09.000Z","seq":3,"event":"partition_detected","kind":"cut","unreachable":["a@10.0.0.1"],"share":0.5,"quorum":false,"since":"1970-01-01T00:00:04.000Z"}"#
    );
}

#[test]
fn events_are_read_as_they_are_written() {
    let missed = EventObject::missed(9, 4);
    let text = serde_json::to_string(&missed).unwrap();
    assert!(
        text.contains(r#""event":"missed""#) && text.contains(r#""count":4"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<EventObject>(&text).unwrap(), missed);
}
