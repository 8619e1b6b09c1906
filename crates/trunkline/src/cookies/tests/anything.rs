//! Whatever comes, nothing panics, and what is kept obeys the rules.

use super::super::store::{MOST, MOST_OF_A_DOMAIN};
use super::super::{CookieJar, netscape};
use super::{Origin, SetCookie, World};

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }

    /// Pieces of what is meant, with anything between them.
    fn text(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.below(14) {
            match self.below(8) {
                0 => text.push(u8::try_from(self.below(256)).unwrap()),
                _ => text.extend_from_slice(self.pick(pieces)),
            }
        }
        text
    }
}

const COOKIE: &[&[u8]] = &[
    b"a",
    b"b",
    b"=",
    b"=",
    b";",
    b"; ",
    b"__Host-",
    b"__secure-",
    b"Path=/",
    b"Path",
    b"/",
    b"Domain=",
    b"example.com",
    b"co.uk",
    b".",
    b"..",
    b"xn--",
    b"xn--55qx5d.cn",
    b"127.0.0.1",
    b"[::1]",
    b"Secure",
    b"HttpOnly",
    b"SameSite=",
    b"None",
    b"Max-Age=",
    b"-",
    b"0",
    b"9",
    b"99999999999999999999",
    b"Expires=",
    b"Wed, 09 Jun 2027 10:18:14 GMT",
    b"Jan",
    b"12:00:00",
    b"1601",
    b":",
    b"\xff",
    b"\xc3\xa4",
    b" ",
    b"\t",
    b"; Path=/; Secure",
];

const FILE: &[&[u8]] = &[
    b"example.com",
    b".example.com",
    b"#HttpOnly_",
    b"#",
    b"\t",
    b"\t",
    b"\t",
    b"\tTRUE\t",
    b"\tFALSE\t",
    b"/",
    b"\t/\t",
    b"0",
    b"\n",
    b"\r\n",
    b"1999999999",
    b"1.5",
    b"name",
    b"=",
    b"value",
    b"\xff",
    b"__Host-",
    b"com",
    b"::1",
    b"[::1]",
    b"xn--",
    b" ",
    b"example.com\tTRUE\t/\tFALSE\t0\ta\tb",
    b"\x00",
];

const URLS: [&str; 8] = [
    "http://example.com/",
    "https://example.com/a/b",
    "http://www.example.co.uk/",
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://xn--85x722f.xn--55qx5d.cn/",
    "http://example.com./",
    "https://localhost/",
];

fn rounds() -> usize {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { 1_000_000 } else { 10_000 }
}

#[test]
fn no_set_cookie_breaks_a_jar() {
    let (mut random, mut world) = (Random(0x5eed), World::new());
    let urls = URLS.map(|url| url::Url::parse(url).unwrap());
    let mut taken = 0;
    for _ in 0..rounds() {
        let text = random.text(COOKIE);
        let origin = Origin::of(&urls[random.below(urls.len())]).unwrap();
        if let Ok(set) = SetCookie::parse(&text) {
            taken += usize::from(world.store.receive(&set, &origin, world.now).is_ok());
        }
        world.later(random.below(3) as u64);
        let sent = world.store.matching(&origin, world.now);
        for cookie in sent {
            assert!(!cookie.name.is_empty() || !cookie.value.is_empty());
            http::HeaderValue::from_bytes(&[&cookie.name, b"=".as_slice(), &cookie.value].concat()).unwrap();
            assert!(origin.secure || !cookie.secure);
        }
        assert!(world.store.len() <= MOST);
    }
    assert!(taken > rounds() / 10, "{taken} were taken");
    let all = world.store.all(world.now).len();
    assert!(all == world.store.len() && all <= MOST_OF_A_DOMAIN * (URLS.len() + 2), "{all}");
}

#[test]
fn no_file_breaks_a_jar_and_what_is_read_can_be_written() {
    let mut random = Random(0xf11e);
    let mut taken = 0;
    for _ in 0..rounds() {
        let text = random.text(FILE);
        let Ok(jar) = CookieJar::from_netscape(&text) else { continue };
        let written = jar.to_netscape();
        let again = CookieJar::from_netscape(&written).unwrap();
        assert_eq!(again.to_netscape(), written, "{:?}", String::from_utf8_lossy(&text));
        taken += jar.len();
    }
    assert!(taken > rounds() / 100, "{taken} were read");
    assert_eq!(netscape::read(b"").count(), 0);
}
