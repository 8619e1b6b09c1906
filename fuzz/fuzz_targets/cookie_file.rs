//! Fuzz target for cookie files: no panic, no cookie that a server could not set, and a lossless
//! round trip.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline::CookieJar;
use trunkline_fuzz::cookies::audit;

fuzz_target!(|input: &[u8]| {
    match CookieJar::from_netscape(input) {
        Ok(jar) => {
            audit(&jar);
            let written = jar.to_netscape();
            let again = CookieJar::from_netscape(&written).expect("a written file can be read");
            assert_eq!(written, again.to_netscape());
        }
        Err(error) => assert!(error.is_input() && error.to_string().contains("line "), "{error:?}"),
    }
});
