//! Round trips of frames.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_bytes::ByteBuf;

use super::*;
use crate::event::{Body, CallDepth, Caller, Fault, FaultKind, RequestCf, RequestInfo, RequestUrl, Thrown};
use crate::handlers::{Event, EventKind};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..64)
}

fn headers() -> impl Strategy<Value = WrittenHeaders> {
    prop::collection::vec(("[a-z-]{1,8}", bytes().prop_map(ByteBuf::from)), 0..4)
}

fn body() -> impl Strategy<Value = WrittenBody> {
    prop_oneof![
        Just(WrittenBody::Empty),
        bytes().prop_map(WrittenBody::Whole),
        (any::<u32>(), any::<Option<u64>>()).prop_map(|(number, length)| WrittenBody::Stream { number, length }),
    ]
}

fn argument() -> impl Strategy<Value = WrittenArgument> {
    prop_oneof![
        bytes().prop_map(WrittenArgument::Value),
        ".*".prop_map(WrittenArgument::Failed),
        body().prop_map(WrittenArgument::Stream),
        any::<u32>().prop_map(WrittenArgument::Function),
    ]
}

fn arguments() -> impl Strategy<Value = WrittenArguments> {
    prop_oneof![
        argument().prop_map(WrittenArguments::Whole),
        prop::collection::vec(argument(), 0..4).prop_map(WrittenArguments::Each),
    ]
}

