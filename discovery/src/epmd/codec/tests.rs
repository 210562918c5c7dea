use proptest::prelude::*;

use super::*;

fn emqx() -> Entry {
    Entry::of("emqx", 4370)
}

/// What Erlang's own programs send and answer, byte by byte.
#[test]
fn the_bytes_are_those_of_erlangs_own() {
    let register = b"\x00\x11\x78\x11\x12\x4d\x00\x00\x06\x00\x05\x00\x04emqx\x00\x00";
    assert_eq!(Request::Register(emqx()).encode(), register);
    assert_eq!(
        Request::decode(&register[2..]),
        Ok(Request::Register(emqx()))
    );
    assert_eq!(Request::LookUp("emqx".into()).encode(), b"\x00\x05zemqx");
    assert_eq!(Request::Names.encode(), b"\x00\x01n");
    let answer = b"w\x00\x11\x12M\x00\x00\x06\x00\x05\x00\x04emqx\x00\x00";
    assert_eq!(encode_found(Some(&emqx())), answer);
    assert_eq!(decode_found(answer), Ok(Some(emqx())));
    assert_eq!(decode_found(b"w\x01"), Ok(None));
    assert_eq!(encode_found(None), b"w\x01");
    let taken = Registered {
        taken_in: false,
        creation: 99,
    };
    assert_eq!(taken.encode(6), b"v\x01\x00\x00\x00c");
    assert_eq!(Registered::decode(b"v\x01\x00\x00\x00c"), Ok(taken));
    let old = Registered::decode(b"y\x00\x00\x03");
    assert_eq!(
        old,
        Ok(Registered {
            taken_in: true,
            creation: 3
        })
    );
    let names = b"\x00\x00\xaa\xabname two at port 4372\nname emqx at port 4370\n";
    let two = Entry::of("two", 4372);
    assert_eq!(encode_names(43691, [&two, &emqx()].into_iter()), names);
    let listed = vec![("two".to_owned(), 4372), ("emqx".to_owned(), 4370)];
    assert_eq!(decode_names(names), Ok(listed));
}

#[test]
fn an_answer_that_is_cut_short_is_incomplete_at_every_byte() {
    let found = encode_found(Some(&emqx()));
    for end in 0..found.len() {
        assert_eq!(decode_found(&found[..end]), Err(DecodeError::Incomplete));
    }
    for highest in [5, 6] {
        let registered = Registered {
            taken_in: true,
            creation: 7,
        };
        let bytes = registered.encode(highest);
        for end in 0..bytes.len() {
            let cut = Registered::decode(&bytes[..end]);
            assert_eq!(cut, Err(DecodeError::Incomplete));
        }
    }
}

#[test]
fn what_is_no_message_is_said_to_be_none() {
    let strange = |error| matches!(error, DecodeError::Strange(_));
    for body in [
        &b""[..],
        b"\xff",
        b"nn",
        b"z",
        b"za\nb",
        b"z\xff\xfe",
        b"x\x11\x12M\x00\x00\x06\x00\x05\x00\x04emq",
        b"x\x00\x00M\x00\x00\x06\x00\x05\x00\x04emqx\x00\x00",
    ] {
        assert!(Request::decode(body).is_err_and(strange), "{body:?}");
    }
    for answer in [
        &b"x\x00"[..],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"w\x00\x00\x00M\x00\x00\x06\x00\x05\x00\x04emqx\x00\x00",
        b"w\x00\x11\x12M\x00\x00\x06\x00\x05\xff\xffemqx\x00\x00",
    ] {
        assert!(decode_found(answer).is_err_and(strange), "{answer:?}");
    }
    for names in [&b"\0\0\0\0name a at port x\n"[..], b"\0\0\0\0\xff"] {
        assert!(decode_names(names).is_err_and(strange), "{names:?}");
    }
}

fn entries() -> impl Strategy<Value = Entry> {
    let name = "[a-zA-Z0-9_é-]{1,64}";
    let numbers = (1..=u16::MAX, any::<u8>(), any::<u8>(), any::<[u16; 2]>());
    let extra = prop::collection::vec(any::<u8>(), 0..64);
    (name, numbers, extra).prop_map(|(name, (port, kind, protocol, versions), extra)| Entry {
        name,
        port,
        kind,
        protocol,
        highest: versions[0],
        lowest: versions[1],
        extra,
    })
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        entries().prop_map(Request::Register),
        "[a-zA-Z0-9_-]{1,64}".prop_map(Request::LookUp),
        Just(Request::Names),
        Just(Request::Kill),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(request in requests(), list in prop::collection::vec(entries(), 0..8)) {
        let bytes = request.encode();
        let length = u16::from_be_bytes([bytes[0], bytes[1]]);
        prop_assert_eq!(usize::from(length), bytes.len() - 2);
        prop_assert_eq!(Request::decode(&bytes[2..]), Ok(request));
        for entry in &list {
            let found = decode_found(&encode_found(Some(entry)));
            prop_assert_eq!(found, Ok(Some(entry.clone())));
        }
        let names: Vec<_> = list.iter().map(|entry| (entry.name.clone(), entry.port)).collect();
        prop_assert_eq!(decode_names(&encode_names(4369, list.iter())), Ok(names));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 100u8..125) {
        let lead = [&[kind], bytes.as_slice()].concat();
        for bytes in [&bytes, &lead] {
            let _ = Request::decode(bytes);
            let _ = Registered::decode(bytes);
            let _ = decode_found(bytes);
            let _ = decode_names(bytes);
        }
    }

    #[test]
    fn a_whole_answer_is_read_whatever_follows(entry in entries(), rest in prop::collection::vec(any::<u8>(), 0..50)) {
        let bytes = [encode_found(Some(&entry)), rest].concat();
        prop_assert_eq!(decode_found(&bytes), Ok(Some(entry)));
    }
}
