//! Messages come back as they went, and nothing else gets in.

use proptest::prelude::*;

use super::*;

fn bytes() -> impl Strategy<Value = Bytes> {
    let text = "\\PC{0,12}".prop_map(Bytes::from);
    let any = prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from);
    prop_oneof![text, any]
}

fn body() -> impl Strategy<Value = UpdateBody> {
    let change = (bytes(), prop::option::of(bytes()), any::<u64>(), any::<u64>());
    let change = change.prop_map(|(key, value, create_revision, version)| KeyUpdate {
        key,
        value,
        create_revision,
        version,
    });
    let keys = prop::collection::vec(change, 0..4).prop_map(UpdateBody::Keys);
    let json =
        prop_oneof![Just("{\"b\":1,\"a\":1.50}"), Just("[]"), Just("12345678901234567890123")];
    let data = prop_oneof![
        json.prop_map(EventData::json),
        "\\PC{0,12}".prop_map(EventData::text),
        bytes().prop_map(EventData::binary),
    ];
    let headers = prop::collection::vec(("\\PC{0,5}", bytes()), 0..3);
    let event = (any::<u64>(), prop::option::of(bytes()), headers, data, any::<i64>());
    let event = event.prop_map(|(offset, key, list, data, time)| {
        let mut headers = Headers::new();
        list.into_iter().for_each(|(name, value)| headers.push(name, value));
        let (id, timestamp) = ("an id".to_owned(), Timestamp::from_micros(time));
        UpdateBody::Event(EventUpdate { id, offset, key, headers, data, timestamp })
    });
    prop_oneof![keys, event]
}

proptest! {
    #[test]
    fn updates_come_back_from_their_messages(
        body in body(), lane in any::<u32>(), prev in 0..u64::MAX / 2, step in 1..1000_u64,
    ) {
        let update = Update { lane, prev, at: prev + step, body };
        let decoded = decode(&encode(&update).expect("encodes")).expect("decodes");
        let Update { lane, prev, at, body } = update;
        prop_assert_eq!(decoded, Decoded { lane, prev, at, body: Some(body) });
    }

    #[test]
    fn changed_messages_are_refused_or_decode_without_a_panic(
        body in body(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let update = Update { lane: 1, prev: 2, at: 3, body };
        let mut message = encode(&update).expect("encodes").to_vec();
        let place = place.index(message.len());
        message[place] = byte;
        let _either_way = decode(&message);
        let _either_way = decode(&message[..place]);
    }
}

#[test]
fn the_schema_is_as_it_is_documented() {
    let change = KeyUpdate {
        key: "alice".into(),
        value: Some(Bytes::from_static(&[0xff, 0xfe])),
        create_revision: 3,
        version: 2,
    };
    let gone = KeyUpdate { key: "bob".into(), value: None, create_revision: 0, version: 0 };
    let update = Update { lane: 0, prev: 4, at: 7, body: UpdateBody::Keys(vec![change, gone]) };
    let text = r#"{"v":1,"type":"keys","lane":0,"prev":4,"at":7,"changes":[{"op":"put","key":"alice","value":"//4=","value_encoding":"base64","create_revision":3,"version":2},{"op":"delete","key":"bob","create_revision":0,"version":0}]}"#;
    assert_eq!(encode(&update).expect("encodes"), text);
    let later = text.replacen('{', r#"{"new":[1],"#, 1);
    assert!(decode(later.as_bytes()).is_ok(), "fields may be added");
    assert!(decode(text.replacen(":1,", ":2,", 1).as_bytes()).is_err(), "another version");
    assert!(decode(text.replace(":4,", ":9,").as_bytes()).is_err(), "going back");
    assert!(decode(b"").is_err());
    let other = decode(text.replace("\"keys\"", "\"other\"").as_bytes()).expect("decodes");
    assert_eq!(other.body, None, "another type is taken for a gap");
}

#[test]
fn what_is_too_long_is_announced_without_its_content() {
    let value = Some(Bytes::from(vec![b'x'; MESSAGE_LEN_MAX]));
    let change = KeyUpdate { key: "k".into(), value, create_revision: 1, version: 1 };
    let update = Update { lane: 0, prev: 1, at: 2, body: UpdateBody::Keys(vec![change]) };
    let message = encode(&update).expect("encodes");
    assert!(message.len() < 100);
    assert_eq!(decode(&message).expect("decodes").body, None);
    let longer = vec![b' '; MESSAGE_LEN_MAX + 1];
    assert!(decode(&longer).is_err());
}