fn data() -> impl Strategy<Value = WrittenData> {
    prop_oneof![
        Just(WrittenData::Empty),
        bytes().prop_map(WrittenData::Plain),
        bytes().prop_map(WrittenData::Bytes),
        bytes().prop_map(WrittenData::Cloned),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let error = |cause| {
        move |(class, message, stack): (String, String, Option<String>)| Thrown {
            class,
            message,
            stack,
            cause,
            missing: false,
        }
    };
    let text = || (".*", ".*", any::<Option<String>>());
    (any::<bool>(), ".*", any::<Option<String>>(), text(), text()).prop_map(
        move |(pass_through, message, detail, outer, inner)| {
            let inner = error(None)(inner);
            Fault {
                detail,
                pass_through,
                thrown: Some(std::sync::Arc::new(error(Some(Box::new(inner)))(outer))),
                ..Fault::new(FaultKind::ExceededMemory, message)
            }
        },
    )
}

fn kind() -> impl Strategy<Value = WrittenKind> {
    let cf = any::<Option<[Option<String>; 2]>>();
    let cf = cf.prop_map(|cf| {
        cf.map(|[http_protocol, tls_cipher]| WrittenCf {
            http_protocol,
            tls_cipher,
            ..WrittenCf::default()
        })
    });
    let caller = (
        ".*",
        any::<u32>(),
        any::<Option<Duration>>(),
        any::<Option<String>>(),
        ".*",
    );
    let caller = caller.prop_map(|(worker, depth, time_left, request_id, props)| WrittenCaller {
        worker,
        depth,
        time_left,
        request_id,
        cf: Some(ByteBuf::from(props.clone())),
        props: WrittenData::Bytes(props.into_bytes()),
    });
    let other = caller.clone();
    prop_oneof![
        (
            "[A-Z]{1,6}",
            ".*",
            any::<Option<String>>(),
            headers(),
            cf,
            any::<Option<u32>>(),
            prop::option::of(caller),
            body()
        )
            .prop_map(
                |(method, uri, url, headers, cf, depth, caller, body)| WrittenKind::Fetch {
                    method,
                    uri,
                    url,
                    headers,
                    cf,
                    depth,
                    caller,
                    body,
                }
            ),
        (".*", arguments(), any::<bool>()).prop_map(|(function, arguments, takes_any)| WrittenKind::Call {
            function,
            arguments,
            takes_any
        }),
        (
            ".*",
            any::<Option<String>>(),
            arguments(),
            any::<[bool; 2]>(),
            data(),
            any::<u32>(),
            any::<Option<u64>>(),
            prop::option::of(other)
        )
            .prop_map(
                |(handler, script, arguments, [takes_any, has_items], data, depth, message, caller)| {
                    WrittenKind::Handler {
                        attachment: None,
                        handler,
                        script,
                        arguments,
                        takes_any,
                        has_items,
                        data,
                        depth,
                        message,
                        caller,
                    }
                }
            ),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let answer = prop_oneof![
        (any::<u16>(), bytes(), headers(), body(), any::<bool>()).prop_map(
            |(status, reason, headers, body, has_socket)| WrittenAnswer::Response {
                status,
                reason,
                headers,
                body,
                has_socket,
            }
        ),
        bytes().prop_map(WrittenAnswer::Value),
        body().prop_map(WrittenAnswer::Stream),
        fault().prop_map(|fault| WrittenAnswer::Failed((&fault).into())),
    ];
    let item = prop_oneof![
        bytes().prop_map(WrittenItem::Progress),
        (".*", data()).prop_map(|(name, data)| WrittenItem::Result { name, data }),
    ];
    let cut = prop_oneof![
        fault().prop_map(|fault| WrittenCut::Fault((&fault).into())),
        ".*".prop_map(WrittenCut::Other),
    ];
    prop_oneof![
        (any::<Option<String>>(), kind())
            .prop_map(|(entrypoint, kind)| Frame::Event(WrittenEvent { entrypoint, kind })),
        answer.prop_map(Frame::Answer),
        item.prop_map(Frame::Item),
        cut.prop_map(Frame::Cut),
    ]
}

proptest! {
    #[test]
    fn every_frame_is_decoded_as_it_was(frame in frame()) {
        let bytes = frame.encode().unwrap();
        prop_assert_eq!(Frame::decode(&bytes), Ok(frame));
    }

    #[test]
    fn a_part_of_a_frame_is_an_error(frame in frame(), cut in any::<prop::sample::Index>()) {
        let bytes = frame.encode().unwrap();
        let cut = cut.index(bytes.len());
        prop_assert!(Frame::decode(&bytes[..cut]).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let framed = [&[VERSION][..], &bytes].concat();
        if let Ok(frame) = Frame::decode(&framed) {
            prop_assert!(frame.encode().is_ok());
        }
    }

    #[test]
    fn a_fault_survives_its_written_form(fault in fault()) {
        let back = Fault::from(WrittenFault::from(&fault));
        prop_assert_eq!(&back.message, &fault.message);
        prop_assert_eq!((back.kind, &back.detail, back.pass_through), (fault.kind, &fault.detail, fault.pass_through));
        prop_assert_eq!(back.thrown, fault.thrown);
    }
}

#[test]
fn another_version_is_an_error() {
    let mut bytes = Frame::Cut(WrittenCut::Other(String::new())).encode().unwrap();
    bytes[0] = VERSION + 1;
    assert_eq!(Frame::decode(&bytes), Err(FrameError::Version(VERSION + 1)));
}

/// A header takes two bytes in a frame, and fifty in memory.
#[test]
fn more_headers_than_http_allows_are_an_error() {
    let response = |count| {
        let headers = vec![(String::new(), ByteBuf::new()); count];
        Frame::Answer(WrittenAnswer::Response {
            status: 200,
            reason: Vec::new(),
            headers,
            body: WrittenBody::Empty,
            has_socket: false,
        })
    };
    let decoded = |count| Frame::decode(&response(count).encode().unwrap());
    assert!(decoded(PARTS_MAX).is_ok());
    assert!(matches!(decoded(PARTS_MAX + 1), Err(FrameError::Malformed(_))));
}

#[test]
fn a_list_shorter_than_its_length_is_an_error() {
    // An answer: a response of status 0 with 2^32 - 1 headers, of which there is none.
    let bytes = [VERSION, 2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(matches!(Frame::decode(&bytes), Err(FrameError::Malformed(_))));
}

#[test]
fn a_request_keeps_its_metadata() {
    let deadline = Instant::now() + Duration::from_secs(60);
    let caller = Caller {
        depth: 3,
        deadline: Some(deadline),
        request_id: Some("id".to_owned()),
        ..Caller::new("front")
    };
    let cf = RequestCf {
        tls_version: Some("TLSv1.3".into()),
        ..RequestCf::default()
    };
    let request = http::Request::put("http://a/b").header("c", "d").extension(cf.clone());
    let request = request.extension(CallDepth(3)).extension(caller.clone());
    let request = request
        .extension(RequestUrl("https://e/f".to_owned()))
        .body(Body::from("g"))
        .unwrap();
    let (reply, _answer) = futures::channel::oneshot::channel();
    let event = Event {
        entrypoint: Some("Admin".to_owned()),
        kind: EventKind::Fetch {
            request: Box::new(request),
            info: RequestInfo::default().id(http::HeaderValue::from_static("i")),
            reply,
        },
    };
    let frame = Frame::Event(export(event).unwrap().event);
    let Ok(Frame::Event(written)) = Frame::decode(&frame.encode().unwrap()) else {
        panic!("an event")
    };
    let (event, _owed) = import(written, |_| None, |_| None, |_| None, 0).unwrap();
    let EventKind::Fetch { request, .. } = event.kind else {
        panic!("a request")
    };
    assert_eq!(
        (event.entrypoint.as_deref(), request.method().as_str()),
        (Some("Admin"), "PUT")
    );
    assert_eq!(
        (request.uri().to_string(), &request.headers()["c"]),
        ("http://a/b".to_owned(), &"d".parse().unwrap())
    );
    assert_eq!(request.headers()["x-request-id"], "i");
    assert_eq!(request.body().as_bytes().unwrap(), "g");
    let extensions = request.extensions();
    assert_eq!(extensions.get(), Some(&cf));
    assert_eq!(extensions.get(), Some(&CallDepth(3)));
    assert_eq!(extensions.get::<RequestUrl>().unwrap().0, "https://e/f");
    let given = extensions.get::<Caller>().unwrap();
    // Clocks do not cross, so the deadline moves by the time that it took.
    assert!(given.deadline.unwrap() - deadline < Duration::from_secs(30));
    assert_eq!(
        &Caller {
            deadline: caller.deadline,
            ..given.clone()
        },
        &caller
    );
}
