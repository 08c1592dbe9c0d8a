//! Any bytes as a message: the parser answers or refuses, and what it reads survives the round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::notification::{Cause, Event, form_decode, form_encode, parse};

fuzz_target!(|body: &[u8]| {
    if let Ok(notification) = parse(body) {
        for Event { object, .. } in notification.events {
            assert_eq!(form_decode(&form_encode(&object.key)).as_ref(), Ok(&object.key));
            let replay = Event { object, cause: Cause::Replay { hops: 0 }, by: None };
            let again = parse(replay.to_message().as_bytes()).expect("an own message");
            assert_eq!(again.events, [replay]);
        }
    }
});
